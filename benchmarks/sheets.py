"""Feature sheets of a whole dictionary: `python benchmarks/sheets.py [--features 4096] [--keep FOLDER]`.

Writes tables of the shapes that the survey writes (20 top and 20 drawn examples, 31 tokens each), of sparse random
features over random text, then a sheet for every feature, on one core. Prints the time in all and per sheet, that of
copying the same bytes file by file, and the size.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from polysem.io.tables import write_table
from polysem.params.sheets import SheetChoice
from polysem.report.write_sheets import write_sheets
from polysem.tables.of_dictionary.alignment import neuron_alignment
from polysem.tables.parts.labels import index, labelled, variable

NEURONS, TOKENS, VOCABULARY = 512, 100_000, 1024
EXAMPLES, BEFORE, AFTER = 20, 20, 10
ACTIVE = 0.15
"""Share of the tokens of a context on which its feature is active."""


def dataset(features, coordinates, attributes=None, **variables):
    made = {name: variable(dims, values, name, "1") for name, (dims, values) in variables.items()}
    coordinates = {"feature": index("feature", 0, features, "feature")} | coordinates
    return labelled(made, coordinates, attributes or {})


def tokenizer(path):
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    words = ["".join(letters) for letters in np.random.default_rng(0).choice(list("etaoinshrdlu"), (20_000, 6))]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trained.train_from_iterator(words, trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet))
    trained.save(str(path))


def examples(features, random):
    places, width = 2 * EXAMPLES, BEFORE + AFTER + 1
    window = random.exponential(0.3, (features, places, width)).astype(np.float32)
    window *= random.random(window.shape) < ACTIVE
    window[:, :, BEFORE] = np.sort(random.exponential(1, (features, places)))[:, ::-1] + 0.01
    offset = variable("offset", np.arange(-BEFORE, AFTER + 1), "offset", "token")
    kind = variable("example", np.repeat(["top", "sample"], EXAMPLES), "kind", "1")
    quantile = np.tile(np.r_[np.full(EXAMPLES, np.nan), np.linspace(0.99, 0, EXAMPLES)], (features, 1))
    each = ("feature", "example")
    return dataset(
        features,
        {"offset": offset, "kind": kind},
        activation=(each, window[:, :, BEFORE]),
        sequence=(each, random.integers(0, 5000, (features, places))),
        position=(each, random.integers(BEFORE, 200, (features, places))),
        quantile=(each, quantile),
        token=((*each, "offset"), random.integers(0, VOCABULARY, window.shape, dtype=np.int32)),
        window_activation=((*each, "offset"), window),
    )


def write_tables(folder, features):
    random = np.random.default_rng(0)
    histogram = random.poisson(40 * np.exp(-(((np.arange(128) - 80) / 8) ** 2)), (features, 128))
    active = histogram.sum(axis=1)
    edges = variable("edge", 2.0 ** (np.arange(-80, 49) / 4), "edge", "activation")
    shown = examples(features, random)

    def per(low, high):
        return ("feature", random.uniform(low, high, features))

    def ranked(places, high):
        return (("feature", "rank"), random.integers(0, high, (features, places)))

    def weights(places):
        return (("feature", "rank"), -np.sort(-random.random((features, places))))

    tables = {
        "frequency": dataset(
            features, {"bin_edge": edges}, {"tokens": TOKENS}, frequency=("feature", active / TOKENS),
            active_tokens=("feature", active), mean_active=per(0.1, 1), standard_deviation=per(0.1, 1),
            max_activation=("feature", shown["activation"].to_numpy().max(axis=1)),
            activation_histogram=(("feature", "bin"), histogram),
        ),
        "alignment": neuron_alignment([random.standard_t(4, (features, NEURONS)).astype(np.float32)], NEURONS),
        "examples": shown,
        "associations": dataset(
            features, {}, correlated_neuron=ranked(5, NEURONS), neuron_correlation=weights(5),
            correlated_feature=ranked(5, features), feature_correlation=weights(5),
            nearest_feature=ranked(5, features), nearest_cosine=weights(5),
        ),
        "geometry": dataset(features, {}, encoder_decoder_cosine=per(0, 1)),
        "logits": dataset(
            features, {}, boosted_token=ranked(10, VOCABULARY), boost=weights(10),
            suppressed_token=ranked(10, VOCABULARY), suppression=weights(10),
        ),
        "tags": dataset(features, {}),
    }  # fmt: skip
    for name, table in tables.items():
        write_table(folder / f"{name}.nc", table)


def copied(source, target):
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())


def timed(function, *arguments, **named):
    """Seconds, and seconds of CPU time: other work on the machine lengthens the first alone."""
    begun, used = time.perf_counter(), time.process_time()
    function(*arguments, **named)
    return time.perf_counter() - begun, time.process_time() - used


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=4096)
    parser.add_argument("--keep", type=Path, help="leave the sheets in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        tables, output = Path(scratch) / "tables/m/s/random", Path(scratch) / "sheets/m/s/random"
        write_tables(tables, options.features)
        tokenizer(Path(scratch) / "tokenizer.json")
        choice = SheetChoice(
            polysemantic=10, random=10, seed=0, all=True, listed=[], listed_neurons=[], rare_frequency=1e-3,
            ultra_low_frequency=1e-4,
        )  # fmt: skip
        places = {"labels": Path("labels/none.csv"), "output": output}
        seconds, used = timed(
            write_sheets, tables, **places, params=choice, saes=[], tokenizer=Path(scratch) / "tokenizer.json"
        )
        size = sum(file.stat().st_size for file in output.iterdir())
        each = 1000 * used / options.features
        print(f"{options.features:,} sheets: {seconds:.1f} s, {used:.1f} s of CPU time, {each:.1f} ms each")
        seconds, used = timed(copied, output, Path(scratch) / "copy")
        print(f"copying them: {seconds:.1f} s, {used:.1f} s of CPU time; {size / 1e6:,.0f} MB")
        if options.keep:
            shutil.copytree(output, options.keep)
