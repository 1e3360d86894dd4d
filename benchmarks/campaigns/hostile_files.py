"""Files of strangers that would run code, fill the memory or break off: SAEs, weights of models, corpora.

Each is read as the workflow reads it, in this process, whose memory is limited. A file is well met if reading it is
refused with one sentence that names it, nothing of it was run, and no memory was taken that the file does not have.
"""

import gzip
import io
import json
import pickle
import resource
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from campaigns.case import tried
from polysem.corpora.mnist_files import NPZ_ARRAYS, read_idx, read_npz
from polysem.io.config_files import read_config
from polysem.io.errors import InputError
from polysem.io.tensor_files import open_tensors, read_state
from polysem.models.tokenizer import load_tokenizer

TITLE = "Hostile files"
MEMORY = 4 << 30
"""Bytes of address space that reading one may take on top of what the process has."""
Maker = Callable[[Path, Path], None]
"""Writes the file, given where its code would leave a mark."""


class Call:
    """Unpickling it calls a function."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple:
        return self.function, self.arguments


def touching(mark: Path) -> Call:
    return Call(Path.touch, mark)


def saved(value: Callable[[Path], object]) -> Maker:
    return lambda path, mark: torch.save(value(mark), path)


def written(content: Callable[[Path], bytes]) -> Maker:
    return lambda path, mark: path.write_bytes(content(mark)) and None


def header(entries: object, data: bytes = b"", length: int | None = None) -> Maker:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return written(lambda mark: struct.pack("<Q", len(text) if length is None else length) + text + data)


def entry(dtype: str, shape: list, begin: int, end: int) -> dict:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}}


def archive(parts: Callable[[Path], dict[str, bytes]], packing: int = zipfile.ZIP_STORED) -> Maker:
    def write(path: Path, mark: Path) -> None:
        with zipfile.ZipFile(path, "w", packing) as file:
            for name, content in parts(mark).items():
                file.writestr(name, content)

    return write


def torn(maker: Maker, share: float) -> Maker:
    def write(path: Path, mark: Path) -> None:
        maker(path, mark)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return write


def flipped(maker: Maker, after: bytes) -> Maker:
    """The byte that follows the last of some known ones is another."""

    def write(path: Path, mark: Path) -> None:
        maker(path, mark)
        content = bytearray(path.read_bytes())
        content[content.rindex(after) + len(after)] ^= 0xFF
        path.write_bytes(content)

    return write


def npz(**arrays: np.ndarray) -> Maker:
    return lambda path, mark: np.savez(path, allow_pickle=True, **arrays)


GOOD = saved(lambda mark: {"a": torch.ones(64, 64)})
PICKLES = {
    "code beside tensors": saved(lambda mark: {"a": torch.ones(2), "b": touching(mark)}),
    "code as the whole": saved(touching),
    "code in a list": saved(lambda mark: {"a": [1, [touching(mark)]]}),
    "code as a key": saved(lambda mark: {touching(mark): 1}),
    "shell command": saved(lambda mark: {"a": Call(__import__("os").system, f"touch '{mark}'")}),
    "subprocess": saved(lambda mark: {"a": Call(__import__("subprocess").call, ["touch", str(mark)])}),
    "eval": saved(lambda mark: {"a": Call(eval, f"open({str(mark)!r}, 'w')")}),
    "exec": saved(lambda mark: {"a": Call(exec, f"open({str(mark)!r}, 'w')")}),
    "import": saved(lambda mark: {"a": Call(__import__, "antigravity")}),
    "getattr": saved(lambda mark: {"a": Call(getattr, 1, "real")}),
    "torch.load inside": saved(lambda mark: {"a": Call(torch.load, str(mark))}),
    "whole module": saved(lambda mark: torch.nn.Linear(2, 2)),
    "plain pickle": written(lambda mark: pickle.dumps(touching(mark))),
    "pickle of protocol 0": written(lambda mark: pickle.dumps({"a": touching(mark)}, protocol=0)),
    "form of PyTorch before 1.6": lambda path, mark: torch.save(
        {"a": touching(mark)}, path, _use_new_zipfile_serialization=False),
    "pickle in an archive": archive(lambda mark: {"w/data.pkl": pickle.dumps(touching(mark)), "w/version": b"3\n"}),
    "pickle that never ends": archive(lambda mark: {"w/data.pkl": b"\x80\x02" + b"(" * 2_000_000, "w/version": b"3\n"}),
    "large pickle": archive(lambda mark: {"w/data.pkl": b"\x80\x02]" + b"K\x01a" * 10_000_000, "w/version": b"3\n"}),
    "TorchScript": lambda path, mark: torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path)),
}  # fmt: skip
ARCHIVES = {
    "zip bomb": archive(lambda mark: {"w/data.pkl": bytes(300_000_000)}, zipfile.ZIP_DEFLATED),
    "many parts": archive(lambda mark: {f"w/data/{number}": b"" for number in range(20_000)}),
    "no archive": written(lambda mark: b"PK\x03\x04" + bytes(1000)),
    "empty": written(lambda mark: b""),
    "half a file": torn(GOOD, 0.5),
    "all but the end": torn(GOOD, 0.999),
    "entry of the directory overwritten": flipped(GOOD, b"PK\x01"),
    "end of the directory overwritten": flipped(GOOD, b"PK\x05"),
    "tensor larger than its storage": saved(lambda mark: {"a": torch.zeros(1).expand(1 << 20, 1 << 20)}),
    "sparse tensor": saved(lambda mark: {"a": torch.eye(3).to_sparse()}),
    "quantized tensor": saved(lambda mark: {"a": torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)}),
    "tensor without numbers": saved(lambda mark: {"a": torch.empty(4, device="meta")}),
    "list of tensors": saved(lambda mark: [torch.ones(2)]),
    "number as a key": saved(lambda mark: {1: torch.ones(2)}),
}
HEADERS = {
    "header of 10 GB": header({}, length=10 << 30),
    "header of 2^64 - 1": header({}, length=(1 << 64) - 1),
    "no header": written(lambda mark: bytes(4)),
    "empty header": header(b""),
    "header that is no JSON": header(b"no json at all"),
    "header that is a list": header([1, 2]),
    "header nested too deeply": header(b"[" * 100_000),
    "header that is no UTF-8": header(b'{"\xff": 1}'),
    "entry without a kind": header({"a": {}}),
    "entry that is a list": header({"a": [1]}),
    "tensor of 4 TB": header(entry("F32", [1 << 40], 0, 1 << 42), bytes(8)),
    "tensor of 2^200 numbers": header(entry("F32", [1 << 100, 1 << 100], 0, 8), bytes(8)),
    "negative shape": header(entry("F32", [-1], 0, -4), bytes(8)),
    "offsets that do not fit": header(entry("F32", [4], 0, 8), bytes(8)),
    "offsets out of order": header(entry("F32", [2], 8, 0), bytes(8)),
    "fractions as a shape": header(entry("F32", [2.0], 0, 8), bytes(8)),
    "kind that is none": header(entry("F8_E4M3", [8], 0, 8), bytes(8)),
    "half of it": torn(lambda path, mark: save_file({"a": torch.ones(64, 64)}, path), 0.5),
}
CONFIGS = {
    "nested 100,000 deep": written(lambda mark: b"[" * 100_000),
    "list": written(lambda mark: b"[1]"),
    "17 MB": written(lambda mark: b'{"a": "' + b"x" * 17_000_000 + b'"}'),
    "number of 10,000 digits": written(lambda mark: b'{"a": ' + b"1" * 10_000 + b"}"),
    "UTF-16": written(lambda mark: '{"a": 1}'.encode("utf-16")),
}


def lying(size: int) -> bytes:
    """The header of an array of so many bytes, and none of them."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "|u1", "fortran_order": False, "shape": (size,)})
    return content.getvalue()


OBJECTS = np.array([None], dtype=object)
ARRAYS = {
    "arrays of objects": npz(x_train=OBJECTS, y_train=OBJECTS, x_test=OBJECTS, y_test=OBJECTS),
    "pickle in place of an array": archive(lambda mark: {"x_train.npy": pickle.dumps(touching(mark))}),
    "no archive": written(lambda mark: zlib.compress(bytes(1000))),
    "zip bomb": archive(lambda mark: {"x_train.npy": bytes(600_000_000)}, zipfile.ZIP_DEFLATED),
    "array of 4 TB": archive(lambda mark: {f"{name}.npy": lying(1 << 42) for name in NPZ_ARRAYS}),
}
IMAGES = {
    "gzip bomb": written(lambda mark: gzip.compress(bytes(600_000_000), 1)),
    "shape of 2^100": written(lambda mark: gzip.compress(b"\0\0\x08\x04" + b"\xff" * 16)),
    "truncated": written(lambda mark: gzip.compress(bytes(1000))[:30]),
}
TOKENIZERS = {
    "nested 100,000 deep": written(lambda mark: b'{"model": ' + b"[" * 100_000),
    "no tokenizer": written(lambda mark: b'{"model": {"type": "BPE", "vocab": [], "merges": 3}}'),
}


def read_tensors(path: Path) -> None:
    """As the file of weights of an SAE: every tensor."""
    file = open_tensors(path)
    for name, shape in file.shapes.items():
        file.tensor(name, *shape)


READERS: dict[str, tuple[str, dict[str, Maker], Callable[[Path], object]]] = {
    "pickled SAEs": ("ae.pt", PICKLES, read_tensors),
    "archives": ("ae.pt", ARCHIVES, read_tensors),
    "pickled models": ("pytorch_model.bin", PICKLES, read_state),
    "safetensors": ("w.safetensors", HEADERS, read_tensors),
    "configs": ("config.json", CONFIGS, read_config),
    "arrays": ("mnist.npz", ARRAYS, read_npz),
    "images": ("train-images-idx3-ubyte.gz", IMAGES, read_idx),
    "tokenizers": ("tokenizer.json", TOKENIZERS, load_tokenizer),
}
"""Per kind: the name of the file, what makes it, and how the workflow reads it."""


def cases(scratch: Path, smoke: bool) -> Iterator:
    """All files; a smoke has them all, too, as they take seconds."""
    for kind, (name, makers, read) in READERS.items():
        for number, (title, make) in enumerate(makers.items()):
            folder = scratch / f"{kind.replace(' ', '-')}-{number}"
            folder.mkdir()
            yield tried(kind, title, refused, folder / name, make, read)


def refused(path: Path, make: Maker, read: Callable[[Path], object]) -> None:
    """AssertionError unless reading ends in one sentence that names the file, with nothing run."""
    mark = path.parent / "ran"
    make(path, mark)
    mark.unlink(missing_ok=True)
    try:
        with limited_memory():
            read(path)
    except InputError as error:
        said = str(error)
    else:
        raise AssertionError(f"{path.name} was read")
    finally:
        ran = mark.exists()
    assert not ran, "code of the file was run"
    assert str(path) in said, f"the sentence does not name the file: {said}"
    assert "\n" not in said, said
    path.unlink()


@contextmanager
def limited_memory() -> Iterator[None]:
    """No more address space than there is, and `MEMORY`."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
