"""The published MLP and SAE of mechMNISTic: what was published of their units, and Tables 2 and 3 of document S3.

The published pages show 64 neurons ("0_j") and 512 features of the SAE ("1_j") on the training images. An activation
counts on them if it is above 4 (neurons) or above 0 (features) when rounded to two digits; clusters are cut at 0.2 and
0.05; the SAE's features are fed the activations without subtracting b_dec. Table 3 takes the test images, every
activation above 0, and subtracts b_dec. Numbers of the pages were computed in float32, histograms with even less.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from surveyed import ExampleChoice, survey

from polysem.activations.rows import ActivationRows
from polysem.io.tensor_files import open_tensors
from polysem.models.batches import TokenStore
from polysem.numerics.cluster_measures import cluster_measures
from polysem.numerics.linkage import cosine_distances
from polysem.params.analysis import Analysis
from polysem.saes.entries import SparseEntries
from polysem.saes.formats.mechmnistic import INPUT_MEAN, INPUT_STD, read
from polysem.tables.of_dictionary.alignment import neuron_alignment
from polysem.tables.parts.directions import Directions
from polysem.tables.parts.token_tags import TokenTags
from polysem.tables.passes.embeddings.clusters import clusters
from polysem.tables.passes.embeddings.measured import grouped
from polysem.tables.passes.embeddings.strong_examples import collect_examples
from polysem.tables.passes.survey.recording import Recorded
from polysem.tables.passes.survey.tags import TagCounts
from polysem.tables.passes.survey.windows import Window

DATA = Path(__file__).parents[3] / "../shared/data"
PAIR, MNIST = DATA / "mechmnistic/standard_sae", DATA / "mnist/mnist.npz"
NEURON_CUT, FEATURE_CUT = 0.2, 0.05
LEAST_NEURON, LEAST_FEATURE = 4.005, 0.005
NEURONS = {  # max, mean, intra, inter, size, clusters
    0: (1.0632730647921562, 0.5561428280008811, 0.14931227266788483, 0.5609662532806396, 100, 67),
    1: (0.9982083281502128, 0.4391146537080181, 0.14437130093574524, 0.45413339138031006, 100, 48),
    2: (0.8861098438501358, 0.3015253413581487, 0.15034177899360657, 0.31734880805015564, 100, 20),
    3: (1.1084074825048447, 0.5445224809959046, 0.1350560337305069, 0.5551304221153259, 100, 50),
    4: (1.188396856188774, 0.5954158542261193, 0.15178455412387848, 0.6030741333961487, 100, 61),
}
FEATURES = {
    0: (0.5331107079982758, 0.13717926217450035, 0.02653202973306179, 0.18133807182312012, 100, 20),
    3: (0.34418195486068726, 0.09816086610526215, 0.03721436858177185, 0.11966390907764435, 81, 18),
    4: (0.6376503109931946, 0.20311988959569824, 0.03415479511022568, 0.2332572638988495, 61, 19),
    5: (0.9190970808267593, 0.3932509516631112, 0.024719249457120895, 0.40015286207199097, 100, 58),
    6: (0.6845163106918335, 0.18267503127553106, 0.03254323825240135, 0.20020867884159088, 18, 11),
    7: (0.5304315686225891, 0.12671166245753948, 0.025972213596105576, 0.13968679308891296, 40, 15),
    8: (0.37181949615478516, 0.1465056850796654, 0.03652191162109375, 0.15200486779212952, 7, 6),
    10: (0.8842386454343796, 0.39261778994040053, 0.034640468657016754, 0.39752963185310364, 100, 60),
    506: (0.543785572052002, 0.23787207830519902, 0.03881204128265381, 0.24782507121562958, 7, 6),
    507: (0.025043964385986328, 0.011942760149637858, 0.011942760087549686, None, 6, 1),
    508: (0.4300718307495117, 0.15630189460866592, 0.028655437752604485, 0.1681547909975052, 18, 10),
    509: (0.23951226472854614, 0.08281351725260416, 0.019291527569293976, 0.11786014586687088, 10, 4),
    510: (0.6908129453659058, 0.31945250122210916, 0.0389983132481575, 0.32457831501960754, 40, 30),
    511: (0.7665328979492188, 0.25854207475980123, 0.03483861684799194, 0.26273036003112793, 75, 42),
}
MEASURES = ("max_distance", "mean_distance", "intra_cluster_distance", "inter_cluster_distance")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not (PAIR.is_dir() and MNIST.is_file()), reason=f"needs the published pair of mechMNISTic and MNIST in {DATA}"
    ),
]


@pytest.fixture(scope="module")
def pair():
    """Normalised pixels, neurons and features of both splits."""
    file = open_tensors(PAIR / "model.pt")
    W, b = file.tensor("layers.0.weight", 64, 784), file.tensor("layers.0.bias", 64)
    sae = read(PAIR / "sae.pt").load().sae
    found = SimpleNamespace(W=W.numpy(), b=b, sae=sae, x={}, neurons={}, features={}, labels={})
    with np.load(MNIST) as images:
        for split in ("train", "test"):
            pixels = images[f"x_{split}"].reshape(-1, 784).astype(np.float32) / 255
            found.x[split] = torch.from_numpy((pixels - INPUT_MEAN) / INPUT_STD).float()
            found.neurons[split] = torch.relu(found.x[split] @ W.T + b)
            found.features[split] = sae.encode(found.neurons[split])
            found.labels[split] = images[f"y_{split}"]
    return found


def first_examples(activations, least, count=100):
    """The first tokens whose activation is at least `least`."""
    row, feature = torch.nonzero(activations > 0, as_tuple=True)
    entries = SparseEntries(row, feature, activations[row, feature], tuple(activations.shape))
    threshold = np.full(activations.shape[1], least, np.float32)
    return collect_examples(lambda: [Recorded(0, entries)], threshold, count)


def measured(examples, vectors, weights, units, cut):
    """Measures and clusters of some units, whose examples are rows of `vectors`."""
    few = examples.part(np.array(units))
    distances = cosine_distances(vectors[np.maximum(few.token, 0)], weights[units])
    groups = grouped(distances, few.size, cut)
    return cluster_measures(groups.distances, groups.cluster), groups.cluster, few


def compared(published, found, size):
    """Asserts that measures are those published, to float32 rounding, and counts exactly."""
    for place, (unit, (*distances, count, groups)) in enumerate(published.items()):
        for name, value in zip(MEASURES, distances, strict=True):
            expected = np.nan if value is None else value
            np.testing.assert_allclose(found[name][place], expected, rtol=2e-6, atol=5e-7, err_msg=f"{name} of {unit}")
        assert (size[place], found["clusters"][place]) == (count, groups), unit


def test_every_published_measure_of_neurons_is_found_again(pair):
    examples = first_examples(pair.neurons["train"], LEAST_NEURON)
    found, _, few = measured(examples, pair.x["train"].numpy(), pair.W, list(NEURONS), NEURON_CUT)
    compared(NEURONS, found, few.size)
    assert few.token[2, :14].tolist() == [31, 415, 445, 503, 685, 705, 725, 791, 817, 963, 1339, 1439, 1453, 1519]
    assert few.token[0, -3:].tolist() == [1249, 1255, 1262]


def test_every_published_measure_of_features_is_found_again(pair):
    examples = first_examples(pair.features["train"], LEAST_FEATURE)
    weights = pair.sae.W_enc.T.numpy()
    found, cluster, few = measured(examples, pair.neurons["train"].numpy(), weights, list(FEATURES), FEATURE_CUT)
    compared(FEATURES, found, few.size)
    place = list(FEATURES).index(509)
    tokens = few.token[place, :10]
    members = [tokens[cluster[place, :10] == number].tolist() for number in range(4)]
    assert members == [[18486, 28414, 31180, 40040, 40732, 47704], [16909, 43852], [41802], [49500]]
    size = examples.size
    assert (size[1], size[9]) == (0, 0)
    assert (size[2], examples.token[2, 0]) == (1, 41516)


def test_the_published_activation_histograms_are_those_of_the_training_images(pair):
    """Each of the 60,000 activations of every unit, sorted, is the published one to a digit of its rounding."""
    statistics = json.loads((PAIR / "activation_statistics.json").read_text())
    assert len(statistics) == 64 + 512
    for layer, activations in enumerate((pair.neurons["train"].numpy(), pair.features["train"].numpy())):
        ours = np.sort(activations, axis=0)
        for unit in range(ours.shape[1]):
            counts = {float(value): count for value, count in statistics[f"{layer}_{unit}"].items()}
            values = np.array(sorted(counts))
            theirs = np.repeat(values, [counts[value] for value in values])
            assert np.abs(ours[:, unit] - theirs).max() < 0.01, (layer, unit)
            assert abs(int((np.round(ours[:, unit].astype(np.float64), 2) == 0).sum()) - counts[0.0]) <= 1
    dead = sum(set(counts) == {"0.0"} for unit, counts in statistics.items() if unit.startswith("1_"))
    assert round(100 * dead / 512, 1) == 23.8
    assert int((pair.features["train"] < LEAST_FEATURE).all(dim=0).sum()) == dead


def test_table_2_of_the_document_is_found_again(pair):
    """L1 is the sum over a batch of 128 images; the loss of accuracy is that on the training images. The mean squared
    error, 0.34 of both splits, was published as 0.33."""
    f, x = pair.features["train"], pair.neurons["train"]
    assert round(100 * (f > 0).float().mean().item(), 1) == 2.4
    assert round(128 * f.sum(dim=1).mean().item(), -2) == 2600
    file = open_tensors(PAIR / "model.pt")
    out, bias = file.tensor("layers.1.weight", 10, 64), file.tensor("layers.1.bias", 10)
    labels = torch.from_numpy(pair.labels["train"])

    def accuracy(hidden):
        return ((hidden @ out.T + bias).argmax(dim=1) == labels).double().mean().item()

    assert 1.5 <= 100 * (accuracy(x) - accuracy(pair.sae.decode(f))) < 1.6
    assert round((pair.sae.decode(f) - x).square().mean().item(), 3) == 0.340


def test_table_3_of_the_document_is_found_again(pair, activation_store, image_store):
    """The table of clusters, through stores, of all activations on the test images."""
    store = activation_store(pair.neurons["test"].numpy())
    pixels = (pair.x["test"] * INPUT_STD + INPUT_MEAN).numpy()
    tokens = image_store(pixels, pair.labels["test"].astype(np.int32), 10)
    rows, texts, tags = ActivationRows(store), TokenStore(tokens), TagCounts(TokenTags(tokens), 512)
    found = survey(rows, pair.sae, texts, ExampleChoice(2, 0, Window(0, 0), 0), [tags], scratch=store.parent)
    alignment = neuron_alignment(iter([pair.sae.W_dec.numpy()]), 64)
    analysis = Analysis(strong_share=0)
    table = clusters(
        store,
        pair.sae,
        Directions({}),
        "s",
        found.again,
        tokens,
        found.frequency,
        tags.table(found.again),
        alignment,
        analysis,
    )
    medians = {name: float(table[f"median_{name}"].sel(embedding="neuron")) for name in MEASURES[:2]}
    assert {name: round(value, 2) for name, value in medians.items()} == {"max_distance": 0.45, "mean_distance": 0.21}
    assert float(table["median_size"]) == 7
    assert int(table["never_active_features"]) == 129
    assert int(table["clustered_features"]) == 342
