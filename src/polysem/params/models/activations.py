"""How many activations are stored, and how."""

from typing import Literal

from polysem.params.base import Section, Tokens


class Activations(Section):
    """How many activation rows are stored, and how."""

    train_tokens: Tokens = 400_000
    """Rows of the train store; SAEs are trained on them."""
    eval_tokens: Tokens = 100_000
    """Rows of the eval store; every table counts them."""
    dtype: Literal["float16", "float32"] = "float16"
    """Number format of the store."""
