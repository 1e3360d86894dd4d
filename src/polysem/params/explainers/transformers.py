"""`source: transformers`: its keys."""

from typing import Literal

from polysem.params.base import FilePath
from polysem.params.explainers.base import Explainer


class TransformersExplainer(Explainer):
    """A model in a local folder (config.json, model.safetensors, tokenizer.json), or a local `.gguf` file, that
    transformers runs here."""

    source: Literal["transformers"]
    path: FilePath
    """The folder, or the file."""

    def outside_files(self) -> list[str]:
        """See `Entry`."""
        return [self.path]

    def modules(self) -> list[str]:
        """See `Entry`."""
        return ["polysem.explanations.language.transformers"]
