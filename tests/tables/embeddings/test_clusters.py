"""The table `clusters` of a small store of text with masked tokens, against a slow way of finding the same."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from measured import made
from scipy.spatial.distance import pdist, squareform
from slow import slow_clusters, slow_measures
from surveyed import ExampleChoice, survey

from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.io.stores import create_array, written_store
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.models.batches import TokenStore
from polysem.models.subject import Subject
from polysem.params.analysis import Analysis
from polysem.saes.activation_functions import standard
from polysem.saes.dictionary import Neurons
from polysem.saes.sae import SAE
from polysem.tables.of_model import cluster_relations
from polysem.tables.parts.directions import Directions, write_directions
from polysem.tables.parts.token_tags import TokenTags
from polysem.tables.passes.embeddings import clusters as clusters_module
from polysem.tables.passes.embeddings import measured
from polysem.tables.passes.embeddings.clusters import AFTER, clusters
from polysem.tables.passes.embeddings.entering import entering
from polysem.tables.passes.survey.tags import TagCounts
from polysem.tables.passes.survey.windows import Window

INPUTS, NEURONS, BEFORE, SITE = 5, 12, 3, "blocks.0.mlp.hook_post"
LENGTHS = (40, 3, 25, 1, 60, 31, 40, 7, 90, 55)
TAGS = ("even", "third", "start")
ANALYSIS = Analysis(context_before=BEFORE, strong_share=0.4, strong_examples=30, cluster_cut=0.3)


@pytest.fixture
def site(tmp_path):
    """What enters the neurons of a site, their activations, and tokens whose first and every eleventh is masked."""
    generator = np.random.default_rng(3)
    width = max(LENGTHS)
    ids = np.zeros((len(LENGTHS), width), np.int32)
    carried = np.zeros((len(LENGTHS), width, 3), bool)
    for sequence, length in enumerate(LENGTHS):
        ids[sequence, :length] = generator.integers(1, 50, length)
        carried[sequence, :length, 0] = ids[sequence, :length] % 2 == 0
        carried[sequence, :length, 1] = ids[sequence, :length] % 3 == 0
        carried[sequence, :4, 2] = True
    words = (carried * np.uint64([1, 2, 4])).sum(axis=2, keepdims=True).astype(np.uint64)
    attributes = {"kind": "text", "vocabulary": 50, "tags": list(TAGS)}
    place = Place("m", SITE, "neurons", str(tmp_path))
    tokens = Path(place.tokens("eval").store)
    with written_store(tokens, attributes=attributes, params={}, code="", device="cpu") as group:
        arrays = {"ids": ids, "length": np.array(LENGTHS, np.int32), "tags": words}
        for name, values in arrays.items():
            dimensions = ("sequence", "position", "word")[: values.ndim]
            create_array(group, name, values.shape, str(values.dtype), dimensions, compressed=True)[:] = values
    places = np.array([(s, p) for s, length in enumerate(LENGTHS) for p in range(length) if p % 11])
    h = generator.standard_normal((len(places), INPUTS)).astype(np.float32)
    h[1:] += 0.7 * h[:-1]
    W = generator.standard_normal((NEURONS, INPUTS)).astype(np.float32)
    W[10] = 0  # never active
    x = np.maximum(h @ W.T + generator.uniform(-2, 0.5, NEURONS), 0).astype(np.float32)
    x[:, 11] = np.where(np.arange(len(x)) == 100, 2.0, 0)
    store = Path(place.activations("eval").store)
    with written_store(store, attributes={}, params={}, code="", device="cpu") as group:
        for name, values in {"activations": x, "inputs": h}.items():
            create_array(group, name, values.shape, "float32", ("token", name), compressed=False)[:] = values
        for name, values in zip(("sequence", "position"), places.T.astype(np.int32), strict=True):
            create_array(group, name, values.shape, "int32", ("token",), compressed=True)[:] = values
    tensors = {f"{SITE}/input_weights": torch.from_numpy(W), f"{SITE}/gate": torch.zeros(0)}
    return SimpleNamespace(
        ids=ids, carried=carried, places=places, h=h, W=W, x=x, store=store, tokens=tokens,
        directions=Directions(tensors), place=place,
    )  # fmt: skip


def sae():
    generator = torch.Generator().manual_seed(0)
    W_enc = torch.randn(NEURONS, 20, generator=generator)
    return SAE(
        W_enc, torch.full((20,), -0.5), W_enc.T.contiguous(), torch.rand(NEURONS, generator=generator),
        standard.Function(),
    )  # fmt: skip


def table_of(site, dictionary, analysis=ANALYSIS):
    rows, tokens = ActivationRows(site.store), TokenStore(site.tokens)
    tags = TagCounts(TokenTags(site.tokens), dictionary.features)
    choice = ExampleChoice(2, 0, Window(1, 1), 0)
    found = survey(rows, dictionary, tokens, choice, [tags], scratch=site.store.parent)
    power = np.linspace(0, 1, dictionary.features)
    alignment = xr.Dataset({"power_top1": ("feature", power)})
    return clusters(
        site.store,
        dictionary,
        site.directions,
        SITE,
        found.again,
        site.tokens,
        found.frequency,
        tags.table(found.again),
        alignment,
        analysis,
    )


def case(site, kind):
    """The table of a dictionary with its activations, what enters, and the weights."""
    if kind == "neurons":
        return table_of(site, Neurons(NEURONS)), site.x, site.h, site.W
    made = sae()
    f = made.encode(torch.from_numpy(site.x)).numpy()
    return table_of(site, made), f, site.x - made.b_dec.numpy(), made.W_enc.T.numpy()


@pytest.fixture(params=["neurons", "sae"])
def measured_case(request, site):
    return case(site, request.param)


def strong(f, feature, share=0.4, count=30):
    return np.flatnonzero((f[:, feature] >= np.float32(share * f[:, feature].max())) & (f[:, feature] > 0))[:count]


def together(site, f, h, feature, token):
    """What enters at the tokens of the window up to a token, weighted by activation."""
    sequence, position = site.places[token]
    near = (site.places[:, 0] == sequence) & (position - BEFORE <= site.places[:, 1]) & (site.places[:, 1] <= position)
    weight = np.where(near, f[:, feature], 0)
    return weight @ h / weight.sum()


def test_examples_clusters_and_measures_are_those_found_one_by_one(site, measured_case):
    table, f, h, W = measured_case
    for feature in range(f.shape[1]):
        tokens = strong(f, feature)
        assert int(table["size"][feature]) == len(tokens)
        places = np.stack([table[f"example_{name}"][feature].values for name in ("sequence", "position")], axis=1)
        assert places[: len(tokens)].tolist() == site.places[tokens].tolist()
        assert (places[len(tokens) :] == -1).all()
        np.testing.assert_allclose(table["example_activation"][feature, : len(tokens)], f[tokens, feature], rtol=1e-5)
        if len(tokens) < 2:
            continue
        weighted = np.stack([together(site, f, h, feature, token) for token in tokens])
        embeddings = {"neuron": h[tokens] * W[feature], "input": h[tokens], "weighted": weighted * W[feature]}
        for name, e in embeddings.items():
            for measure, value in slow_measures(e, 0.3).items():
                found = table[measure].sel(embedding=name)[feature]
                np.testing.assert_allclose(found, value, atol=1e-5, err_msg=f"{name} {measure} {feature}")
        cluster = slow_clusters(embeddings["neuron"], 0.3)
        assert table["example_cluster"][feature, : len(tokens)].values.tolist() == cluster.tolist()
        share = float(table["largest_cluster_share"][feature])
        assert share == pytest.approx((cluster == 0).mean())


def test_the_first_clusters_show_their_central_example_and_the_earliest_others(site, measured_case):
    table, f, h, W = measured_case
    assert table["offset"].values.tolist() == list(range(-BEFORE, AFTER + 1))
    seen = 0
    for feature in range(f.shape[1]):
        tokens = strong(f, feature)
        if len(tokens) < 2:
            assert (table["cluster_size"][feature] == 0).all()
            continue
        e = h[tokens] * W[feature]
        e = e / np.linalg.norm(e, axis=1, keepdims=True)
        cluster = slow_clusters(e, 0.3)
        for number in range(6):
            members = np.flatnonzero(cluster == number)
            assert int(table["cluster_size"][feature, number]) == len(members)
            shown = [place for place in table["cluster_example"][feature, number].values.tolist() if place >= 0]
            if not len(members):
                assert not shown
                continue
            apart = np.round((1 - e[members] @ e[members].T).sum(axis=1), 5)  # pairs are as near to each other
            central = members[apart.argmin()]
            assert shown == [central, *[place for place in members if place != central]][:3]
            assert int(table["central_example"][feature, number]) == central
            for slot, place in enumerate(shown):
                sequence, position = site.places[tokens[place]]
                assert int(table["cluster_sequence"][feature, number, slot]) == sequence
                for offset in range(-BEFORE, AFTER + 1):
                    there = position + offset
                    inside = 0 <= there < LENGTHS[sequence]
                    token = int(table["cluster_token"][feature, number, slot].sel(offset=offset))
                    assert token == (site.ids[sequence, there] if inside else -1)
                    activation = float(table["cluster_activation"][feature, number, slot].sel(offset=offset))
                    row = np.flatnonzero((site.places == (sequence, there)).all(axis=1))
                    expected = f[row[0], feature] if len(row) else np.nan
                    np.testing.assert_allclose(activation, expected, rtol=1e-4)
                    seen += 1
    assert seen > 100


def test_features_that_cannot_be_clustered_say_why_and_count_in_no_median(site):
    table = table_of(site, Neurons(NEURONS))
    states = table["state"].values.tolist()
    assert states[10:] == ["never active", "one example"]
    assert set(states[:10]) == {"clustered"}
    assert int(table["clustered_features"]) == 10
    assert int(table["never_active_features"]) == int(table["one_example_features"]) == 1
    for name in ("mean_distance", "clusters", "purity"):
        median = np.nanmedian(table[name].values[:, :10], axis=1)
        np.testing.assert_allclose(table[f"median_{name}"], median, rtol=1e-6)
    assert np.isnan(table["mean_distance"].values[:, 10:]).all()
    assert not table["rare_secondary"].values[10:].any()


def test_identical_examples_and_numbers_that_are_none_are_states(site):
    weights = site.directions.input_weights(SITE)
    weights[3] = torch.nan
    weights[4] = torch.tensor([1.0, 0, 0, 0, 0])
    positive = site.h[strong(site.x, 4), 0]
    table = table_of(site, Neurons(NEURONS))
    assert str(table["state"][3].item()) == "not a number"
    assert int(table["not_a_number_features"]) == 1
    assert np.isnan(table["mean_distance"].sel(embedding="neuron")[3])
    assert np.isfinite(table["mean_distance"].sel(embedding="input")[3])
    if (positive > 0).all():
        assert str(table["state"][4].item()) == "identical examples"
        assert int(table["clusters"].sel(embedding="neuron")[4]) == 1
    else:
        assert float(table["max_distance"].sel(embedding="neuron")[4]) == 2


def test_the_baseline_has_as_many_different_tokens_and_does_not_depend_on_the_parts(site, monkeypatch):
    table = table_of(site, Neurons(NEURONS))
    finite = np.isfinite(table["random_mean_distance"].values)
    assert (finite == (table["size"].values > 1)).all()
    seen = []
    original = measured.random_tokens
    monkeypatch.setattr(measured, "random_tokens", lambda *a: seen.append((a, original(*a))) or seen[-1][1])
    monkeypatch.setattr(measured, "FEATURES", 1)
    monkeypatch.setattr(clusters_module, "NUMBERS", 1)
    again = table_of(site, Neurons(NEURONS))
    for name, values in table.data_vars.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(again[name], values, atol=1e-6, err_msg=name)
        else:
            assert (again[name].values == values.values).all(), name
    assert seen
    for (_, size, _, length, _), tokens in seen:
        for count, row in zip(size, tokens, strict=True):
            assert len(set(row[:count].tolist())) == count
            assert set(row.tolist()) <= set(range(length))


def test_clusters_agree_with_the_rarest_tag_of_each_example(site):
    table = table_of(site, Neurons(NEURONS))
    rate = [site.carried[s, p] for s, p in site.places]
    order = np.argsort(np.mean(rate, axis=0))
    assert {"purity", "adjusted_mutual_information"} <= set(table.data_vars)
    for feature in range(10):
        tokens = strong(site.x, feature)
        tags = [next((t for t in order if rate[token][t]), -1) for token in tokens]
        cluster = table["example_cluster"][feature, : len(tokens)].values
        pure = sum(max(np.bincount(np.array(tags)[cluster == n] + 1)) for n in range(cluster.max() + 1)) / len(tokens)
        assert float(table["purity"].sel(embedding="neuron")[feature]) == pytest.approx(pure)


def test_shown_features_come_with_all_that_draws_them(site):
    table = table_of(site, sae())
    shown = table["shown_feature"].values
    assert 0 < len(shown) == len(set(shown.tolist())) <= 6
    made = sae()
    for place, feature in enumerate(shown):
        size = int(table["size"][feature])
        assert str(table["state"][feature].item()) == "clustered"
        np.testing.assert_allclose(table["weight"][place], made.W_enc[:, feature])
        merges = table["linkage"][place].values
        assert np.isfinite(merges[: size - 1]).all() and np.isnan(merges[size - 1 :]).all()
        assert float(merges[:, 2][: size - 1].max()) > 0
        entering_ = table["entering"][place].values
        tokens = strong(made.encode(torch.from_numpy(site.x)).numpy(), feature)
        np.testing.assert_allclose(entering_[:size], site.x[tokens] - made.b_dec.numpy(), rtol=1e-5, atol=1e-6)
        assert np.isnan(entering_[size:]).all()
        planes = table["plane"].sel(embedding="neuron")[place].values
        assert np.isfinite(planes[:size]).all() and np.isnan(planes[size:]).all()
        assert (table["token"][place, :size].sel(offset=0) > 0).all()


def test_two_examples_and_two_clusters_of_a_shown_feature_are_contrasted(site):
    for table in (table_of(site, sae()), table_of(site, Neurons(NEURONS))):
        assert len(table["shown_feature"])
        for place, feature in enumerate(table["shown_feature"].values):
            size, central = int(table["size"][feature]), table["central_example"][feature].values
            entering_ = table["entering"][place, :size].values.astype(np.float64)
            products = entering_ * table["weight"][place].values
            cluster = table["example_cluster"][feature, :size].values
            apart = squareform(pdist(products, "cosine"))
            other = central[1] if central[1] >= 0 else apart[central[0]].argmax()
            assert table["contrast_example"][place].values.tolist() == [central[0], other]
            np.testing.assert_allclose(table["contrast_embedding"][place], products[[central[0], other]], rtol=1e-6)
            assert sorted(table["contrast_input"][place].values.tolist()) == list(range(products.shape[1]))
            np.testing.assert_allclose(table["contrast_input_share"][place], 1)
            for name, of in {"neuron": apart, "input": squareform(pdist(entering_, "cosine"))}.items():
                one = table.isel(shown=place).sel(embedding=name)
                assert float(one["contrast_distance"]) == pytest.approx(of[central[0], other], abs=1e-5)
                pairs = [(i, j) for j in range(size) for i in range(j) if max(cluster[i], cluster[j]) < 2]
                for measure, same in {"intra": True, "inter": False}.items():
                    wanted = [of[i, j] for i, j in pairs if (cluster[i] == cluster[j]) == same]
                    found = float(one[f"two_clusters_{measure}_distance"])
                    assert found == pytest.approx(np.mean(wanted) if wanted else np.nan, abs=1e-5, nan_ok=True)


def test_the_median_of_random_tokens_is_that_of_clustered_features(site):
    table = table_of(site, Neurons(NEURONS))
    for name in ("max_distance", "mean_distance", "intra_cluster_distance", "inter_cluster_distance"):
        values = table[f"random_{name}"].values[table["state"].values == "clustered"].astype(np.float64)
        assert float(table["random_median_distance"].sel(distance=name)) == np.nanmedian(values)


def test_neurons_without_input_weights_are_told_which_sites_have_them(site):
    other = "blocks.0.hook_mlp_out"
    with pytest.raises(InputError, match=r"blocks\.0\.mlp\.hook_post"):
        entering(site.store, Neurons(NEURONS), site.directions, other)
    table = clusters(site.store, Neurons(NEURONS), Directions({}), SITE, *[None] * 5, ANALYSIS)
    assert "no site studied here has them" in table.attrs["not_applicable"]
    assert not table.data_vars


def test_a_store_without_inputs_says_what_to_do(site, activation_store):
    with pytest.raises(InputError, match="delete it and its receipt"):
        entering(activation_store(site.x, "other"), Neurons(NEURONS), site.directions, SITE)


def test_the_weights_are_named(site):
    assert table_of(site, Neurons(NEURONS)).attrs["weights"] == "gate weights"
    assert table_of(site, sae()).attrs["weights"] == "encoder rows"


class Steps(Subject):
    """Neurons that add up a weight of their own for every token so far."""

    device = torch.device("cpu")
    sites = (SITE,)
    weights = torch.rand(50, NEURONS, generator=torch.Generator().manual_seed(1))

    def width(self, site):
        return NEURONS

    def visit(self, batch, sites, take, *, inputs=False):
        take(SITE, self.weights[batch.inputs].cumsum(dim=1), None)

    def evaluate(self, batch, replacements=None):
        raise NotImplementedError

    def log_probabilities(self, batch, replacements=None, copies=1, at=None):
        raise NotImplementedError

    input_weights = output_weights = logit_directions = width


def test_central_examples_are_compared_and_the_tokens_before_those_that_are_shown_weighed(site, monkeypatch):
    monkeypatch.setattr(cluster_relations, "load_subject", lambda model, device: Steps())
    found, place = table_of(site, Neurons(NEURONS)), site.place
    write_table(Path(place.table("clusters")), found)
    write_directions(Path(place.directions), site.directions)
    model = Place(place.model, root=place.root)
    table = made("model", "cluster_relations", model, "language", ANALYSIS, relatives=[place.names])
    central = found["central_example"].values
    feature, cluster = np.nonzero(central >= 0)
    assert table["feature"].values.tolist() == feature.tolist()
    assert table["cluster"].values.tolist() == cluster.tolist()
    assert set(table["space"].values.tolist()) == {"residual stream"}
    tokens = [strong(site.x, f)[central[f, c]] for f, c in zip(feature, cluster, strict=True)]
    e = site.h[tokens] * site.W[feature]
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    cosine = np.where(feature[:, None] == feature, -np.inf, e @ e.T)
    np.testing.assert_allclose(table["similarity"], -np.sort(-cosine, axis=1)[:, :5], atol=1e-5)
    assert (np.take_along_axis(cosine, table["neighbour"].values, 1) == -np.sort(-cosine, axis=1)[:, :5]).all()

    replacement = int(np.bincount(np.concatenate([site.ids[s, :n] for s, n in enumerate(LENGTHS)])).argmax())
    assert table.attrs["replacement"] == replacement
    shown, asked = set(found["shown_feature"].values.tolist()), 0
    for row, (f, c, token) in enumerate(zip(feature, cluster, tokens, strict=True)):
        importance = table["importance"].values[row]
        if f not in shown or c >= 3:
            assert np.isnan(importance).all()
            continue
        asked += 1
        sequence, position = site.places[token]
        ids = site.ids[sequence, : position + 1]
        whole = float(Steps.weights[ids, f].sum())
        for offset in range(-BEFORE, 1):
            there = position + offset
            if there < 0 or ids[there] == replacement:
                assert np.isnan(importance[offset + BEFORE])
                continue
            lost = float(Steps.weights[ids[there], f] - Steps.weights[replacement, f]) / whole
            assert importance[offset + BEFORE] == pytest.approx(np.clip(lost, 0, 1), abs=1e-5)
    assert asked and (cluster >= 3).any() and len(set(feature.tolist())) > len(shown)
