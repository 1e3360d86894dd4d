"""The table of twins, on small real stores, SAEs and directions in which some are planted."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from measured import made

from polysem.io.errors import InputError
from polysem.io.stores import create_array, written_store
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.params.analysis import Analysis
from polysem.saes.activation_functions.standard import Function
from polysem.saes.sae import SAE, save_sae
from polysem.tables.parts.directions import Directions, write_directions
from polysem.tables.parts.labels import index, labelled, variable
from polysem.tables.passes.comparison.kin import cosines, shared_contexts

SEQUENCES, LENGTH, WIDTH = 60, 20, 12
TOKENS = SEQUENCES * LENGTH
FIRST, SECOND, OUT = "blocks.0.mlp.hook_post", "blocks.1.mlp.hook_post", "blocks.1.hook_mlp_out"
IDS = np.random.default_rng(9).integers(0, 5, (SEQUENCES, LENGTH)).astype(np.int32)


def sparse_columns(seed: int) -> np.ndarray:
    """Activations [token, neuron], each neuron on a tenth of the tokens, unlike each other."""
    random = np.random.default_rng(seed)
    return (random.exponential(size=(TOKENS, WIDTH)) + 1) * (random.random((TOKENS, WIDTH)) < 0.1)


def planted() -> dict[str, np.ndarray]:
    """Activations of three sites.

    Neuron 3 of the second site is twice neuron 5 of the first; neuron 7 of the third is nearly neuron 2 of the second;
    neurons 11 of the first and of the second are active at position 0 alone, by the number of the sequence.
    """
    first, second, out = (sparse_columns(seed) for seed in range(3))
    second[:, 3] = 2 * first[:, 5]
    out[:, 7] = second[:, 2] * (1 + 0.4 * np.random.default_rng(3).random(TOKENS))
    for site in (first, second):
        site[:, 11] = np.where(np.arange(TOKENS) % LENGTH == 0, 5.0, 0.0)
    return {FIRST: first.astype(np.float32), SECOND: second.astype(np.float32), OUT: out.astype(np.float32)}


def reading(*neurons: int | tuple[int, ...], decoder: np.ndarray | None = None) -> SAE:
    """An SAE whose features are neurons, or sums of neurons."""
    rows = np.zeros((len(neurons), WIDTH), np.float32)
    for feature, some in enumerate(neurons):
        rows[feature, list(np.atleast_1d(some))] = 1
    W_dec = torch.from_numpy(rows if decoder is None else decoder.astype(np.float32))
    return SAE(torch.from_numpy(rows.T.copy()), torch.zeros(len(rows)), W_dec, torch.zeros(WIDTH), Function())


SAES = {
    (FIRST, "sae"): reading(5, 0, 0, (1, 2)),  # neuron 5; neuron 0 twice; no neuron
    (SECOND, "sae"): reading(9, (4, 6, 8)),
}


def write_examples(place: Place, f: np.ndarray, top: int = 6) -> None:
    """The two kinds of examples of a dictionary, as the survey writes them."""
    place_of = np.full((f.shape[1], top), -1)
    for feature, column in enumerate(f.T):
        strongest = np.lexsort((np.arange(TOKENS), -column))[:top]
        kept = strongest[column[strongest] > 0]
        place_of[feature, : len(kept)] = kept
    sequence, position = np.where(place_of >= 0, place_of // LENGTH, -1), np.where(place_of >= 0, place_of % LENGTH, -1)
    drawn = np.tile(np.array([[0, 1]]), (f.shape[1], 1))  # the same for all features, which share no context by it
    both = ("feature", "example")
    table = labelled(
        {
            "kind": variable("example", ["top"] * top + ["sample"] * 2, "kind", "1"),
            "sequence": variable(both, np.concatenate([sequence, drawn], axis=1), "sequence", "1"),
            "position": variable(both, np.concatenate([position, drawn], axis=1), "position", "1"),
        },
        {"feature": index("feature", 0, f.shape[1], "feature")},
        {},
    )
    write_table(Path(place.table("examples")), table)


def write_study(root: Path, sites: dict[str, np.ndarray], text: bool = True) -> list[tuple[str, str, str]]:
    """All that the table reads; the places of its scope."""
    model = Place("m", root=str(root))
    with written_store(Path(model.tokens("eval").store), attributes={}, params={}, code="", device="cpu") as group:
        values, name, kind = (IDS, "ids", "int32") if text else (IDS[:, 0], "labels", "int64")
        array = create_array(group, name, values.shape, kind, ("sequence", "position")[: values.ndim], compressed=True)
        array[:] = values
    places = []
    for site, activations in sites.items():
        store = Path(model.at(site).activations("eval").store)
        with written_store(store, attributes={}, params={}, code="", device="cpu") as group:
            array = create_array(
                group, "activations", activations.shape, "float32", ("token", "neuron"), compressed=False
            )
            array[:] = activations
            for name, values in {
                "sequence": np.arange(TOKENS) // LENGTH,
                "position": np.arange(TOKENS) % LENGTH,
            }.items():
                create_array(group, name, values.shape, "int32", ("token",), compressed=True)[:] = values
        for name, sae in {"neurons": None, **{of: sae for (at, of), sae in SAES.items() if at == site}}.items():
            place = model.at(site, name)
            places.append(place.names)
            f = activations.clip(min=0) if sae is None else sae.encode(torch.from_numpy(activations)).numpy()
            write_examples(place, f)
            if sae is not None:
                save_sae(sae, Path(place.sae.path), {}, None)
    tensors = {} if not text else {"unembedding": torch.randn(6, 9), f"{OUT}/residual": torch.zeros(0)}
    generator = torch.Generator().manual_seed(0)
    for site in sites:
        if site != OUT:
            tensors[f"{site}/output_weights"] = torch.randn(WIDTH, WIDTH, generator=generator)
    write_directions(Path(model.directions), Directions(tensors))
    return places


def measured(root: Path, places, kind: str = "language", **params):
    table = made("model", "twins", Place("m", root=str(root)), kind, Analysis(**params), relatives=places)
    return table


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def places(root):
    return write_study(root, planted())


@pytest.fixture(scope="module")
def table(root, places, tokenizer_path):
    return measured(root, places)


@pytest.fixture(scope="module")
def tokenizer_path(root):
    from tokenizers import Tokenizer, models

    path = Path(Place("m", root=str(root)).tokenizer)
    path.parent.mkdir(parents=True)
    Tokenizer(models.WordLevel({word: number for number, word in enumerate("abcde")}, "a")).save(str(path))
    return path


def named(table, twin: int) -> tuple[str, str, int]:
    place = int(table["twin_place"].values[twin])
    said = (str(table[f"place_{name}"].values[place]) for name in ("site", "dictionary"))
    return *said, int(table["twin_feature"].values[twin])


def pairs_of(table) -> list[tuple]:
    both = zip(table["pair_first"].values.tolist(), table["pair_second"].values.tolist(), strict=True)
    return [(named(table, one), named(table, other)) for one, other in both]


def families_of(table) -> list[list[tuple]]:
    family = table["twin_family"].values
    return [
        [named(table, twin) for twin in np.flatnonzero(family == number)] for number in range(table.sizes["family"])
    ]


A, B, C = (FIRST, "neurons", 5), (FIRST, "sae", 0), (SECOND, "neurons", 3)
D, E, F = (FIRST, "neurons", 0), (FIRST, "sae", 1), (FIRST, "sae", 2)
G, H = (FIRST, "neurons", 11), (SECOND, "neurons", 11)
M, N = (SECOND, "neurons", 9), (SECOND, "sae", 0)
K, L = (SECOND, "neurons", 2), (OUT, "neurons", 7)
PLANTED = [[D, E, F], [A, B, C], [G, H], [K, L], [M, N]]
"""By the first member."""
SPANS_OF = {
    **{(E, F): 0, (A, B): 1, (D, E): 1, (D, F): 1, (M, N): 1, (K, L): 2},
    **{(A, C): 3, (B, C): 3, (G, H): 3},
}


def test_twins_and_triplets_that_were_planted_are_found_and_nothing_else(table):
    assert families_of(table) == PLANTED
    assert pairs_of(table) == sorted(
        (pair for family in PLANTED for pair in itertools.combinations(family, 2)),
        key=lambda pair: [(SITE_ORDER[site], dictionary != "neurons", feature) for site, dictionary, feature in pair],
    )
    assert table["family_size"].values.tolist() == [3, 3, 2, 2, 2]
    assert int(table["families_of_two"]) == 3 and int(table["families_of_three"]) == 2
    assert int(table["larger_families"]) == 0 and int(table["without_family"]) == 0
    assert int(table["twin_pairs"]) == 9


SITE_ORDER = {FIRST: 0, SECOND: 1, OUT: 2}


def test_families_are_counted_by_how_far_they_reach_and_what_they_are(table):
    spans, kinds = table["span"].values.tolist(), table["kind"].values.tolist()
    said = [
        (spans[span], kinds[kind])
        for span, kind in zip(table["family_span"].values, table["family_kind"].values, strict=True)
    ]
    both = "features and neurons"
    assert said == [
        ("one site", both),
        ("several layers", both),
        ("several layers", "neurons"),
        ("one layer", "neurons"),
        ("one site", both),
    ]
    counts = table["families"]
    assert counts.sel(span="several layers", kind=both).values.tolist() == [0, 1, 0]
    assert counts.sel(span="one site", kind=both).values.tolist() == [1, 1, 0]
    assert int(counts.sum()) == 5 and int(table["families_across_layers"]) == 2
    pairs = table["pairs"]
    assert int(pairs.sel(span="one dictionary", kind="features")) == 1  # E, F
    assert int(pairs.sel(span="one site", kind=both)) == 4  # AB, DE, DF, MN
    assert int(pairs.sel(span="several layers", kind="neurons")) == 2  # AC, GH
    assert int(pairs.sel(span="several layers", kind=both)) == 1  # BC
    assert int(pairs.sel(span="one layer", kind="neurons")) == 1  # KL
    assert int(pairs.sum()) == 9


def test_pairs_that_there_can_be_are_those_of_features_that_are_active_often_enough(table):
    compared = table["place_compared"].values.tolist()
    assert compared == table["place_features"].values.tolist() == [12, 4, 12, 2, 12]
    possible = table["possible_pairs"]
    assert int(possible.sum()) == 42 * 41 // 2
    assert int(possible.sel(span="one dictionary", kind="neurons")) == 3 * 66
    assert int(possible.sel(span="one dictionary", kind="features")) == 6 + 1
    assert int(possible.sel(span="one site", kind="features and neurons")) == 12 * 4 + 12 * 2
    assert int(possible.sel(span="one layer", kind="neurons")) == 144
    assert int(possible.sel(span="one layer", kind="features and neurons")) == 2 * 12
    assert int(possible.sel(span="several layers", kind="features")) == 4 * 2
    assert table["place_with_twin"].values.tolist() == [3, 3, 4, 1, 1]
    assert float(table["twin_share"]) == 12 / 42


def test_what_is_alike_by_its_position_alone_is_so_when_tokens_are_shuffled_and_nothing_else(table):
    assert int(table["twin_pairs_shuffled"]) == 1  # G, H
    assert int(table["pairs_shuffled"].sel(span="several layers", kind="neurons")) == 1
    assert table["families_shuffled"].sel(span="several layers", kind="neurons").values.tolist() == [1, 0, 0]
    assert int(table["families_shuffled"].sum()) == 1


def dense(root, places) -> list[np.ndarray]:
    """Activations of all dictionaries in float64."""
    sites = planted()
    return [
        sites[site].clip(min=0).astype(float)
        if name == "neurons"
        else SAES[site, name].encode(torch.from_numpy(sites[site])).double().numpy()
        for _, site, name in places
    ]


def test_correlations_are_those_of_numpy_and_pairs_are_counted_from_each_level_on(root, places, table):
    f = np.concatenate(dense(root, places), axis=1)
    correlation = np.corrcoef(f.T)
    starts = np.cumsum([0, *table["place_features"].values])
    number = starts[table["twin_place"].values] + table["twin_feature"].values
    one, other = number[table["pair_first"].values], number[table["pair_second"].values]
    assert table["correlation"].values == pytest.approx(correlation[one, other], abs=1e-6)
    closest = [correlation[np.ix_(*[number[table["twin_family"].values == family]] * 2)].min() for family in range(5)]
    assert table["family_correlation"].values == pytest.approx(closest, abs=1e-6)
    upper = correlation[np.triu_indices(len(correlation), 1)]
    wanted = [(upper >= level - 1e-7).sum() for level in table["level"].values]
    assert table["level"].values == pytest.approx(np.arange(70, 101) / 100)
    assert table["pairs_reaching"].sum("span").values[:-1].tolist() == wanted[:-1]
    assert table["pairs_reaching_shuffled"].sum("span").values[:-1].tolist() == [1] * 30


def test_directions_are_compared_in_the_residual_stream(root, table):
    directions = Directions.read(Path(Place("m", root=str(root)).directions))
    W = {site: directions.output_weights(site).double().numpy() for site in (FIRST, SECOND)}
    written = {A: W[FIRST][5], B: W[FIRST][5], C: W[SECOND][3], K: W[SECOND][2], L: np.eye(WIDTH)[7]}

    def cosine(one, other):
        return written[one] @ written[other] / np.linalg.norm(written[one]) / np.linalg.norm(written[other])

    found = dict(zip(pairs_of(table), table["cosine"].values.tolist(), strict=True))
    for pair in [(A, B), (A, C), (B, C), (K, L)]:
        assert found[pair] == pytest.approx(cosine(*pair), abs=1e-6)
    assert found[A, B] == pytest.approx(1, abs=1e-6) and abs(found[A, C]) < 0.9
    mean = np.mean([found[pair] for pair in [(A, B), (A, C), (B, C)]])
    assert table["family_cosine"].values[1] == pytest.approx(mean)


def test_shared_contexts_are_those_of_the_tables_of_examples(table):
    found = dict(zip(pairs_of(table), table["shared_contexts"].values.tolist(), strict=True))
    assert found[A, C] == found[E, F] == 1
    sites = planted()
    top = [set(np.argsort(-sites[site][:, neuron], kind="stable")[:6]) for site, _, neuron in (K, L)]
    assert 0 < len(top[0] & top[1]) < 6 and found[K, L] == len(top[0] & top[1]) / 6
    assert table["family_contexts"].values[3] == found[K, L]


def test_medians_of_pairs_are_those_of_each_span(table):
    span = [SPANS_OF[pair] for pair in pairs_of(table)]
    for name, values in (("contexts", "shared_contexts"), ("cosine", "cosine")):
        each = [table[values].values[[one == number for one in span]] for number in range(4)]
        wanted = [np.median(of) if len(of) else np.nan for of in each]
        np.testing.assert_allclose(table[f"median_{name}"].values, wanted)
    exchanged = table["median_cosine_exchanged"].values
    assert exchanged[[0, 2]] == pytest.approx(table["median_cosine"].values[[0, 2]])  # one pair each: with itself
    assert exchanged[1] < 0.9 < table["median_cosine"].values[1]


def test_a_twin_is_called_by_the_most_common_of_its_strongest_tokens(table):
    f = planted()[SECOND]
    strongest = IDS.ravel()[np.lexsort((np.arange(TOKENS), -f[:, 2]))[:10]]
    twin = next(number for number in range(table.sizes["twin"]) if named(table, number) == K)
    assert table["twin_token"].values[twin] == "abcde"[np.bincount(strongest).argmax()]
    assert table["twin_token_share"].values[twin] == np.bincount(strongest).max() / 10


def test_a_higher_limit_leaves_fewer_twins_and_a_lower_one_is_searched_for_further_down(root, places, tokenizer_path):
    strict, loose = (measured(root, places, twin_correlation=limit) for limit in (0.9999, 0.3))
    assert families_of(strict) == [family for family in PLANTED if family != [K, L]]
    # Features 3 of the SAE of the first site, and 1 of the second, are sums of two neurons and of three.
    sums = {(FIRST, "sae", 3), (SECOND, "sae", 1)}
    more = [pair for pair in pairs_of(loose) if set(pair) & sums]
    assert len(more) == 2 + 3 and len(pairs_of(loose)) == 9 + 5 + 0
    assert loose["level"].values[0] == pytest.approx(0.3) and loose["level"].values[-1] == 1
    assert int(loose["without_family"]) == 3  # each sum is in a family with one of its neurons


def test_a_classifier_has_no_residual_stream_and_its_tokens_are_classes(tmp_path):
    sites = {f"layers.{number}.hook_post": site for number, site in enumerate([*planted().values()][:2])}
    places = write_study(tmp_path, sites, text=False)
    table = measured(tmp_path, places, kind="classifier")
    assert np.isnan(table["cosine"].values).all() and np.isnan(table["family_cosine"].values).all()
    assert "no residual stream" in table.attrs["cosine_not_applicable"]
    assert table["place_layer"].values.tolist() == [0, 1]
    assert [[*family] for family in families_of(table)] == [
        [("layers.0.hook_post", "neurons", 5), ("layers.1.hook_post", "neurons", 3)],
        [("layers.0.hook_post", "neurons", 11), ("layers.1.hook_post", "neurons", 11)],
    ]
    f = sites["layers.0.hook_post"][:, 5]
    strongest = IDS[np.lexsort((np.arange(TOKENS), -f))[:10] // LENGTH, 0]
    assert table["twin_token"].values[0] == str(np.bincount(strongest).argmax())


def test_a_model_without_twins_has_an_empty_table_that_can_be_written(root, places, tokenizer_path, tmp_path):
    table = measured(root, places[3:4])
    assert table.sizes["pair"] == table.sizes["twin"] == table.sizes["family"] == 0
    assert int(table["twin_pairs"]) == 0 and float(table["twin_share"]) == 0
    write_table(tmp_path / "twins.nc", table)


def test_sites_of_other_tokens_are_refused(tmp_path):
    sites = planted()
    places = write_study(tmp_path, sites)
    store = Path(Place("m", OUT, root=str(tmp_path)).activations("eval").store)
    import zarr

    zarr.open_group(store)["position"][3] = 7
    with pytest.raises(InputError, match="not of the same tokens: position of row 3"):
        measured(tmp_path, places)


def test_shared_contexts_by_hand():
    contexts = np.array([[4, 9, 0, -1], [0, 4, 7, 8], [-1, -1, -1, -1], [9, 4, 0, -1]])
    first, second = np.array([0, 0, 0]), np.array([1, 3, 2])
    assert shared_contexts(contexts, first, second).tolist() == [2 / 4, 1, 0]


def test_cosines_by_hand():
    rows = np.array([[3, 4], [4, 3], [0, 0], [np.nan, np.nan], [-3, -4]], np.float32)
    found = cosines(rows, np.array([0, 0, 0, 0]), np.array([1, 2, 3, 4]))
    assert found[[0, 3]].tolist() == pytest.approx([24 / 25, -1]) and np.isnan(found[1:3]).all()
