"""Files of model repositories: from the Hugging Face hub, or from a local copy in its place."""

from dataclasses import dataclass
from pathlib import Path

from polysem.io.errors import InputError
from polysem.io.network import network_errors
from polysem.params.base import Section

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
"""How weights are called that can run code when they are read."""


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

    def names(self) -> list[str]:
        """All files, relative to the folder."""
        return sorted(file.relative_to(self.folder).as_posix() for file in self.folder.rglob("*") if file.is_file())


def snapshot(source: Repository, patterns: list[str]) -> Snapshot:
    """The files that match the patterns; InputError that says what to put where if there is no way to them."""
    if source.local_copy is not None:
        folder = Path(source.local_copy).expanduser()
        if not folder.is_dir():
            raise InputError(f"local_copy {source.local_copy!r} of {source.repository} is no folder")
        return Snapshot(folder, None)
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        commit = HfApi().model_info(source.repository, revision=source.revision, timeout=20).sha
        folder = Path(snapshot_download(source.repository, revision=commit, allow_patterns=patterns))
    except HFValidationError as error:
        raise InputError(f"{source.repository!r} is neither a hub id nor a local file ({error})") from error
    except HfHubHTTPError as error:
        raise InputError(
            f"the hub refuses {source.repository!r} at revision {source.revision!r} ({error}); check both, log in with "
            "`hf auth login` if it is gated, or set local_copy to a folder that holds the files"
        ) from error
    except network_errors() as error:
        raise InputError(
            f"the hub cannot be reached for {source.repository!r} ({type(error).__name__}); download the repository "
            "elsewhere, copy it here, and set local_copy to its folder"
        ) from error
    return Snapshot(folder, commit)
