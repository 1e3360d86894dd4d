"""The step that compares dictionaries, on small real stores, SAEs and directions."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from measured import made

from polysem.activations.rows import ActivationRows
from polysem.io.stores import create_array, written_store
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.params.analysis import Analysis
from polysem.params.pair import Pair
from polysem.saes.activation_functions.standard import Function
from polysem.saes.sae import SAE, save_sae
from polysem.saes.transcoder import Transcoder
from polysem.tables.parts.directions import Directions, write_directions
from polysem.tables.parts.labels import index, labelled, variable
from polysem.tables.parts.words import words
from polysem.tables.passes.comparison.metrics import site_metrics
from polysem.tables.passes.comparison.shelf import Site

NEURONS, FEATURES, TOKENS = 12, 24, 600
SITES = ("first", "second", "narrow")
ORDER = np.random.default_rng(5).permutation(FEATURES)


def sae(seed: int, features: int = FEATURES, width: int = NEURONS) -> SAE:
    generator = torch.Generator().manual_seed(seed)
    decoder = torch.nn.functional.normalize(torch.randn(features, width, generator=generator), dim=1)
    return SAE(decoder.T.contiguous(), torch.full((features,), -0.3), decoder, torch.zeros(width), Function())


def permuted(one: SAE) -> SAE:
    """The same SAE with its features in another order: feature i is the feature ORDER[i] of the first."""
    order = torch.from_numpy(ORDER)
    return SAE(one.W_enc[:, order], one.b_enc[order], one.W_dec[order], one.b_dec, one.activation)


def write_place(root: Path, model: str, site: str, tokens: np.ndarray, width: int, seed: int) -> dict[str, str]:
    activations = np.random.default_rng(seed).standard_normal((TOKENS, width)).astype(np.float32)
    place = {
        "activations": root / "activations" / model / site / "eval.zarr",
        "tokens": root / "tokens" / model / "eval.zarr",
        "directions": root / "tables" / model / "directions.safetensors",
        "dictionaries": root / "saes" / model / site,
        "tables": root / "tables" / model / site,
    }
    columns = {"sequence": np.arange(TOKENS) // 10, "position": np.arange(TOKENS) % 10}
    with written_store(place["activations"], attributes={}, params={}, code="", device="cpu") as group:
        array = create_array(group, "activations", activations.shape, "float32", ("token", "neuron"), compressed=False)
        array[:] = activations
        for name, values in columns.items():
            create_array(group, name, values.shape, "int32", ("token",), compressed=True)[:] = values
    with written_store(place["tokens"], attributes={}, params={}, code="", device="cpu") as group:
        create_array(group, "ids", tokens.shape, "int32", ("sequence", "position"), compressed=True)[:] = tokens
    return {name: str(path) for name, path in place.items()}


def write_sae(place: dict[str, str], name: str, made: SAE, low: int = 4) -> None:
    """The SAE, and the tables that a comparison reads; its first `low` features are ultra-low."""
    save_sae(made, Path(place["dictionaries"]) / name, {}, None)
    frequency = np.full(made.features, 0.1)
    frequency[:low] = 1e-6
    said = {"model": "m", "site": "s", "dictionary": name}
    features = {"feature": index("feature", 0, made.features, "feature")}
    table = labelled({"frequency": variable("feature", frequency, "share", "1")}, features, said)
    write_table(Path(place["tables"]) / name / "frequency.nc", table)
    mean = made.W_enc[:, :low].mean(1).numpy()
    mean = labelled({"mean_direction": variable("neuron", mean, "mean", "1")} if low else {}, features, said)
    write_table(Path(place["tables"]) / name / "ultra_low.nc", mean)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def places(root) -> dict[str, dict[str, str]]:
    tokens = np.random.default_rng(0).integers(0, 9, (TOKENS // 10, 10)).astype(np.int32)
    found = {
        f"one/{site}": write_place(root, "one", site, tokens, 8 if site == "narrow" else NEURONS, seed)
        for seed, site in enumerate(SITES)
    }
    found["other/first"] = write_place(root, "other", "first", tokens[::-1].copy(), NEURONS, 9)
    generator = torch.Generator().manual_seed(1)
    for model in ("one", "other"):
        tensors = {"unembedding": torch.randn(6, 40, generator=generator)}
        for site in SITES:
            width = 8 if site == "narrow" else NEURONS
            tensors[f"{site}/output_weights"] = torch.randn(width, 6, generator=generator)
        write_directions(root / "tables" / model / "directions.safetensors", Directions(tensors))
    first = found["one/first"]
    write_sae(first, "a_seed=0", sae(0))
    write_sae(first, "a_seed=1", permuted(sae(0)))
    write_sae(first, "small", sae(3, 6))
    write_sae(first, "no-cluster", sae(4), low=0)
    write_sae(found["one/second"], "a_seed=0", sae(0))
    write_sae(found["one/narrow"], "a_seed=0", sae(2, FEATURES, 8))
    write_sae(found["other/first"], "a_seed=0", sae(0))
    return found


SAES = ("a_seed=0", "a_seed=1", "small", "no-cluster")
PAIRS = [
    Pair("a_seed=0", "seed", "one", "first", "a_seed=1"),
    Pair("small", "setting", "one", "first", "a_seed=0"),
    Pair("no-cluster", "recipe", "one", "first", "a_seed=0"),
    Pair("a_seed=0", "neurons", "one", "first", "neurons"),
    Pair("a_seed=0", "site", "one", "second", "a_seed=0"),
    Pair("a_seed=0", "site", "one", "narrow", "a_seed=0"),
    Pair("a_seed=0", "model", "other", "first", "a_seed=0"),
]


@pytest.fixture(scope="module")
def compared(root, places):
    return run(root, PAIRS, ["small", "a_seed=0", "a_seed=1"])


def run(root: Path, pairs: list[Pair], sizes: list[str], saes=SAES):
    place = Place("one", "first", root=str(root))
    return made(
        "site",
        "comparison",
        place,
        "classifier",
        Analysis(comparison_tokens=500),
        saes=[place.of(name).names for name in saes] if pairs else [],
        others=[(pair.model, pair.site, pair.other) for pair in pairs],
        pairs=[pair.values() for pair in pairs],
        sizes=sizes,
    )


def rows(compared, pair: int) -> slice:
    start = int(compared["features"].values[:pair].sum())
    return slice(start, start + int(compared["features"].values[pair]))


def test_the_same_features_in_another_order_are_all_found_again(compared):
    some = rows(compared, 0)
    place = np.argsort(ORDER)
    assert compared["correlated_feature"].values[some].tolist() == place.tolist()
    assert compared["nearest_feature"].values[some].tolist() == place.tolist()
    for name in ("correlation", "logit_correlation", "cosine"):
        assert compared[name].values[some] == pytest.approx(np.ones(FEATURES), abs=1e-5), name
    assert compared["correlation_shuffled"].values[0][:FEATURES].max() < 0.5
    assert compared["found_again_share"].values[0] == 1
    assert compared["pair_tokens"].values[0] == 500
    seeds = np.flatnonzero(compared["pair_relation"].values == "seed")
    pooled = np.concatenate([compared["correlation"].values[rows(compared, pair)] for pair in seeds])
    of_seeds = compared.sel(relation="seed")
    assert int(of_seeds["relation_features"]) == pooled.size
    assert int(of_seeds["relation_correlated_features"]) == np.isfinite(pooled).sum()
    assert float(of_seeds["relation_median_correlation"]) == np.nanmedian(pooled)


def activations(places, name, made):
    """Features at the 500 tokens that are compared, in float64."""
    rows = ActivationRows(Path(places[name]["activations"]))
    chosen = np.linspace(0, TOKENS - 1, 500).round().astype(int)
    return made.encode(torch.from_numpy(rows.gather(chosen))).double().numpy()


def best(ours, theirs):
    correlation = np.corrcoef(ours.T, theirs.T)[: ours.shape[1], ours.shape[1] :]
    correlation[(ours > 0).sum(0) < 10] = np.nan
    correlation[:, (theirs > 0).sum(0) < 10] = np.nan
    return np.nanmax(correlation, axis=1)


def test_baselines_are_those_of_tokens_neurons_and_partners_in_another_order(places, compared):
    """Pair 4: the same SAE at another site of the model."""
    ours, theirs = (activations(places, f"one/{site}", sae(0)) for site in ("first", "second"))
    np.testing.assert_allclose(compared["correlation"].values[rows(compared, 4)], best(ours, theirs), atol=1e-5)
    shuffled = theirs[np.random.default_rng(0).permutation(500)]
    np.testing.assert_allclose(compared["correlation_shuffled"].values[4][:FEATURES], best(ours, shuffled), atol=1e-5)
    assert np.isnan(compared["correlation_shuffled"].values[4][FEATURES:]).all()


def test_other_features_than_the_ultra_low_ones_are_drawn_for_their_baseline(compared):
    usual = np.random.default_rng(0).permutation(np.arange(4, FEATURES))[:4]
    one = sae(0).W_enc.numpy()
    means = one[:, usual].mean(1), one[:, ORDER][:, usual].mean(1)
    cosine = float(means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1]))
    assert compared["ultra_low_cosine_others"].values[0] == pytest.approx(cosine, abs=1e-5)


def test_a_thousand_draws_say_how_coherent_random_tokens_are(places, compared):
    ids = np.random.default_rng(0).integers(0, 9, TOKENS)[np.linspace(0, TOKENS - 1, 500).round().astype(int)]
    generator = np.random.default_rng(0)
    slow = [np.bincount(ids[generator.choice(500, 20, replace=False)]).max() / 20 for _ in range(1000)]
    np.testing.assert_allclose(compared["coherence_random"], slow)


def test_sites_of_the_same_tokens_correlate_and_other_widths_have_no_cosine(compared):
    narrow, model = 5, 6
    assert np.isfinite(compared["median_correlation"].values[narrow])
    assert np.isnan(compared["median_cosine"].values[narrow])
    assert "differ in width" in str(compared["pair_reason"].values[narrow])
    assert np.isnan(compared["median_correlation"].values[model])
    assert np.isnan(compared["median_logit"].values[model])
    assert compared["median_cosine"].values[model] == pytest.approx(1, abs=1e-6)
    assert "token stores differ" in str(compared["pair_reason"].values[model])


def test_a_pair_of_which_one_has_no_direct_path_has_no_logit_correlation(root, places):
    tokens = np.random.default_rng(0).integers(0, 9, (TOKENS // 10, 10)).astype(np.int32)
    place = write_place(root, "third", "first", tokens, NEURONS, 0)
    write_sae(place, "a_seed=0", sae(0))
    write_directions(root / "tables/third/directions.safetensors", Directions({"unembedding": torch.ones(6, 40)}))
    table = run(root, [Pair("a_seed=0", "model", "third", "first", "a_seed=0")], [])
    assert float(table["median_correlation"][0]) == pytest.approx(1) and np.isnan(table["logit_correlation"]).all()


def test_decoder_rows_of_a_transcoder_have_cosines_only_with_rows_at_the_site_that_it_predicts(root, places):
    """Although its own site is as wide as its target."""
    first, second = sae(0), permuted(sae(0))
    for name, one in {"t_seed=0": first, "t_seed=1": second}.items():
        parts = (one.W_enc, one.b_enc, one.W_dec, one.b_dec, one.activation)
        write_sae(places["one/first"], name, Transcoder(*parts, target="second"))
    pairs = [
        Pair("t_seed=0", "seed", "one", "first", "t_seed=1"),
        Pair("t_seed=0", "site", "one", "second", "a_seed=0"),
        Pair("t_seed=0", "recipe", "one", "first", "a_seed=0"),
        Pair("t_seed=0", "neurons", "one", "first", "neurons"),
    ]
    table = run(root, pairs, [], ("t_seed=0", "t_seed=1", "a_seed=0"))
    np.testing.assert_allclose(table["median_cosine"].values, [1, 1, np.nan, np.nan], atol=1e-6)
    assert table["pair_reason"].values[:2].tolist() == ["", ""]
    for reason in table["pair_reason"].values[2:]:
        assert "decoder rows stand at the site that it predicts" in reason
    assert np.isfinite(table["median_correlation"].values).all()


def test_the_mean_directions_of_two_clusters_are_compared_as_they_stand_in_the_tables(compared):
    one, order = sae(0).W_enc.numpy(), ORDER
    means = one[:, :4].mean(1), one[:, order][:, :4].mean(1)
    cosine = float(means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1]))
    assert compared["ultra_low_cosine"].values[0] == pytest.approx(cosine, abs=1e-5)
    assert abs(compared["ultra_low_cosine_others"].values[0]) <= 1
    assert np.isnan(compared["ultra_low_cosine"].values[2:]).all()


def test_activations_of_sites_of_the_same_width_and_tokens_are_read_through_the_first_sae(compared):
    assert compared.attrs["reader"] == "a_seed=0"
    assert compared["source_site"].values.tolist() == ["first", "second"]
    assert compared["coherence"].shape == (2, FEATURES)
    assert compared["same_token_share"].values[0] in (1.0, pytest.approx(np.nan, nan_ok=True))


def test_the_first_sae_of_each_size_takes_part_in_feature_splitting(compared):
    assert compared["size_dictionary"].values.tolist() == ["small", "a_seed=0"]
    assert compared["size_features"].values.tolist() == [6, FEATURES]
    shares = [float(compared[f"{name}_share"].values[0]) for name in ("split", "kept", "childless")]
    assert sum(shares) == pytest.approx(1)
    counts = compared["features_by_children"].values[0]
    assert [counts[2:].sum(), counts[1], counts[0]] == pytest.approx([6 * share for share in shares])
    assert compared.sizes["point"] == 6 + FEATURES


def test_the_numbers_of_a_site_go_to_the_dictionaries_that_they_are_of(compared):
    found = site_metrics(compared)
    assert found["a_seed=0"]["other_site_coherent_share"] == compared["coherent_share"].values[1]
    assert found["small"]["split_share"] == compared["split_share"].values[0]


def test_the_same_comparison_gives_the_same_bytes(root, places, compared):
    again = run(root, PAIRS, ["small", "a_seed=0", "a_seed=1"])
    assert again.to_netcdf(None, engine="h5netcdf") == compared.to_netcdf(None, engine="h5netcdf")


def test_a_site_without_anything_to_compare_has_an_empty_table(root, places):
    table = run(root, [], [])
    assert (table.sizes["pair"], table.sizes["match"], table.attrs["reader"]) == (0, 0, "")
    assert site_metrics(table) == {}


def test_a_token_with_a_nul_in_it_can_be_written(tmp_path):
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.WordLevel({"a": 0, "\0": 1}, unk_token="a"))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    spelled = words(tmp_path / "tokenizer.json")
    assert [spelled(token) for token in (0, 1, -1)] == ["a", "␀", ""]
    assert [words(None)(token) for token in (3, -1)] == ["3", ""]


def test_the_last_matrix_before_the_logits_is_the_unembedding_with_and_without_output_weights():
    generator = torch.Generator().manual_seed(0)
    unembedding, output = torch.randn(6, 40, generator=generator), torch.randn(9, 6, generator=generator)
    tensors = {"unembedding": unembedding, "mlp/output_weights": output, "resid/residual": torch.zeros(0)}
    shelf = SimpleNamespace(directions=Directions(tensors))
    for site in ("mlp", "resid"):
        np.testing.assert_array_equal(Site.unembedding(shelf, site), unembedding.numpy())
