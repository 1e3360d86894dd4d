"""Tags that imply others, and their features: by hand, against slow loops, beside a control, and where none are."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from measured import made

from polysem.io.stores import create_array, written_store
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.saes.activation_functions import standard
from polysem.saes.sae import SAE, save_sae
from polysem.saes.transcoder import Transcoder
from polysem.tables.parts.token_tags import held_out
from polysem.tables.passes.probing.hierarchy import (
    Pairs,
    cosine_limits,
    cosines,
    detectors,
    implying_pairs,
    main_features,
    missed,
    split_features,
)
from polysem.tables.passes.probing.hierarchy_summaries import means, of_control
from polysem.tables.passes.probing.tokens import ProbedTokens

TAGS = ["story", "opening", "name", "hero", "weather", "rare"]
SEQUENCES, LENGTH, NEURONS, LATENTS = 400, 6, 8, 47


def probed_tokens(carried, held_out, unit=None):
    carried, held_out = np.array(carried, bool), np.array(held_out, bool)
    number = np.arange(len(carried))
    return ProbedTokens(
        number, carried, held_out, np.zeros_like(number) if unit is None else unit, np.ones(len(number))
    )


# Tokens of half B: the parent, its child, the main feature of each.
BY_HAND = np.array(
    [
        [1, 1, 0, 1],
        [1, 1, 1, 1],
        [1, 1, 0, 0],
        [1, 0, 1, 0],
        [1, 1, 0, 1],
        [1, 0, 0, 0],
        [1, 0, 1, 0],
        [0, 0, 1, 0],
    ],
    bool,
)


def by_hand():
    """Those of half B behind two tokens of half A, on which everything is on."""
    tokens = probed_tokens(
        np.vstack([np.ones((2, 2), bool), BY_HAND[:, :2]]), [0] * 2 + [1] * 8, np.repeat([0, 0, 1], [2, 4, 4])
    )
    active = {
        feature: np.append([0, 1], 2 + np.flatnonzero(BY_HAND[:, 2 + place])) for place, feature in [(0, 7), (1, 3)]
    }
    return tokens, active


def test_missed_and_absorbed_tokens_by_hand():
    tokens, active = by_hand()
    pairs = Pairs(np.array([1]), np.array([0]))
    main, limit = np.array([7, 3]), np.array([0.78])
    found = missed(tokens, pairs, main, active, np.array([0.8]), limit, 0)
    # Tokens 0, 1, 2 and 4 have both tags; the parent's feature is off on 0, 2 and 4, and the child's on on 0 and 4.
    assert (found.tokens_with_child.tolist(), found.tokens_elsewhere.tolist()) == ([4], [3])
    assert found.with_child.share.tolist() == [3 / 4]
    assert found.absorbed.share.tolist() == [2 / 4]
    # Tokens 3, 5 and 6 have the parent alone; it is off on 5.
    assert found.elsewhere.share.tolist() == [1 / 3]
    # The first sequence has 1 of 3 absorbed, the other 1 of 1; a resample holds either, or both.
    assert (found.absorbed.low.tolist(), found.absorbed.high.tolist()) == ([1 / 3], [1.0])
    for cosine in (0.78, np.nan):
        assert missed(tokens, pairs, main, active, np.array([cosine]), limit, 0).absorbed.share.tolist() == [0.0]


def test_a_parent_without_a_feature_has_no_share_and_a_child_without_one_or_with_the_same_absorbs_nothing():
    tokens, active = by_hand()
    pairs, along = Pairs(np.array([1]), np.array([0])), (np.array([0.8]), np.array([0.7]))
    nothing = missed(tokens, pairs, np.array([-1, 3]), active, *along, 0)
    for shares in (nothing.with_child, nothing.elsewhere, nothing.absorbed):
        assert np.isnan([shares.share, shares.low, shares.high]).all()
    for child in (-1, 7):
        found = missed(tokens, pairs, np.array([7, child]), active, *along, 0)
        assert (found.with_child.share.tolist(), found.absorbed.share.tolist()) == ([3 / 4], [0.0])
    no_direction = missed(tokens, pairs, np.array([7, 3]), active, along[0], np.array([np.nan]), 0)
    assert no_direction.with_child.share.tolist() == [3 / 4] and np.isnan(no_direction.absorbed.share).all()


def test_detectors_by_hand():
    tokens, active = by_hand()
    own, of_children = detectors(tokens, Pairs(np.array([1]), np.array([0])), np.array([7, 3]), active, 0)
    # The parent's feature is on on 1, 3, 6 and 7, three of its 7 tokens; the child's on 0, 1 and 4, all of them its.
    assert own.share[0] == 2 * 3 / (4 + 7) and of_children.share[0] == 2 * 3 / (3 + 7)
    assert np.isnan([own.share[1], of_children.share[1]]).all()
    # The first sequence has 4 tokens with the parent and 2 told, both right; the other 3, and 1 of 2 right.
    assert own.low[0] == 2 * 1 / (2 + 3) and own.high[0] == 2 * 2 / (2 + 4)
    both = detectors(tokens, Pairs(np.array([1, 1]), np.array([0, 0])), np.array([7, -1]), active, 0)[1]
    assert both.share[0] == 0


def test_cosines_and_their_limit_by_hand():
    decoder = np.array([[1, 0], [0, 2], [-1, 0], [0, 0]], np.float32)
    cosine = cosines(decoder, np.array([[3, 4], [0, 0], [np.nan, 1]], np.float32))
    np.testing.assert_allclose(cosine[0], [0.6, 0.8, -0.6, np.nan], rtol=1e-6)
    assert np.isnan(cosine[1:]).all()
    # The row of zeros does not count; of -0.6, 0.6 and 0.8 the quantile 0.95 lies nine tenths between the last two.
    np.testing.assert_allclose(cosine_limits(cosine), [0.78, np.nan, np.nan], rtol=1e-6)


def test_main_features_have_the_mean_most_above_and_split_ones_the_fewest_that_come_near():
    differences = np.array([[-3.0, -2.0, np.nan, 0.5], [1.0, -1.0, np.nan, 0.7], [2.0, 0.0, np.nan, 0.7]])
    assert main_features(differences).tolist() == [2, -1, -1, 1]
    f1 = np.array(
        [[0.5, 0.6, 0.68, 0.7], [0.68, 0.1, 0.1, 0.7], [0.1, 0.2, 0.3, 0.4], [0.9, 0.9, 0.9, 0.9], [np.nan] * 4]
    )
    found = split_features(f1, np.array([1, 2, 4, 8]), np.array([True, True, True, False, False]))
    assert found.tolist() == [4, 1, 8, -1, -1]


def test_direct_pairs_by_hand():
    # Animals 0 to 9, dogs 0 to 5, puppies 0 to 2, red 0 and 10: puppies are animals by being dogs.
    numbers = np.arange(12)
    half = np.stack([numbers < 10, numbers < 6, numbers < 3, (numbers == 0) | (numbers == 10)], axis=1)
    tokens = probed_tokens(np.vstack([half, half]), np.repeat([0, 1], 12))
    every = np.ones(4, bool)
    found = implying_pairs(tokens, every, least=1)
    assert (found.child.tolist(), found.parent.tolist()) == ([1, 2], [0, 1])
    # Without dogs among the tags that are probed, there is none in between.
    found = implying_pairs(tokens, every & (np.arange(4) != 1), least=1)
    assert (found.child.tolist(), found.parent.tolist()) == ([2], [0])
    # 4 animals are no dogs, and 3 dogs no puppies.
    found = implying_pairs(tokens, every, least=4)
    assert (found.child.tolist(), found.parent.tolist()) == ([1, 2], [0, 0])
    assert implying_pairs(tokens, every, least=8).pairs == 0
    # Half B alone does not tell pairs, but has to have the tokens without the child.
    later = half.copy()
    later[:, 1] = later[:, 0]
    found = implying_pairs(probed_tokens(np.vstack([half, later]), np.repeat([0, 1], 12)), every, least=1)
    assert (found.child.tolist(), found.parent.tolist()) == ([2, 2], [0, 1])


def test_tags_that_imply_each_other_are_no_pair_and_neither_is_one_that_nearly_all_tokens_carry():
    numbers = np.arange(1000)
    twins = [numbers < 200, (numbers > 0) & (numbers < 201)]
    tags = np.stack([*twins, numbers < 100, numbers < 990, numbers % 10 == 0], axis=1)
    tokens = probed_tokens(np.vstack([tags, tags]), np.repeat([0, 1], 1000))
    found = implying_pairs(tokens, np.ones(5, bool), least=1)
    # Twins share 199 of 200 tokens; tag 2 shares 100 and 99 of its 100 with them, and tag 4 99 of 100 with tag 3.
    assert (found.child.tolist(), found.parent.tolist()) == ([2, 2], [0, 1])
    tags[989, 3] = False
    tokens = probed_tokens(np.vstack([tags, tags]), np.repeat([0, 1], 1000))
    found = implying_pairs(tokens, np.ones(5, bool), least=1)
    assert (found.child.tolist(), found.parent.tolist()) == ([2, 2, 0, 1, 4], [0, 1, 3, 3, 3])


def test_means_are_over_the_pairs_that_are_kept_and_have_a_share():
    values = {
        "absorbed": np.array([0.2, 0.4, 0.9, np.nan]),
        "missed_with_child": np.array([0.5, 0.7, 0.0, np.nan]),
        "missed_elsewhere": np.array([0.1, 0.1, 0.0, np.nan]),
    }
    found = means(values, np.array([True, True, False, True]), 0)
    np.testing.assert_allclose(
        [found[f"{name}_share"] for name in ("absorbed", "missed_with_child", "missed_elsewhere")], [0.3, 0.6, 0.1]
    )
    np.testing.assert_allclose([found["absorbed_share_low"], found["absorbed_share_high"]], [0.2, 0.4])
    assert np.isnan([*means(values, np.zeros(4, bool), 0).values()]).all()


def test_pairs_of_a_control_are_found_by_name():
    names = {"child": np.array(["b", "c", "d"], object), "parent": np.array(["a", "a", "b"], object)}
    shares = {"absorbed": [0.1, 0.2, 0.3], "missed_with_child": [0.4, 0.5, 0.6]}
    theirs = {"child": ["d", "x", "b"], "parent": ["b", "a", "a"]}
    control = xr.Dataset({name: ("pair", values) for name, values in (theirs | shares).items()})
    found = of_control(names["child"], names["parent"], np.array([True, True, False]), control)
    np.testing.assert_array_equal(found["control_absorbed"], [0.3, np.nan, 0.1])
    np.testing.assert_array_equal(found["control_missed_with_child"], [0.6, np.nan, 0.4])
    assert (found["control_absorbed_share"], found["control_missed_with_child_share"]) == (0.3, 0.6)
    nothing = of_control(names["child"], names["parent"], np.ones(3, bool), xr.Dataset(attrs={"not_applicable": "so"}))
    assert np.isnan(nothing["control_absorbed"]).all() and np.isnan(nothing["control_absorbed_share"])


@pytest.fixture
def site(tagged_store, tmp_path):
    """Stories with openings, names, heroes among these and weather anywhere; neurons that lean on a tag each; an SAE of
    which the features of stories and of names are off where the tags below them are, whose features point there, too.
    """
    random = np.random.default_rng(0)
    story = np.repeat(random.random(SEQUENCES) < 0.8, LENGTH)
    opening = story & (np.tile(np.arange(LENGTH), SEQUENCES) < 2)
    name = story & (random.random(story.size) < 0.3)
    hero = name & (random.random(story.size) < 0.4)
    weather, rare = random.random(story.size) < 0.3, random.random(story.size) < 0.002
    carried = np.stack([story, opening, name, hero, weather, story & rare], axis=1)
    x = random.normal(0, 0.25, (story.size, NEURONS))
    x[:, :4] += carried[:, :4]
    place = Place("m", "s", "neurons", root=str(tmp_path))
    write_tokens(tagged_store, place, TAGS, carried)
    write_activations(place, x.astype(np.float32))
    W_enc, W_dec = np.zeros((NEURONS, LATENTS), np.float32), np.zeros((LATENTS, NEURONS), np.float32)
    W_enc[:6, :6] = np.eye(6)
    W_enc[1, 0], W_enc[3, 2] = -0.8, -0.5
    W_dec[:6, :6] = np.eye(6)
    W_dec[1, 0], W_dec[3, 2] = 2, 1
    W_dec[7:, 4:] = random.normal(size=(LATENTS - 7, NEURONS - 4))
    bias = np.where(np.arange(LATENTS) < 7, -0.3, -1e6).astype(np.float32)
    save(place.of("l1"), W_enc, bias, W_dec)
    return SimpleNamespace(place=place, x=x.astype(np.float32), carried=carried, decoder=W_dec, f=_relu(x, W_enc, bias))


def _relu(x, W_enc, bias):
    return np.maximum(x.astype(np.float32) @ W_enc + bias, 0)


def write_tokens(tagged_store, place, names, carried):
    store = Path(place.tokens("eval").store)
    store.parent.mkdir(parents=True, exist_ok=True)
    tagged_store(names, carried.reshape(SEQUENCES, LENGTH, len(names))).rename(store)


def write_activations(place, x):
    store = Path(place.activations("eval").store)
    with written_store(store, attributes={}, params={}, code="", device="cpu") as group:
        create_array(group, "activations", x.shape, "float32", ("token", "neuron"), compressed=False)[:] = x
        for column, values in zip(("sequence", "position"), np.divmod(np.arange(len(x)), LENGTH), strict=True):
            create_array(group, column, values.shape, "int32", ("token",), compressed=True)[:] = values


def folder_of(place) -> Path:
    """Of an SAE; that of its tables is there, too."""
    Path(place.tables).mkdir(parents=True)
    folder = Path(place.sae.path)
    folder.mkdir(parents=True)
    return folder


def save(place, W_enc, bias, W_dec):
    parts = [torch.from_numpy(values) for values in (W_enc, bias, W_dec)]
    save_sae(SAE(*parts, torch.zeros(W_dec.shape[1]), standard.Function()), folder_of(place), {}, parts[1])


def probing_of(place, control=None) -> xr.Dataset:
    """The table that a dictionary's own reads, written."""
    beside = [] if place.dictionary == "neurons" else [place.of("neurons").names]
    found = made("dictionary", "sparse_probing", place, "language", neurons=beside, control=control or [])
    written(place, "sparse_probing", found)
    return found


def written(place, name, table):
    file = Path(place.table(name))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_table(file, table)


def hierarchy_of(place, control=None) -> xr.Dataset:
    beside = [] if place.dictionary == "neurons" else [place.of("neurons").names]
    return made("dictionary", "tag_hierarchy", place, "language", neurons=beside, control=control or [])


@pytest.fixture
def tables(site):
    """The neurons' probes, the SAE's, and the SAE's hierarchy."""
    neurons, own = probing_of(site.place), probing_of(site.place.of("l1"))
    return SimpleNamespace(neurons=neurons, own=own, hierarchy=hierarchy_of(site.place.of("l1")))


def slow_main(site, tag) -> int:
    early = ~held_out(np.repeat(np.arange(SEQUENCES), LENGTH))
    on = early & site.carried[:, tag]
    return int(np.argmax(site.f[on].mean(0) - site.f[early & ~site.carried[:, tag]].mean(0)))


def slow_f1(site, on, tag) -> float:
    tagged = site.carried[:, tag]
    return 2 * (on & tagged).sum() / (on.sum() + tagged.sum())


def test_numbers_are_those_of_slow_loops(site, tables):
    table = tables.hierarchy
    pairs = [*zip(table["child"].values, table["parent"].values, strict=True)]
    assert pairs == [("opening", "story"), ("name", "story"), ("hero", "name")]
    later = held_out(np.repeat(np.arange(SEQUENCES), LENGTH))
    for number, (child, parent) in enumerate(pairs):
        child, parent = TAGS.index(child), TAGS.index(parent)
        of_child, of_parent = slow_main(site, child), slow_main(site, parent)
        assert (of_child, of_parent) == (child, parent)
        assert table["main_feature"].values[[child, parent]].tolist() == [of_child, of_parent]
        direction = tables.neurons["dense_weight"].values[parent]
        every = [row @ direction / np.sqrt(row @ row * (direction @ direction)) for row in site.decoder if row.any()]
        cosine, limit = every[of_child], np.quantile(every, 0.95)
        np.testing.assert_allclose(table["cosine"][number], cosine, rtol=1e-4)
        np.testing.assert_allclose(table["cosine_limit"][number], limit, rtol=1e-4)
        both = alone = off = off_alone = absorbed = 0
        for token in np.flatnonzero(later & site.carried[:, parent]):
            is_off = site.f[token, of_parent] == 0
            if site.carried[token, child]:
                both, off = both + 1, off + is_off
                absorbed += is_off and site.f[token, of_child] > 0 and cosine > limit
            else:
                alone, off_alone = alone + 1, off_alone + is_off
        assert table["tokens_with_child"].values[number] == both and table["tokens_elsewhere"].values[number] == alone
        for name, share in (
            ("missed_with_child", off / both),
            ("missed_elsewhere", off_alone / alone),
            ("absorbed", absorbed / both),
        ):
            assert float(table[name][number]) == pytest.approx(share), name
            ends = [float(table[f"{name}_{end}"][number]) for end in ("low", "high")]
            assert ends[0] < share < ends[1] or ends == [share, share] == [0, 0]
    # The SAE was made so that openings take the place of stories, and heroes that of names.
    assert (table["absorbed"].values > 0.2).tolist() == [True, False, True]
    assert (table["missed_with_child"] > 0.1 + table["missed_elsewhere"]).values.tolist() == [True, False, True]


def test_detectors_and_splitting_are_those_of_slow_sums(site, tables):
    table, later = tables.hierarchy, held_out(np.repeat(np.arange(SEQUENCES), LENGTH))
    half = SimpleNamespace(carried=site.carried[later], f=site.f[later])
    assert table["children"].values.tolist() == [2, 0, 1, 0, 0, 0]
    for parent, children in ((0, [1, 2]), (2, [3])):
        own, of_children = (float(table[name][parent]) for name in ("own_f1", "children_f1"))
        assert own == pytest.approx(slow_f1(half, half.f[:, parent] > 0, parent))
        assert of_children == pytest.approx(slow_f1(half, (half.f[:, children] > 0).any(1), parent))
        assert table["own_f1_low"].values[parent] < own < table["own_f1_high"].values[parent]
        assert table["children_f1_low"].values[parent] < of_children < table["children_f1_high"].values[parent]
        f1 = tables.own["f1"].values[parent]
        fewest = next(count for count, one in zip((1, 2, 4, 8), f1, strict=True) if one >= f1[-1] - 0.03)
        assert int(table["split_features"][parent]) == fewest
    for tag in (1, 3, 4, 5):
        assert int(table["split_features"][tag]) == -1
        assert np.isnan([table["own_f1"].values[tag], table["children_f1"].values[tag]]).all()


def test_scalars_are_of_the_pairs_of_which_both_tags_are_kept(site, tables):
    assert int(tables.hierarchy["hierarchy_pairs"]) == 3 and int(tables.hierarchy["left_out_pairs"]) == 0
    for tag, kept in (
        ("opening", [False, True, True]),
        ("name", [True, False, False]),
        ("story", [False, False, True]),
    ):
        own = tables.own.copy(deep=True)
        own["kept"][TAGS.index(tag)] = False
        written(site.place.of("l1"), "sparse_probing", own)
        table = hierarchy_of(site.place.of("l1"))
        assert table["kept"].values.tolist() == kept
        assert int(table["left_out_pairs"]) == 3 - sum(kept)
        for name in ("absorbed", "missed_with_child", "missed_elsewhere"):
            np.testing.assert_array_equal(table[name], tables.hierarchy[name])
            assert float(table[f"{name}_share"]) == pytest.approx(table[name].values[kept].mean())
        parents = [TAGS.index(parent) for parent in {*table["parent"].values[kept]}]
        assert float(table["split_tag_share"]) == np.mean(table["split_features"].values[parents] > 1)
        for name in ("own_f1", "children_f1"):
            assert float(table[f"parents_{name}"]) == np.mean(table[name].values[parents])


def test_the_same_pairs_of_a_control_stand_beside_by_name(site, tables):
    control = Place("random", "s", "l1", root=site.place.root)
    theirs = tables.hierarchy.isel(pair=[2, 0]).copy(deep=True)
    theirs["absorbed"][:], theirs["missed_with_child"][:] = [0.25, 0.5], [0.75, 1.0]
    written(control, "tag_hierarchy", theirs)
    table = hierarchy_of(site.place.of("l1"), [control.names])
    np.testing.assert_array_equal(table["control_absorbed"], [0.5, np.nan, 0.25])
    np.testing.assert_array_equal(table["control_missed_with_child"], [1.0, np.nan, 0.75])
    assert (float(table["control_absorbed_share"]), float(table["control_missed_with_child_share"])) == (0.375, 0.875)
    assert table.attrs["control"] == "random"
    np.testing.assert_array_equal(table["absorbed"], tables.hierarchy["absorbed"])
    assert "control_absorbed" not in tables.hierarchy


def test_where_nothing_implies_anything_the_table_says_why(site, tables, tagged_store):
    neurons = hierarchy_of(site.place)
    assert "absorption is of features of an SAE" in neurons.attrs["not_applicable"] and not neurons.data_vars
    parts = (torch.zeros(NEURONS, 3), torch.zeros(3), torch.ones(3, 5), torch.zeros(5), standard.Function())
    save_sae(Transcoder(*parts, W_skip=None, target="t"), folder_of(site.place.of("across")), {}, torch.zeros(3))
    across = hierarchy_of(site.place.of("across"))
    assert across.attrs["not_applicable"].startswith("probes are of s and decoder rows stand at t, which")
    store = Path(site.place.tokens("eval").store)
    for names, tags, why in (
        ([], [], "the tokens carry no tags"),
        (["story", "weather"], [0, 4], "no tag that is probed"),
    ):
        store.rename(store.with_name(f"before-{len(names)}.zarr"))
        write_tokens(tagged_store, site.place, names, site.carried[:, tags])
        table = hierarchy_of(site.place.of("l1"))
        assert table.attrs["not_applicable"].startswith(why) and not table.data_vars


def test_a_dictionary_that_is_never_active_misses_nothing_it_could_miss(site, tables):
    silent = site.place.of("silent")
    save(silent, np.zeros((NEURONS, LATENTS), np.float32), np.full(LATENTS, -1, np.float32), site.decoder)
    probing_of(silent)
    table = hierarchy_of(silent)
    assert (table["main_feature"].values == -1).all() and int(table["hierarchy_pairs"]) == 3
    assert np.isnan([table[name].values for name in ("absorbed", "missed_with_child", "missed_elsewhere")]).all()
    assert np.isnan(table["absorbed_share"]) and table["own_f1"].values[[0, 2]].tolist() == [0, 0]
