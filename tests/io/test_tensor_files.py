"""Files of strangers: what is read, and what is refused without running or allocating anything."""

import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from polysem.io.config_files import read_config
from polysem.io.errors import InputError
from polysem.io.tensor_files import open_tensors


def refused(path: Path, *names: str) -> str:
    with pytest.raises(InputError) as caught:
        file = open_tensors(path)
        for name in names:
            file.tensor(name, *file.shapes[name])
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    assert "weights_only" not in said
    return said


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_tensors_come_as_float32_whatever_they_were_saved_in(tmp_path, name):
    kinds = {str(kind): torch.tensor([1.5, -2.0], dtype=kind)
        for kind in (torch.float16, torch.bfloat16, torch.float32, torch.float64)}  # fmt: skip
    save_file(kinds, tmp_path / name) if name.endswith("safetensors") else torch.save(kinds, tmp_path / name)
    file = open_tensors(tmp_path / name)
    for kind in kinds:
        found = file.tensor(kind, 2)
        assert (found.dtype, found.tolist()) == (torch.float32, [1.5, -2.0])


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_shapes_and_numbers_are_checked_by_name(tmp_path, name):
    tensors = {
        "good": torch.ones(2, 3),
        "nan": torch.tensor([1.0, float("nan")]),
        "big": torch.tensor([1e300], dtype=torch.float64),
        "whole": torch.tensor([1, 2]),
        "k": torch.tensor(7, dtype=torch.int32),
    }
    save_file(tensors, tmp_path / name) if name.endswith("safetensors") else torch.save(tensors, tmp_path / name)
    file = open_tensors(tmp_path / name)
    assert file.matrix("good") == (2, 3)
    assert file.number("k") == 7
    for call, said in [
        (lambda: file.tensor("good", 3, 2), r"good has shape \[2, 3\], expected \[3, 2\]"),
        (lambda: file.tensor("none", 1), "holds no tensor 'none'; it holds "),
        (lambda: file.matrix("nan"), r"nan has shape \[2\], expected a matrix"),
        (lambda: file.tensor("nan", 2), "nan holds NaN or infinite values"),
        (lambda: file.tensor("big", 1), "big holds NaN or infinite values"),
        (lambda: file.tensor("whole", 2), "whole holds torch.int64, expected floating-point numbers"),
        (lambda: file.number("good"), "expected a single number"),
        (lambda: file.require("good", "nan"), "holds a tensor 'big', which files of this format do not have"),
    ]:
        with pytest.raises(InputError, match=said):
            call()


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def test_a_pickle_with_code_is_refused_and_its_code_is_not_run(tmp_path):
    torch.save({"W": torch.ones(2), "evil": Evil(tmp_path / "ran")}, tmp_path / "evil.pt")
    assert "nothing of it was run" in refused(tmp_path / "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    assert "is no file of torch.save" in refused(tmp_path / "plain.pt")
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "evil.pt", weights_only=False)
    assert (tmp_path / "ran").exists(), "the file of this test is harmless, so the test shows nothing"


@pytest.mark.parametrize("value", [torch.nn.Linear(2, 2), [1, 2], {1: torch.ones(2)}, torch.ones(2)])
def test_what_is_no_dictionary_of_tensors_is_refused(tmp_path, value):
    torch.save(value, tmp_path / "w.pt")
    refused(tmp_path / "w.pt")


def test_plain_values_and_ordered_dictionaries_are_read(tmp_path):
    torch.save(OrderedDict(a=torch.ones(2), k=3, name="TopK", inner={"b": torch.ones(1)}), tmp_path / "w.pt")
    file = open_tensors(tmp_path / "w.pt")
    assert file.shapes == {"a": (2,)}
    assert file.values["k"] == 3
    assert file.values["inner"]["b"].tolist() == [1.0]


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, name, share):
    big = {"a": torch.randn(64, 64)}
    save_file(big, tmp_path / name) if name.endswith("safetensors") else torch.save(big, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * share)])
    refused(tmp_path / name, "a")


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (10 * 2**30, b"{}"),
        (2**64 - 1, b"{}"),
        (0, b""),
        (20, b"no json at all......"),
        (14, b'["not a dict"]'),
        (9, b'{"a": {}}'),
    ],
)
def test_a_header_that_lies_is_refused_before_anything_is_allocated(tmp_path, length, header):
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", length) + header)
    refused(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]},
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]},
        {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]},
    ],
)
def test_an_entry_that_does_not_fit_the_file_is_refused(tmp_path, entry):
    header = json.dumps({"a": entry}).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    refused(tmp_path / "w.safetensors")


def test_an_archive_that_would_grow_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", b"\0" * 100_000_000)
    assert "holds compressed parts" in refused(tmp_path / "w.pt")


def test_a_tensor_that_is_larger_than_its_storage_is_refused(tmp_path):
    torch.save({"a": torch.zeros(1).expand(1 << 20, 1 << 20)}, tmp_path / "w.pt")
    assert (tmp_path / "w.pt").stat().st_size < 10_000
    assert "is no plain tensor" in refused(tmp_path / "w.pt")
    torch.save({"a": torch.eye(3).to_sparse()}, tmp_path / "sparse.pt")
    assert "is no plain tensor" in refused(tmp_path / "sparse.pt")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read as JSON"),
        ("[1]", "holds a JSON list, expected an object"),
        ("[" * 100_000, "cannot be read as JSON"),
        ('{"a": ' + "1" * 10_000 + "}", "cannot be read as JSON"),
        ('{"a": "' + "x" * 17_000_000 + '"}', "a config has at most"),
    ],
)
def test_a_config_that_is_none_is_refused(tmp_path, text, said):
    (tmp_path / "cfg.json").write_text(text)
    with pytest.raises(InputError, match=said):
        read_config(tmp_path / "cfg.json")
