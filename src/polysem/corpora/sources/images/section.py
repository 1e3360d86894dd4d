"""`source: images`: its keys."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from polysem.params.base import CorpusSection, FilePath, Seed
from polysem.params.needs import PIXEL_BYTES, CorpusNeeds

SETS = {"digits": (1797, 64), "mnist": (70_000, 784)}
"""Images of a set, and the pixels of one."""
CLASSES = 10


class ImagesCorpus(CorpusSection):
    """Images with labels."""

    source: Literal["images"]
    images: Literal["digits", "mnist"] = "digits"
    """`digits`: scikit-learn's 1,797 images of 8 × 8, offline; `mnist`: 70,000 of 28 × 28."""
    path: FilePath | None = None
    """For `mnist`: a `.npz` file (x_train, y_train, x_test, y_test) or a folder of idx files; without it the hub is
    asked."""
    eval_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of `digits` in the eval split, chosen by seed; `mnist` has its own test images."""
    seed: Seed = 0
    """Seed of the split of `digits`."""

    @model_validator(mode="after")
    def digits_have_no_path(self) -> Self:
        """They come with scikit-learn."""
        if self.images == "digits" and self.path is not None:
            raise ValueError("images: digits comes with scikit-learn; remove path, or set images: mnist")
        return self

    @property
    def pixels(self) -> int:
        """Of an image."""
        return SETS[self.images][1]

    def outside_files(self) -> list[str]:
        """See `Entry`."""
        return [] if self.path is None else [self.path]

    def modules(self) -> list[str]:
        """See `Entry`."""
        return ["polysem.corpora.sources.images.make"]

    def needs(self) -> CorpusNeeds:
        """See `CorpusSection`."""
        images, pixels = SETS[self.images]
        stored = float(PIXEL_BYTES * images * pixels)
        both = {"train": stored, "eval": stored}
        return CorpusNeeds(float(images * pixels), stored=both, images=images, pixels=pixels)
