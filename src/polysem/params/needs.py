"""What an entry of the params file knows of what it takes: `polysem plan` and the check of the disk count with it."""

from dataclasses import dataclass, field

STORY_BYTES, STORY_TOKENS, TOKEN_BYTES = 430, 250, 13
"""Of a generated story in its Parquet file; tokens of one; bytes of a token with its mask and tags, uncompressed."""
PIXEL_BYTES = 4
"""Of a pixel in a store of images."""


@dataclass(frozen=True)
class CorpusNeeds:
    """What a corpus takes, in bytes; None: not known, and `missing` says what is not."""

    disk: float | None
    download: float | None = 0.0
    memory: float | None = 0.0
    missing: str = ""
    stored: dict[str, float] = field(default_factory=dict)
    """By split, the store of what a model reads; empty where the number of tokens is not known."""
    images: int = 0
    pixels: int = 0
    """Of an image; 0 for text."""


@dataclass(frozen=True)
class ModelNeeds:
    """What making a model takes: the tokens, or images, that it is trained on, and those of a batch; or a download."""

    trained_tokens: int = 0
    batch_tokens: int = 0
    is_downloaded: bool = False


@dataclass(frozen=True)
class SaeNeeds:
    """What an SAE takes: its features per neuron of the site, or their number where somebody else trained it; None
    where that is not known before it is there."""

    expansion: int | None = None
    features: int | None = None
    is_downloaded: bool = False

    def features_at(self, neurons: int | None) -> int | None:
        """Features at a site of so many neurons; None where they are not known."""
        if self.expansion is None:
            return self.features
        return None if neurons is None else self.expansion * neurons
