"""The weights of a repository in the hub's form, in one file or in shards: found and looked over, not yet read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from torch import Tensor

from polysem.io.config_files import read_config
from polysem.io.errors import InputError
from polysem.io.tensor_files import STATE_KINDS, TensorFile, open_tensors, read_state
from polysem.models.hub import PICKLED, PICKLED_WEIGHTS, SAFE_WEIGHTS, Snapshot


@dataclass(frozen=True)
class StoredWeights:
    """Tensors by name, out of one file or several."""

    files: list[TensorFile]
    whole: Path | None
    """The file that holds all of them as safetensors, if it is one."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes by name."""
        return {name: shape for file in self.files for name, shape in file.shapes.items()}

    def tensor(self, name: str) -> Tensor:
        """A tensor in the number format that it is stored in."""
        return next(file for file in self.files if name in file.shapes).stored(name)


def find_weights(source: Snapshot, where: str) -> StoredWeights:
    """The weights of a repository: safetensors before pickles, and an index of shards before a whole file, which
    another model may have left beside them.

    InputError if there are none, if a file is damaged, or if the shards are not those that the index names.
    """
    names = source.names()
    for (whole, index), safe in ((SAFE_WEIGHTS, True), (PICKLED_WEIGHTS, False)):
        if index in names:
            weight_map = _weight_map(source.file(index))
            files = {name: _opened(source.file(name), safe=safe) for name in sorted(set(weight_map.values()))}
            _check_shards(source.folder / index, weight_map, files)
            return StoredWeights(list(files.values()), None)
        if whole in names:
            path = source.file(whole)
            return StoredWeights([_opened(path, safe=safe)], path if safe else None)
    if found := next((name for name in names if name.endswith(".gguf")), None):
        raise InputError(
            f"{where} holds no weights but {found}; to read a GGUF file, set local_copy to the file itself"
        )
    other = ", ".join(name for name in names if name.endswith(PICKLED))
    raise InputError(
        f"{where} holds no weights{f' but {other}' if other else ''}; {SAFE_WEIGHTS[0]} or {PICKLED_WEIGHTS[0]} is "
        "needed: save the model with save_pretrained"
    )


def _opened(path: Path, *, safe: bool) -> TensorFile:
    if safe:
        return open_tensors(path)
    state = read_state(path)
    return TensorFile(path, {name: tuple(tensor.shape) for name, tensor in state.items()}, state.__getitem__)


def _weight_map(index: Path) -> dict[str, str]:
    """The file that an index names for each tensor, each beside it; InputError if it is no index or names others."""
    found = read_config(index).get("weight_map")
    if not isinstance(found, dict) or not found or not all(map(_is_name, found.values())):
        raise InputError(f"{index} names no files of weights beside it (weight_map); it is damaged")
    return found


def _is_name(value: object) -> bool:
    """Whether it is the name of a file, and no path to another folder."""
    return isinstance(value, str) and PurePath(value).name == value and value not in ("", "..")


def _check_shards(index: Path, weight_map: Mapping[str, str], files: Mapping[str, TensorFile]) -> None:
    """InputError if a shard lacks a tensor that the index says it has, or has one that the index gives to none or to
    another."""
    for name, file in weight_map.items():
        if name not in files[file].shapes:
            raise InputError(f"{index} says that {name} is in {file}, which does not hold it; download both again")
    for file_name, shard in files.items():
        for name in shard.shapes:
            if weight_map.get(name) != file_name:
                said = f"it is in {weight_map[name]}" if name in weight_map else "no file has it"
                raise InputError(f"{shard.path} holds {name}, but {index.name} says that {said}; download both again")


def read_checked(weights: StoredWeights, name: str) -> Tensor:
    """A tensor that fills a weight; InputError if it holds integers (packed or quantized weights), NaN or infinity."""
    tensor = weights.tensor(name)
    if tensor.dtype not in STATE_KINDS or not tensor.is_floating_point():
        raise InputError(f"{name} holds {tensor.dtype}; weights are floating-point numbers")
    if not bool(tensor.isfinite().all()):
        raise InputError(f"{name} holds NaN or infinite values")
    return tensor
