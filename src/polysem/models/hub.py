"""Files of model repositories: from the Hugging Face hub, or from a local copy in its place."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from polysem.io.disk import disk_problem
from polysem.io.errors import InputError
from polysem.io.files import expanded, matching_files
from polysem.io.network import network_errors
from polysem.params.base import Section
from polysem.params.models.imported import is_gguf

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
"""How weights are called that can run code when they are unpickled without care."""
SAFE_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""Weights of a repository in the hub's form: one file, or the list of its shards."""
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json")
"""The same, as transformers wrote them before safetensors; taken where there are no others."""
Patterns = list[str] | Callable[[list[str]], list[str]]
"""Patterns of file names, or what makes them out of the names of a repository's files."""


class Repository(Section):
    """A model repository as the params name it."""

    repository: str
    revision: str = "main"
    local_copy: str | None = None
    tokenizer: str | None = None

    @property
    def where(self) -> str:
        """What an error calls it."""
        return self.local_copy or self.repository


@dataclass(frozen=True)
class Snapshot:
    """The files of a repository on this machine."""

    folder: Path
    commit: str | None
    """The commit that the revision stood for; None for a local copy, whose digests say what it is."""
    only: str | None = None
    """The one file of the folder that is the repository: a GGUF file."""

    def names(self) -> list[str]:
        """All files, relative to the folder."""
        if self.only is not None:
            return [self.only]
        return sorted(file.relative_to(self.folder).as_posix() for file in matching_files(str(self.folder)))

    def file(self, name: str) -> Path:
        """A file of the repository; InputError if it is missing, or a link to a file elsewhere.

        The hub's cache keeps the files of all commits in `blobs`, beside `snapshots`, and links to them from there. A
        file that the params name by itself may be a link to anywhere.
        """
        path, folder = self.folder / name, self.folder.resolve()
        if name == self.only:
            return path
        allowed = [folder]
        if folder.parent.name == "snapshots":
            allowed.append(folder.parent.parent / "blobs")
        target = path.resolve()
        if not any(target.is_relative_to(place) for place in allowed):
            raise InputError(f"{path} is a link to {target}, outside of its folder; put the file itself there")
        if not path.is_file():
            raise InputError(f"{path} is no file")
        return path


def snapshot(source: Repository, patterns: Patterns) -> Snapshot:
    """The files that match the patterns; InputError that says what to put where if there is no way to them.

    Patterns may follow from the names of all files of the repository, where one form of the weights is enough. Of a
    local copy all files are there anyway.
    """
    if source.local_copy is not None:
        path = expanded(source.local_copy)
        if is_gguf(source.local_copy):
            if not path.is_file():
                raise InputError(f"local_copy {source.local_copy!r} of {source.repository} is no file")
            return Snapshot(path.parent, None, path.name)
        if not path.is_dir():
            raise InputError(f"local_copy {source.local_copy!r} of {source.repository} is no folder")
        return Snapshot(path, None)
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        found = HfApi().model_info(source.repository, revision=source.revision, timeout=20)
        commit = found.sha
        names = [file.rfilename for file in found.siblings or []]
        chosen = patterns(names) if callable(patterns) else patterns
        folder = Path(snapshot_download(source.repository, revision=commit, allow_patterns=chosen))
    except HFValidationError as error:
        raise InputError(f"{source.repository!r} is neither a hub id nor a local file ({error})") from error
    except HfHubHTTPError as error:
        raise InputError(
            f"the hub refuses {source.repository!r} at revision {source.revision!r} ({error}); check both, log in with "
            "`hf auth login` if it is gated, or set local_copy to a folder that holds the files"
        ) from error
    except network_errors() as error:
        if said := disk_problem(error):
            raise InputError(f"{source.repository!r}: {said}") from error
        raise InputError(
            f"the hub cannot be reached for {source.repository!r} ({type(error).__name__}); download the repository "
            "elsewhere, copy it here, and set local_copy to its folder"
        ) from error
    return Snapshot(folder, commit)
