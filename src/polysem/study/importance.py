"""How much each token matters for the activation of a feature, of any one at any place of the eval split."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from polysem.io.errors import InputError
from polysem.models.batches import TokenStore
from polysem.study.dictionary import Dictionary
from polysem.tables.of_model.cluster_relations import replacement_token
from polysem.tables.passes.embeddings.importance import KeyTokens, token_importance


def importance_of_tokens(
    dictionary: Dictionary, feature: int, sequences: Sequence[int], positions: Sequence[int], before: int
) -> list[list[float | None]]:
    """Share of the activation at each key token that is lost without a token in front of it, as the table
    `cluster_relations` has it: a list per key token, for offsets −`before` … 0, None where it was not measured.

    The key tokens stand at `positions` in `sequences` of the eval split. Raises UnknownNameError for a feature that
    there is not, InputError for a model of images, and for a place that no token has.
    """
    number, model = dictionary.feature(feature).number, dictionary.site.model
    if not model.is_language_model:
        raise InputError(f"{model.name} reads images, which have no tokens")
    bring = model.results.bring
    tokens = TokenStore(Path(bring(model.place.tokens("eval").store)))
    if len(sequences) != len(positions):
        raise InputError(f"there are {len(sequences)} sequences and {len(positions)} positions; name one for each")
    for sequence, position in zip(sequences, positions, strict=True):
        ids = tokens.ids(sequence, sequence + 1)
        if sequence >= tokens.sequences or position >= ids.shape[1] or ids[0, position] < 0:
            raise InputError(f"sequence {sequence} of the eval split of {model.name} has no token at {position}")
    keys = KeyTokens(np.full(len(sequences), number), np.array(sequences), np.array(positions))
    replacement = replacement_token(bring(model.place.tokenizer), tokens)
    found = token_importance(model.subject, dictionary.site.name, dictionary.weights, tokens, keys, before, replacement)
    return [[None if np.isnan(share) else float(share) for share in row] for row in found]
