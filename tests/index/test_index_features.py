"""The step that makes the index of a model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from polysem.index.feature_index import FeatureIndex
from polysem.index.index_features import index_features
from polysem.index.token_search import find
from polysem.io.content import file_digest, folder_digest
from polysem.io.errors import InputError
from polysem.io.stores import create_array, written_store
from polysem.layout.place import Place

from .tables_case import FEATURES, SITE, WORDS, tables, write_tables, write_tokenizer

OLD = 1_600_000_000
DICTIONARIES = [(SITE, "neurons"), (SITE, "l1=3e-4"), ("blocks.1.hook_mlp_out", "neurons")]


@pytest.fixture
def model(tmp_path) -> Place:
    """A model with three dictionaries and its tokenizer."""
    model = Place("m", root=str(tmp_path / "results"))
    for seed, names in enumerate(DICTIONARIES):
        write_tables(model.at(*names), tables(seed))
    write_tokenizer(Path(model.tokenizer))
    return model


def run(model: Place, code: str = "c0de", dictionaries=DICTIONARIES, **subject) -> set[str]:
    """Run the step; the files that are new since the last run."""
    folder = Path(model.index.path)
    for file in folder.rglob("*.*"):
        os.utime(file, (OLD, OLD))
    subject = subject or {"tokenizer": Path(model.tokenizer)}
    index_features(model.model, dictionaries, code, root=model.root, **subject)
    receipt = json.loads(Path(model.index.receipt).read_text())["artifacts"]
    files = {said["file"]: said["sha256"] for said in receipt.values()}
    files |= {file: digest for said in receipt.values() for file, digest in said.get("beside", {}).items()}
    there = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*.*") if file.is_file()}
    assert files == {name: file_digest(file) for name, file in there.items()}
    return {name for name, file in there.items() if file.stat().st_mtime != OLD}


def files_of(*names: tuple[str, str]) -> set[str]:
    return {f"{site}/{dictionary}/{file}" for site, dictionary in names for file in ("arrays.bin", "header.json")}


def test_every_dictionary_has_a_part_and_all_of_them_one_search(model):
    assert run(model) == files_of(*DICTIONARIES) | {"features.sqlite"}
    for site, dictionary in DICTIONARIES:
        index = FeatureIndex(Path(model.at(site, dictionary).feature_index))
        assert index.is_of(Path(model.at(site, dictionary).tables_receipt))
    tokens = {seed: tables(seed)["examples"]["token"].values[:, :3, 1] for seed in range(len(DICTIONARIES))}
    wanted = {
        (*DICTIONARIES[seed], feature)
        for seed, shown in tokens.items()
        for feature in range(FEATURES)
        if feature != 3 and {WORDS.index(" red"), WORDS.index(" Red")} & set(shown[feature].tolist())
    }
    found = find(Path(model.token_search), "red", 100)
    assert {(each.site, each.dictionary, each.feature) for each in found} == wanted and wanted
    seeds = {names: seed for seed, names in enumerate(DICTIONARIES)}
    for each in found:
        frequency = tables(seeds[each.site, each.dictionary])["frequency"]["frequency"].values
        assert each.frequency == frequency[each.feature]


def test_what_is_made_of_the_same_stays(model):
    run(model)
    before = folder_digest(Path(model.index.path)), Path(model.index.receipt).read_bytes()
    assert run(model) == set()
    assert (folder_digest(Path(model.index.path)), Path(model.index.receipt).read_bytes()) == before


def test_only_the_part_is_made_again_whose_tables_are_others(model):
    run(model)
    changed = tables(1)
    changed["clusters"]["total"].values[...] = 8
    write_tables(model.at(*DICTIONARIES[1]), changed)
    assert run(model) == files_of(DICTIONARIES[1])
    changed["examples"]["token"].values[0] = WORDS.index(" blue")
    write_tables(model.at(*DICTIONARIES[1]), changed)
    assert run(model) == files_of(DICTIONARIES[1]) | {"features.sqlite"}
    assert DICTIONARIES[1] in {(each.site, each.dictionary) for each in find(Path(model.token_search), "blue", 100)}


def test_another_tokenizer_makes_the_search_again_and_other_code_everything(model):
    run(model)
    file = Path(model.tokenizer)
    file.write_text(file.read_text().replace(" red", " rot"))
    assert run(model) == {"features.sqlite"}
    assert find(Path(model.token_search), "rot") and not find(Path(model.token_search), "redd")
    assert run(model, "0ther") == files_of(*DICTIONARIES) | {"features.sqlite"}


def test_a_dictionary_that_is_no_more_goes(model):
    run(model)
    assert run(model, dictionaries=DICTIONARIES[:1]) == {"features.sqlite"}
    assert not Path(model.at(*DICTIONARIES[1]).feature_index).exists()
    found = find(Path(model.token_search), "red", 100)
    assert {(each.site, each.dictionary) for each in found} == {DICTIONARIES[0]}


def test_a_part_that_somebody_changed_is_made_again(model):
    run(model)
    file = Path(model.at(*DICTIONARIES[0]).feature_index) / "arrays.bin"
    before = file.read_bytes()
    file.write_bytes(before[:-1] + b"x")
    assert run(model) == files_of(DICTIONARIES[0])
    assert file.read_bytes() == before


def test_images_are_found_by_their_class(model, tmp_path):
    store = tmp_path / "eval.zarr"
    labels = np.array([4, 7, 4, 9, 0], np.int32)
    with written_store(store, attributes={}, params={}, code="", device="cpu") as group:
        create_array(group, "labels", labels.shape, "int32", ("image",), compressed=True)[:] = labels
    run(model, images=store)
    sequences = tables(0)["examples"]["sequence"].values[:, :3]
    wanted = {feature for feature in range(FEATURES) if feature != 3 and 7 in labels[sequences[feature]]}
    found = [each for each in find(Path(model.token_search), "class 7", 100) if each[:2] == DICTIONARIES[0]]
    assert {each.feature for each in found} == wanted and all("class 7" in each.tokens for each in found)


def test_tables_without_a_receipt_are_named_and_leave_the_index_as_it_was(model):
    run(model)
    before = folder_digest(Path(model.index.path))
    receipt = Path(model.at(*DICTIONARIES[0]).tables_receipt)
    content = receipt.read_text()
    receipt.unlink()
    with pytest.raises(InputError, match=r"neurons\.json does not say what there is"):
        run(model)
    receipt.write_text(content)
    Path(model.at(*DICTIONARIES[0]).table("clusters")).write_bytes(b"no table")
    with pytest.raises(InputError, match=r"clusters\.nc cannot be read as a table"):
        run(model, "0ther")
    assert folder_digest(Path(model.index.path)) == before
    assert not Path(f"{model.index.path}.partial").exists()


def test_the_step_imports_neither_torch_nor_xarray():
    program = (
        "import sys; import polysem.index.index_features;"
        "print(sorted({'torch', 'xarray', 'pandas', 'zarr', 'transformers', 'snakemake'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"
