import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from polysem.io.errors import InputError
from polysem.io.tables import write_table
from polysem.params.analysis import Analysis
from polysem.tables.collect_metrics import (
    ALL_NEURONS,
    all_neurons,
    collect_metrics,
    law_metrics,
    pair_metrics,
    plain,
    together,
)
from polysem.tables.collect_plots import collect_plots, frequency_histogram, rank_curve
from polysem.tables.of_dictionary.alignment import neuron_alignment
from polysem.tables.of_dictionary.rank_frequency import rank_frequency
from polysem.tables.parts.labels import along_dictionaries
from polysem.workflow.running.command import run

KEY = "m/blocks.0.mlp.hook_post/l1-x8_seed=0"
TOKENS = 100_000
TABLES = ["frequency", "rank_frequency", "alignment"]
ACTIVE = [0, 5, 50, 200, 1000, 2000, 3000, 50_000]
HALVES = np.array([TOKENS // 2, TOKENS // 2])


def halves(active):
    return np.stack([active // 2, active - active // 2], axis=1)


def described(dimensions, values):
    return xr.Variable(dimensions, values, {"long_name": "a number", "units": "1"})


def scalars(**values):
    return xr.Dataset({name: described((), value) for name, value in values.items()})


@pytest.fixture
def tables(tmp_path):
    """Eight features on four neurons: 1-sparse ones, 10-sparse ones, and one that is spread evenly."""
    decoder = np.full((8, 40), 0.1, np.float32)
    decoder[:6, 3] = 10
    decoder[6, 3:6] = [1, 1, 0.9]
    active = np.array(ACTIVE)
    folder = tmp_path / "tables" / KEY
    frequency = {"frequency": described("feature", active / TOKENS), "active_tokens": described("feature", active)}
    write_table(folder / "frequency.nc", xr.Dataset(frequency, {"feature": np.arange(8)}, {"tokens": TOKENS}))
    write_table(folder / "alignment.nc", neuron_alignment(iter([decoder]), 40))
    write_table(folder / "rank_frequency.nc", rank_frequency(halves(active), HALVES, 1000))
    others = [scalars(cross_entropy_clean=9.0, loss_recovered_zero=0.5, L0=9.0, L0_low=8.0, L0_high=10.0)]
    ours = scalars(cross_entropy_clean=1.23456789, loss_recovered_zero=math.nan, L0=99.0, L0_low=98.0, L0_high=100.0)
    fidelity = along_dictionaries([*others, ours], ["neurons", folder.name]).assign_attrs(tokens=8192)
    write_table(folder.parent / "fidelity.nc", fidelity)
    write_table(tmp_path / "tables/m/model.nc", scalars(cross_entropy=2.0, accuracy=0.5))
    return tmp_path / "tables"


def test_shares_of_probes_are_metrics_of_their_dictionary_unless_nothing_was_measured(tables, tmp_path):
    site, sae = KEY.split("/")[1:]
    probed = {
        "site": described("place", np.array([site, site], object)),
        "dictionary": described("place", np.array(["neurons", sae], object)),
        "word_share": described("place", [0.25, 0.75]),
        "concept_share": described("place", [0.5, math.nan]),
    }
    write_table(tables / "m/concept_probes.nc", xr.Dataset(probed))
    write_table(tables / "c/concept_probes.nc", xr.Dataset(attrs={"not_applicable": "a classifier reads no sentences"}))
    write_table(tables / "c/model.nc", scalars(accuracy=0.5))
    shutil.copytree(tables / KEY, (tables / KEY).with_name("neurons"))
    keys = [f"m/{site}/neurons", KEY]
    collect_metrics(tables, keys, ["m", "c"], tmp_path / "metrics.json", Analysis(), TABLES, probed=("m", "c"))
    found = json.loads((tmp_path / "metrics.json").read_text())["m"][site]
    names = ("probe_word_share", "probe_concept_share")
    assert [found["neurons"].get(name) for name in names] == [0.25, 0.5]
    assert [found[sae].get(name) for name in names] == [0.75, None]


def test_numbers_of_ablations_are_metrics_of_their_dictionary_unless_none_was_made(tables, tmp_path):
    site, sae = KEY.split("/")[1:]
    names = {"site": [site, site], "dictionary": ["neurons", sae]}
    ablated = {name: described("place", np.array(of, object)) for name, of in names.items()} | {
        "median_kl": described(("place", "estimate"), [[0.5, 0.25, 0.75], [math.nan] * 3]),
        "above_random_share": described(("place", "estimate"), [[0.125, 0.0, 0.25], [math.nan] * 3]),
    }
    estimates = {"estimate": np.array(["estimate", "low", "high"], object)}
    write_table(tables / "m/ablation.nc", xr.Dataset(ablated, estimates))
    shutil.copytree(tables / KEY, (tables / KEY).with_name("neurons"))
    keys = [f"m/{site}/neurons", KEY]
    collect_metrics(tables, keys, ["m"], tmp_path / "metrics.json", Analysis(), TABLES, ablated=("m",))
    found = json.loads((tmp_path / "metrics.json").read_text())["m"][site]
    names = ("ablation_median_kl", "ablation_above_random_share")
    assert [found["neurons"].get(name) for name in names] == [0.5, 0.125]
    assert not found[sae].keys() & {*names}


def test_automata_are_metrics_of_their_dictionary(tables, tmp_path):
    site, sae = KEY.split("/")[1:]
    numbers = np.array([[4, 2, 1]])
    traced = {
        "kind": described("kind", np.array(["loop of one", "loop of two", "chain"], object)),
        "place_site": described("place", np.array([site], object)),
        "place_dictionary": described("place", np.array([sae], object)),
        **{name: described(("place", "kind"), numbers - less) for less, name in enumerate(("found", "tried"))},
        "confirmed": described(("place", "kind"), numbers // 2),
        "tried_edges": described("place", [8]),
        "confirmed_edges": described("place", [6]),
        "lift_prediction_correlation": described("place", [0.5]),
        "lift_prediction_correlation_exchanged": described("place", [math.nan]),
    }
    write_table(tables / "m/automata.nc", xr.Dataset(traced))
    collect_metrics(tables, [KEY], ["m"], tmp_path / "metrics.json", Analysis(), TABLES, traced=("m",))
    found = json.loads((tmp_path / "metrics.json").read_text())["m"][site][sae]
    names = ("self_loops", "tried_two_loops", "confirmed_self_loops", "confirmed_two_loops", "confirmed_edge_share")
    assert [found[name] for name in names] == [4, 1, 2, 1, 0.75]
    assert found["lift_prediction_correlation"] == 0.5 and "lift_prediction_correlation_exchanged" not in found


def test_scores_of_explanations_are_metrics_of_their_dictionary(tables, tmp_path):
    site, sae = KEY.split("/")[1:]
    explained = {
        "site": described("place", np.array([site], object)),
        "dictionary": described("place", np.array([sae], object)),
        "mean_score": described(("place", "explainer", "score", "estimate"), [[[[0.5, 0.4, 0.6], [0.75, 0.7, 0.8]]]]),
        "mean_intruder_share": described(("place", "estimate"), [[math.nan] * 3]),
    }
    names = {"explainer": ["n-gram"], "score": ["simulation", "detection"], "estimate": ["estimate", "low", "high"]}
    coordinates = {name: np.array(of, object) for name, of in names.items()}
    write_table(tables / "m/explanations.nc", xr.Dataset(explained, coordinates))
    collect_metrics(tables, [KEY], ["m"], tmp_path / "metrics.json", Analysis(), TABLES, explained=("m",))
    found = json.loads((tmp_path / "metrics.json").read_text())["m"][site][sae]
    assert found["simulation_n_gram"] == 0.5 and found["detection_n_gram"] == 0.75 and "intruder_share" not in found


def test_medians_over_the_neurons_of_all_sites_are_those_of_their_clustered_features(tmp_path):
    """Two sites with input weights, of three and of two neurons, and one without."""
    names = np.array(["neuron", "input", "weighted"], dtype=object)
    state = {"a": ["clustered", "one example", "clustered"], "b": ["clustered", "clustered"], "c": None}
    values = {"a": [[0.1, 9.0, 0.3], [1.0, 9.0, 3.0]], "b": [[0.8, np.nan], [5.0, 6.0]]}
    for site, of in state.items():
        table = xr.Dataset(attrs={"not_applicable": "no input weights"})
        if of is not None:
            both = np.array([*values[site], [0.0] * len(of)])
            measures = {name: described(("embedding", "feature"), both) for name in ALL_NEURONS}
            table = xr.Dataset(
                measures | {"state": described("feature", np.array(of, dtype=object))}, {"embedding": names}
            )
        write_table(tmp_path / f"m/{site}/neurons/clusters.nc", table)
    keys = [["m", "a", "sae"], *(["m", site, "neurons"] for site in state), ["other", "a", "neurons"]]
    found = all_neurons(tmp_path, keys, "m", ["clusters"])
    assert found["clustered_features"] == 4
    assert found["clusters_median_mean_distance"] == pytest.approx(0.3)
    assert found["clusters_median_inter_cluster_distance_input"] == pytest.approx(4.0)
    assert all_neurons(tmp_path, keys[:2], "m", ["clusters"]) == {} == all_neurons(tmp_path, keys, "m", TABLES)


def test_the_metrics_of_a_dictionary_worked_by_hand(tables, tmp_path):
    collect_metrics(tables, [KEY], ["m"], tmp_path / "metrics.json", Analysis(), TABLES)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["m"]["model"] == {"accuracy": 0.5, "cross_entropy": 2.0}
    ours = metrics["m"]["blocks.0.mlp.hook_post"]["l1-x8_seed=0"]
    assert ours.pop("median_kurtosis_excess") == pytest.approx(36, abs=1.5)
    assert ours.pop("largest_kurtosis_excess") == pytest.approx(36, abs=1.5)
    assert ours == {
        "L0": 0.56255,
        "cross_entropy_clean": 1.23457,
        "dense_share": 0.166667,
        "features": 8,
        "head_decay_length": None,
        "head_exponent": None,
        "head_exponential_share": None,
        "head_exponential_share_error": None,
        "head_law": None,
        "firing_dispersion": 1.0,
        "loss_recovered_zero": None,
        "median_frequency": 0.006,
        "most_polysemantic_neuron": 3,
        "most_polysemantic_neuron_features": 7,
        "most_polysemantic_neuron_rare_share": 0.428571,
        "never_active_share": 0.125,
        "one_sparse_share": 0.666667,
        "rare_share": 0.375,
        "tail_law": None,
        "tail_decay_length": None,
        "tail_exponent": None,
        "tail_exponential_share": None,
        "tail_exponential_share_error": None,
        "ten_sparse_share": 0.166667,
        "tokens": TOKENS,
        "ultra_low_share": 0.125,
    }


@pytest.mark.parametrize(("tokens", "interval"), [(TOKENS, [0.5, 0.6]), (TOKENS - 1, [None, None])])
def test_l0_has_an_interval_where_that_is_of_the_same_tokens(tables, tmp_path, tokens, interval):
    place, _, name = KEY.rpartition("/")
    table = along_dictionaries([scalars(L0=0.55, L0_low=0.5, L0_high=0.6)], [name]).assign_attrs(tokens=tokens)
    write_table(tables / place / "fidelity.nc", table)
    collect_metrics(tables, [KEY], ["m"], tmp_path / "metrics.json", Analysis(), TABLES)
    found = json.loads((tmp_path / "metrics.json").read_text())["m"]["blocks.0.mlp.hook_post"][name]
    assert (found["L0"], found["tokens"]) == (0.56255, TOKENS)
    assert [found.get("L0_low"), found.get("L0_high")] == interval


def test_numbers_of_all_tables_of_a_model_are_metrics_of_it(tables, tmp_path):
    write_table(tables / "m/twins.nc", scalars(twin_pairs=7, twin_share=0.25))
    output = tmp_path / "metrics.json"
    collect_metrics(tables, [KEY], ["m"], output, Analysis(), TABLES, of_models=("model", "twins"))
    found = json.loads(output.read_text())["m"]["model"]
    assert found == {"accuracy": 0.5, "cross_entropy": 2.0, "twin_pairs": 7, "twin_share": 0.25}


def test_a_law_has_its_numbers_and_an_undecided_one_has_none():
    """A head of 300 ranks that fall exponentially, a tail of 200 equal ones."""
    active = np.r_[np.exp(-np.arange(300) / 60) * 40_000, np.full(200, 100)].astype(int)
    table = rank_frequency(halves(active), HALVES, 301)
    metrics = law_metrics(table)
    assert metrics["head_law"] == "exponential"
    assert metrics["head_exponent"] == 0
    assert metrics["head_decay_length"] == float(table["decay_length"].sel(range="head", law="exponential"))
    assert metrics["head_decay_length"] == pytest.approx(60, rel=0.05)
    assert metrics["head_exponential_share"] == pytest.approx(1, abs=0.1)
    assert metrics["tail_law"] == "undecided"
    assert metrics["tail_exponent"] is None and metrics["tail_decay_length"] is None


def test_medians_of_clusters_are_metrics_of_two_embeddings(tables, tmp_path):
    folder = tables / KEY
    medians = {"median_mean_distance": described("embedding", [0.25, 0.5, 0.75]), "median_size": described((), 7.0)}
    embedding = xr.Variable("embedding", np.array(["neuron", "input", "weighted"], object))
    others = {"clustered_features": described((), 5), "state": described("feature", np.array(["clustered"], object))}
    write_table(folder / "clusters.nc", xr.Dataset(medians | others, {"embedding": embedding}))
    names = [*TABLES, "clusters"]
    collect_metrics(tables, [KEY], [], tmp_path / "metrics.json", Analysis(), names)
    ours = json.loads((tmp_path / "metrics.json").read_text())["m"]["blocks.0.mlp.hook_post"]["l1-x8_seed=0"]
    found = {name: value for name, value in ours.items() if "cluster" in name or name == "median_size"}
    assert found == {
        "clustered_features": 5,
        "clusters_median_mean_distance": 0.25,
        "clusters_median_mean_distance_input": 0.5,
        "clusters_median_size": 7,
    }
    write_table(folder / "clusters.nc", xr.Dataset(attrs={"not_applicable": "no weights"}))
    collect_metrics(tables, [KEY], [], tmp_path / "metrics.json", Analysis(), names)
    ours = json.loads((tmp_path / "metrics.json").read_text())["m"]["blocks.0.mlp.hook_post"]["l1-x8_seed=0"]
    assert not [name for name in ours if "cluster" in name]


def test_a_dictionary_has_the_numbers_of_its_pairs_and_of_several_of_a_relation_the_first(tables, tmp_path):
    pairs = {
        "pair_dictionary": ["l1-x8_seed=0", "l1-x8_seed=0", "l1-x8_seed=0", "other"],
        "pair_relation": ["seed", "model", "model", "seed"],
        "found_again_share": [0.5, 0.1, 0.2, 0.3],
        "median_correlation": [0.7, 0.6, 0.5, 0.4],
        "median_cosine": [0.9, 0.8, 0.7, 0.6],
        "ultra_low_cosine": [0.96, math.nan, 0.1, 0.2],
    }
    table = xr.Dataset({name: described("pair", np.array(values)) for name, values in pairs.items()})
    nothing = xr.Dataset(attrs={"not_applicable": "one SAE alone"})
    write_table(tables / "m/blocks.0.mlp.hook_post/embedding_loss.nc", nothing)
    write_table(tables / "m/blocks.0.mlp.hook_post/comparison.nc", table)
    collect_metrics(tables, [KEY], ["m"], tmp_path / "before.json", Analysis(), TABLES)
    output = tmp_path / "metrics.json"
    assert pair_metrics(table)["other"] == {
        "seed_found_again_share": 0.3,
        "seed_median_correlation": 0.4,
        "seed_median_cosine": 0.6,
        "seed_ultra_low_cosine": 0.2,
    }
    write_table(tables / "m/blocks.0.mlp.hook_post/comparison.nc", table.isel(pair=slice(0, 3)))
    collect_metrics(tables, [KEY], ["m"], output, Analysis(), TABLES, comparisons=("m/blocks.0.mlp.hook_post",))
    ours, before = (
        json.loads(path.read_text())["m"]["blocks.0.mlp.hook_post"]["l1-x8_seed=0"]
        for path in (output, tmp_path / "before.json")
    )
    added = {name: value for name, value in ours.items() if name not in before}
    assert {name: value for name, value in ours.items() if name in before} == before
    assert added == {
        "seed_found_again_share": 0.5,
        "seed_median_correlation": 0.7,
        "seed_median_cosine": 0.9,
        "seed_ultra_low_cosine": 0.96,
        "model_found_again_share": 0.1,
        "model_median_correlation": 0.6,
        "model_median_cosine": 0.8,
        "model_ultra_low_cosine": None,
    }


def test_keys_are_sorted_and_the_same_tables_give_the_same_bytes(tables, tmp_path):
    for name in ("one.json", "two.json"):
        collect_metrics(tables, [KEY], ["m"], tmp_path / name, Analysis(), TABLES)
    text = (tmp_path / "one.json").read_text()
    assert text == (tmp_path / "two.json").read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def test_the_command_line_takes_dictionaries_and_params_as_json(tables, tmp_path):
    options = {
        "tables": str(tables),
        "dictionaries": [KEY],
        "models": ["m"],
        "names": TABLES,
        "params": Analysis(rare_frequency=0.015).values(),
    }
    run(collect_metrics, ["--output", str(tmp_path / "metrics.json"), "--config", json.dumps(options)])
    ours = json.loads((tmp_path / "metrics.json").read_text())["m"]["blocks.0.mlp.hook_post"]["l1-x8_seed=0"]
    assert ours["rare_share"] == 0.625


def test_thresholds_come_from_the_params(tables, tmp_path):
    params = Analysis(ultra_low_frequency=0.9, rare_frequency=0.015)
    collect_metrics(tables, [KEY], [], tmp_path / "metrics.json", params, TABLES)
    ours = json.loads((tmp_path / "metrics.json").read_text())["m"]["blocks.0.mlp.hook_post"]["l1-x8_seed=0"]
    assert ours["ultra_low_share"] == 0.875
    assert ours["rare_share"] == 0.625
    assert ours["dense_share"] is None


def test_of_equally_polysemantic_neurons_the_lowest_is_named(tables, tmp_path):
    decoder = np.zeros((8, 5), np.float32)
    decoder[np.arange(8), [4, 4, 2, 2, 1, 0, 1, 4]] = 1
    decoder[7] = [0, 0, 1, 0, 0]
    decoder[2] = [0, 1, 0, 0, 0]
    write_table(tables / KEY / "alignment.nc", neuron_alignment(iter([decoder]), 5))
    collect_metrics(tables, [KEY], [], tmp_path / "metrics.json", Analysis(), TABLES)
    ours = json.loads((tmp_path / "metrics.json").read_text())["m"]["blocks.0.mlp.hook_post"]["l1-x8_seed=0"]
    assert (ours["most_polysemantic_neuron"], ours["most_polysemantic_neuron_features"]) == (1, 3)


def test_numbers_have_six_digits_and_what_is_not_finite_is_null():
    values = {
        "b": {"z": np.float64(123456.789), "a": -math.inf},
        "a": [],
        "c": 123456789,
        "d": "x",
        "e": 1.23456789e-12,
    }
    assert plain(values) == {"a": [], "b": {"a": None, "z": 123457.0}, "c": 123456789, "d": "x", "e": 1.23457e-12}


def test_each_bin_of_the_histogram_holds_its_left_edge():
    frequency = np.array([1.0, 0.1, 0.01, 0.001, 1e-4, 0.9999, 0.0, 0.0, 1e-9])
    lines = frequency_histogram(frequency).splitlines()
    assert lines[0] == "log10_frequency,features"
    assert lines[1].startswith("-7.00,") and lines[-1].startswith("0.00,")
    counts = {float(edge): int(count) for edge, count in (line.split(",") for line in lines[1:])}
    assert len(counts) == 29
    assert {edge: count for edge, count in counts.items() if count} == {
        -7: 1,
        -4: 1,
        -3: 1,
        -2: 1,
        -1: 1,
        -0.25: 1,
        0: 1,
    }


def test_the_histogram_equals_a_plain_count_of_all_features_ever_active():
    frequency = 10 ** np.random.default_rng(0).uniform(-6.5, 0, 500)
    lines = frequency_histogram(frequency).splitlines()[1:]
    for line in lines:
        edge, count = map(float, line.split(","))
        assert count == sum(10**edge <= value < 10 ** (edge + 0.25) for value in frequency)


def test_the_rank_curve_has_at_most_60_ranks_with_the_first_and_the_last():
    frequency = np.arange(5000, 0, -1) / 5000
    rows = [line.split(",") for line in rank_curve(frequency).splitlines()]
    assert rows[0] == ["rank", "frequency"]
    ranks = [int(rank) for rank, _ in rows[1:]]
    assert (ranks[0], ranks[-1]) == (1, 5000)
    assert ranks == sorted({round(5000 ** (step / 59)) for step in range(60)})
    assert all(float(value) == pytest.approx(frequency[int(rank) - 1], rel=1e-5) for rank, value in rows[1:])


def test_few_ranks_are_all_drawn_and_none_give_the_header_alone():
    assert rank_curve(np.array([0.5, 0.25, 0.125])) == "rank,frequency\n1,0.5\n2,0.25\n3,0.125\n"
    assert rank_curve(np.zeros(0)) == "rank,frequency\n"
    assert frequency_histogram(np.zeros(3)).count(",0\n") == 29


def test_the_plot_tables_lie_in_a_folder_per_dictionary(tables, tmp_path):
    collect_plots(tables, [KEY], tmp_path / "plots")
    files = sorted(file.name for file in (tmp_path / "plots" / KEY).iterdir())
    assert files == ["frequency_histogram.csv", "rank_frequency.csv"]
    assert (tmp_path / "plots" / KEY / "rank_frequency.csv").read_text().splitlines()[1] == "1,0.5"


def test_plots_of_dictionaries_that_are_no_more_are_removed_and_nothing_else(tables, tmp_path):
    plots = tmp_path / "plots"
    collect_plots(tables, [KEY], plots)
    place, _, dictionary = KEY.rpartition("/")
    other = tables / place / "topk"
    shutil.copytree(tables / KEY, other)
    collect_plots(tables, [KEY, f"{place}/topk"], plots)
    for gone in (f"{place}/topk", "few/blocks.0.mlp.hook_post/l1", f"{KEY}/old"):
        (plots / gone).mkdir(parents=True, exist_ok=True)
    (plots / "few/blocks.0.mlp.hook_post/l1/rank_frequency.csv").touch()
    (plots / KEY / "plot_of_an_older_version.csv").touch()
    (plots / f"{KEY}/old/mine.txt").touch()
    (plots / "mine.csv").touch()
    collect_plots(tables, [KEY], plots)
    files = {file.relative_to(plots).as_posix() for file in plots.rglob("*") if file.is_file()}
    names = ("frequency_histogram.csv", "rank_frequency.csv", "old/mine.txt")
    assert files == {"mine.csv", *(f"{KEY}/{name}" for name in names)}
    assert not (plots / "few").exists() and not (plots / place / "topk").exists()
    assert (plots / KEY).is_dir() and dictionary in {path.name for path in (plots / place).iterdir()}


@pytest.mark.parametrize("step", ["collect_metrics", "collect_plots"])
def test_steps_that_run_no_model_import_no_torch(step):
    code = f"import sys, polysem.tables.{step}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_two_tables_with_a_number_of_one_name_are_refused():
    """Else the metric of the one would silently be the other's."""
    assert together({"frequency": {"L0": 3.0}, "tags": {"tags": 12}}) == {"L0": 3.0, "tags": 12}
    with pytest.raises(InputError, match=r"'firing_dispersion' is in the tables rank_frequency and row_norms"):
        together({"rank_frequency": {"firing_dispersion": 1.0}, "row_norms": {"norm": 1.0, "firing_dispersion": 1e6}})
