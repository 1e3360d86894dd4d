"""`source: pretrained`: an SAE that somebody else trained."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from polysem.params.addons import modules_of
from polysem.params.base import FilePath, HubId, Name, SaeSection, Text, Width
from polysem.params.needs import SaeNeeds

FORMATS = "polysem.saes.formats"
"""Each module there is a format that SAEs are read from."""
if TYPE_CHECKING:
    Format = str
else:
    Format = Literal[tuple(modules_of(FORMATS))]


class PretrainedSae(SaeSection):
    """An SAE that somebody else trained, on one site. It is converted once, and then is like one that was trained here;
    [formats.md](formats.md) says what is read and what is converted. Give one of `path`, `repository` and `url`."""

    source: Literal["pretrained"]
    format: Format
    """Whose files they are."""
    models: Annotated[list[Name], Field(min_length=1)]
    """Models at whose site the SAE is studied."""
    site: Text
    """TransformerLens hook name of the activations that the SAE reads."""
    target: Text | None = None
    """Of a transcoder: TransformerLens hook name of the activations that it predicts. Null: those that it reads."""
    path: FilePath | None = None
    """A local file of weights, or the folder that it is in."""
    repository: HubId | None = None
    """Hub id."""
    revision: Text = "main"
    """Commit, tag or branch of the repository; a commit makes the run reproducible."""
    filename: Text | None = None
    """File of weights, or its folder, inside of the repository; without it the repository is the folder."""
    url: Text | None = None
    """Web address of a file of weights; files that belong to it are looked for beside it."""
    features: Width | None = None
    """Number of its features, if it is known: to plan a run before it is downloaded. The file must agree."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Digest that the file of weights must have."""

    @model_validator(mode="after")
    def comes_from_one_place(self) -> "PretrainedSae":
        """Exactly one of the three, and a file name only inside of a repository."""
        named = [key for key in ("path", "repository", "url") if getattr(self, key) is not None]
        if len(named) != 1:
            raise ValueError(f"give one of path, repository and url; found {' and '.join(named) or 'none of them'}")
        for key, default in (("filename", None), ("revision", "main")):
            if getattr(self, key) != default and self.repository is None:
                raise ValueError(f"{key} belongs to a repository, and none is given")
        if self.filename is not None and (self.filename.startswith("/") or ".." in PurePosixPath(self.filename).parts):
            raise ValueError(f"filename is {self.filename!r}, expected a place inside of the repository")
        if self.url is not None and (
            urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).netloc
        ):
            raise ValueError(f"url is {self.url!r}, expected one that begins with https:// or http://")
        if self.target == self.site:
            raise ValueError(f"target is site itself, {self.site}; leave target out for an SAE")
        if self.target is not None and self.format != "saelens":
            raise ValueError(f"target is read with format: saelens; here it is {self.format}")
        return self

    @property
    def origin(self) -> dict[str, str]:
        """The keys that say where the files come from."""
        keys = {"path": ("path",), "repository": ("repository", "revision", "filename"), "url": ("url",)}
        chosen = next(names for key, names in keys.items() if getattr(self, key) is not None)
        return {name: str(getattr(self, name)) for name in chosen if getattr(self, name) is not None}

    def outside_files(self) -> list[str]:
        """See `Entry`; which files of the folder these are the format says (`polysem.saes.fetch`)."""
        return [] if self.path is None else [self.path]

    def modules(self) -> list[str]:
        """See `Entry`."""
        return [modules_of(FORMATS)[self.format]]

    def needs(self) -> SaeNeeds:
        """See `SaeSection`."""
        return SaeNeeds(features=self.features, is_downloaded=self.path is None)
