"""S3.T2 and S3.T3 from a run of `presets/s3-mnist.yaml`: SAEs of an MNIST classifier with the neuron-embedding loss.

`python benchmarks/mnist_effects.py` prints, for each recipe, means over its seeds with 95 % intervals (Student's t) as
rows of docs/results.md. It needs no more of a run than the SAEs and the stores of the model:

    snakemake --cores all --configfile presets/s3-mnist.yaml -- $(python benchmarks/mnist_effects.py --targets)

Distances are those of (x − b_dec) ⊙ w over the first 100 test images that a feature is active on, with w its encoder
row; medians over features with at least two such images. Dead are features whose largest activation on the training
images is below 0.005, as in the document, and L1 is summed over 128 images, as there.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats

from polysem.activations.rows import ActivationRows
from polysem.layout.place import SPLITS, Place
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.params.study import load_study
from polysem.saes.sae import load_sae
from polysem.tables.parts.dead import DEAD_BELOW

PRESET = Path("presets/s3-mnist.yaml")
SITE = "layers.0.hook_post"
EXAMPLES, BATCH = 100, 128
COLUMNS = {
    "MSE": "{:.3f}",
    "L1": "{:,.0f}",
    "L0 / %": "{:.2f}",
    "accuracy loss / %": "{:.2f}",
    "max distance": "{:.3f}",
    "mean distance": "{:.3f}",
    "size": "{:.1f}",
    "dead / %": "{:.1f}",
}


def all_rows(model, split):
    rows = ActivationRows(Path(f"results/activations/{model}/{SITE}/{split}.zarr"))
    return torch.from_numpy(rows.slice(0, rows.length))


def embedding_distances(x, f, sae):
    """Largest and mean cosine distance, and number of images, of each feature with at least two."""
    found = []
    for feature in torch.nonzero((f > 0).sum(0) >= 2).view(-1).tolist():
        images = torch.nonzero(f[:, feature] > 0).view(-1)
        chosen = images[:EXAMPLES]
        embedding = F.normalize((x[chosen] - sae.b_dec) * sae.W_enc[:, feature], dim=1)
        distance = (1 - embedding @ embedding.T)[~torch.eye(len(chosen), dtype=torch.bool)]
        found.append((float(distance.max()), float(distance.mean()), len(images)))
    return np.array(found)


def effects(sae, train, test, accuracy):
    f = sae.encode(test)
    reconstruction = sae.decode(f)
    largest, mean, size = np.median(embedding_distances(test, f, sae), axis=0)
    largest_on_training = torch.stack([sae.encode(block).amax(0) for block in train.split(10_000)]).amax(0)
    return {
        "MSE": float((reconstruction - test).square().mean()),
        "L1": BATCH * float(f.sum(1).mean()),
        "L0 / %": 100 * float((f > 0).float().mean()),
        "accuracy loss / %": 100 * (accuracy(test) - accuracy(reconstruction)),
        "max distance": largest,
        "mean distance": mean,
        "size": size,
        "dead / %": 100 * float((largest_on_training < DEAD_BELOW).float().mean()),
    }


def with_interval(values, form):
    if len(values) == 1:
        return form.format(values[0])
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return f"{form.format(np.mean(values))} ± {form.format(half)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", action="store_true", help="print the files that a run has to make before")
    parser.add_argument("--model", default="mnist", help="another classifier of the preset, such as the published one")
    arguments = parser.parse_args()
    model = arguments.model
    saes = {}
    study, site = load_study(PRESET), Place(model, SITE)
    for identity in study.saes_of(model, SITE):
        saes.setdefault(study.saes[identity].recipe_name, []).append(Path(site.of(identity).sae.path))
    if arguments.targets:
        print(*(folder / "cfg.json" for folders in saes.values() for folder in folders))
        print(*(site.activations(split).receipt for split in SPLITS))
        return
    tokens = TokenStore(Path(site.tokens("eval").store))
    labels = tokens.batch(0, tokens.sequences).targets[:, 0]
    output = load_subject(Path(site.weights.path), "cpu").model.layers[1]
    train, test = all_rows(model, "train"), all_rows(model, "eval")

    def accuracy(x):
        return float((output(x).argmax(1) == labels).float().mean())

    print(f"accuracy {100 * accuracy(test):.1f} %\n")
    print(f"| recipe | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    for recipe, folders in saes.items():
        found = [effects(load_sae(folder, 64), train, test, accuracy) for folder in folders]
        cells = (with_interval([one[name] for one in found], form) for name, form in COLUMNS.items())
        print(f"| {recipe} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    with torch.inference_mode():
        main()
