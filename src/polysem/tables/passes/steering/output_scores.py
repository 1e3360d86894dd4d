"""S1.F5: how much of what its logit weights promise a feature does to the next token."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polysem.activations.left_out import LeftOut
from polysem.interventions.edits import Edit, replacements
from polysem.models.subject import Batch, Subject
from polysem.models.text import token_batch
from polysem.saes.dictionary import Dictionary
from polysem.tables.passes.steering.prompts import Ids

TOGETHER = 256
"""Features that are set at once."""


@torch.inference_mode()
def output_scores(
    subject: Subject,
    site: str,
    dictionary: Dictionary,
    features: Int[np.ndarray, " feature"],
    maxima: Float[np.ndarray, " feature"],
    promoted: Int[np.ndarray, "feature rank"],
    prompts: Sequence[Ids],
    left_out: Mapping[str, LeftOut],
) -> Float[np.ndarray, "feature when"]:
    """The score of each feature with it set to its maximum at every position that is not left out, and without: means
    over the prompts.

    A score is p · (1 − r / |V|) behind a prompt, of the likeliest of the tokens that the feature's logit weights raise
    most, with its probability p and its rank r from 0. Source: the output score of Arad, Mueller and Belinkov, "SAEs
    Are Good for Steering – If You Select the Right Features" (2025), who take 20 tokens, one prompt ("From my
    experience,"), and ten times the activation; theirs is that with the feature set alone.
    """
    found = np.zeros((len(features), 2))
    for prompt in prompts:
        clean = subject.next_log_probabilities(_batch(prompt, 1))
        for start in range(0, len(features), TOGETHER):
            part = slice(start, start + TOGETHER)
            tokens = torch.from_numpy(promoted[part]).to(clean.device)
            edit = Edit(
                torch.from_numpy(features[part, None]).to(clean.device),
                "set",
                torch.from_numpy(maxima[part, None].astype(np.float32)).to(clean.device),
                left_out=left_out,
            )
            batch = _batch(prompt, len(tokens))
            steered = subject.next_log_probabilities(batch, replacements(site, dictionary, edit))
            for when, scores in enumerate((steered, clean.expand(len(tokens), -1))):
                found[part, when] += ranked_probability(scores, tokens).double().cpu().numpy() / len(prompts)
    return found


def ranked_probability(
    log_probabilities: Float[Tensor, "row token"], tokens: Int[Tensor, "row rank"]
) -> Float[Tensor, " row"]:
    """p · (1 − r / |V|) of the likeliest of each row's tokens."""
    likeliest = log_probabilities.gather(1, tokens).amax(1, keepdim=True)
    rank = (log_probabilities > likeliest).sum(1)
    return likeliest[:, 0].exp() * (1 - rank / log_probabilities.shape[1])


def _batch(prompt: Ids, rows: int) -> Batch:
    return token_batch(np.repeat(prompt[None], rows, axis=0), np.ones((rows, len(prompt)), bool))
