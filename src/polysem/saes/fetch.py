"""The files of a published SAE: local ones, or brought from the hub or the web."""

import hashlib
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from polysem.io.disk import disk_problem
from polysem.io.errors import InputError
from polysem.io.files import expanded
from polysem.io.network import network_errors
from polysem.params.addons import modules_of
from polysem.params.recipes.pretrained import FORMATS, PretrainedSae

if TYPE_CHECKING:
    from polysem.saes.published import Published

LARGEST = 64 << 30
"""Bytes of a download; the largest published SAEs have a tenth of that."""
TIMEOUT = 30.0


@dataclass(frozen=True)
class Fetched:
    """A file of weights on this machine with its companions beside it, and what to write down of its origin."""

    weights: Path
    origin: dict[str, Any]


def format_module(name: str) -> Any:
    """The module of a format."""
    return import_module(modules_of(FORMATS)[name])


def read_published(name: str, weights: Path) -> "Published":
    """The SAE of a file in a format. InputError for what the format cannot read, and for a TopK that keeps more
    features than there are."""
    published: Published = format_module(name).read(weights)
    if published.k is not None and published.k > published.features:
        raise InputError(
            f"{weights}: k is {published.k}, but the SAE has {published.features} features; take the k that it was "
            "trained with"
        )
    return published


def require_digest(section: PretrainedSae, weights: Path, digest: str) -> None:
    """InputError if the params file names another sha256 of the weights."""
    if section.sha256 not in (None, digest):
        raise InputError(f"{weights.name} has sha256 {digest}, the params file says {section.sha256}; do not use it")


def local_weights(section: PretrainedSae) -> Path:
    """The file of weights of a local SAE. InputError if it is not there or a file beside it is missing."""
    assert section.path is not None
    kind = format_module(section.format)
    place = expanded(section.path)
    if place.is_dir() and not kind.WEIGHTS:
        raise InputError(f"path {section.path!r} is a folder; name the file of weights in it")
    weights = place / kind.WEIGHTS if place.is_dir() else place
    for file in (weights, *(weights.parent / name for name in kind.companions(weights.name)[0])):
        if not file.is_file():
            raise InputError(f"{file} is missing; paths start at the folder of the Snakefile")
    return weights


def local_files(section: PretrainedSae) -> list[Path]:
    """All files that a local SAE is read from."""
    weights = local_weights(section)
    beside = [
        weights.parent / name for names in format_module(section.format).companions(weights.name) for name in names
    ]
    return [weights, *(file for file in beside if file.is_file())]


@contextmanager
def fetched(section: PretrainedSae, scratch: Path) -> Iterator[Fetched]:
    """The files of an SAE; downloads last as long as the block. InputError if there is no way to them or the weights do
    not have the digest that the params name."""
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch, prefix=".download-") as folder:
        weights, origin = _brought(section, Path(folder))
        with weights.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        require_digest(section, weights, digest)
        yield Fetched(weights, {"file": weights.name, "sha256": digest, **origin})


def _brought(section: PretrainedSae, folder: Path) -> tuple[Path, dict[str, Any]]:
    if section.path is not None:
        return local_weights(section), {}
    if section.url is not None:
        return _from_web(section.url, section.format, folder), {"url": section.url}
    return _from_hub(section)


def _from_hub(section: PretrainedSae) -> tuple[Path, dict[str, Any]]:
    from polysem.models.hub import Repository, snapshot

    assert section.repository is not None
    kind = format_module(section.format)
    name = section.filename or ""
    if kind.WEIGHTS and not name.endswith(kind.WEIGHTS):
        name = posixpath.join(name, kind.WEIGHTS)
    needed, welcome = kind.companions(posixpath.basename(name))
    beside = [posixpath.normpath(posixpath.join(posixpath.dirname(name), file)) for file in (*needed, *welcome)]
    source = snapshot(Repository(repository=section.repository, revision=section.revision), [name, *beside])
    for file in (name, *beside[: len(needed)]):
        if not (source.folder / file).is_file():
            raise InputError(f"the repository {section.repository} holds no file {file!r}; mend filename")
    return source.folder / name, {"repository": section.repository, "commit": source.commit}


def _from_web(url: str, name: str, folder: Path) -> Path:
    """The weights and their companions, in folders called as those of the address: some formats read them."""
    kind = format_module(name)
    if url.endswith("/") and kind.WEIGHTS:
        url = urljoin(url, kind.WEIGHTS)
    weights = _place(url, folder)
    if not weights.suffix:
        raise InputError(f"url {url!r} names no file; give the address of the file of weights")
    needed, welcome = kind.companions(weights.name)
    for companion in (*needed, *welcome):  # small ones first: a wrong address shows before gigabytes are loaded
        _download(urljoin(url, companion), _place(urljoin(url, companion), folder), companion in needed)
    _download(url, weights, True)
    return weights


def _place(url: str, folder: Path) -> Path:
    parts = [part for part in unquote(urlsplit(url).path).split("/") if part not in ("", ".", "..")]
    return folder.joinpath(*(part.replace("\\", "_").replace("\0", "_") for part in parts))


def _download(url: str, target: Path, needed: bool) -> None:
    import httpx2

    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with httpx2.stream("GET", url, follow_redirects=True, timeout=TIMEOUT) as answer:
            if answer.status_code == 404 and not needed:
                return
            if answer.status_code != 200:
                raise InputError(f"{url} answers {answer.status_code} {answer.reason_phrase}; mend url")
            received = 0
            with target.open("wb") as file:
                for block in answer.iter_bytes(1 << 20):
                    received += len(block)
                    if received > LARGEST:
                        raise InputError(f"{url} is larger than {LARGEST >> 30} GB; no SAE is")
                    file.write(block)
    except network_errors() as error:
        if said := disk_problem(error, target):
            raise InputError(said) from error
        raise InputError(
            f"{url} cannot be loaded ({type(error).__name__}: {error}); load it elsewhere, copy it here, and give path "
            "in place of url"
        ) from None
