"""What a model expects behind a token, and what it expects when a feature is ablated there (document S1, "Feature
Ablations")."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polysem.interventions.edits import ablation, replacements
from polysem.models.subject import Batch, Subject
from polysem.saes.dictionary import Dictionary


def next_token_probabilities(
    subject: Subject,
    site: str,
    dictionary: Dictionary,
    feature: int,
    activation: float,
    ids: Int[Tensor, " position"],
    directions: Float[Tensor, "direction output"],
) -> Float[Tensor, "copy token"]:
    """Probabilities of the token behind the last of some tokens: of the model as it is, with a feature ablated at the
    last token, and with its `activation` there taken away along each of some other directions.

    `site` is that of the dictionary, and the activation is known, so that nothing is encoded.
    """
    device, length = subject.device, len(ids)
    rows = torch.cat([dictionary.decoder()[[feature, feature]].to(device), directions.to(device)])
    copies = len(rows)
    at = torch.zeros(copies, length, dtype=torch.bool, device=device)
    at[1:, -1] = True
    edit = ablation(
        torch.full((copies, 1), feature, device=device),
        positions=at,
        directions=rows[:, None],
        known=torch.full((copies, length, 1), activation, device=device),
    )
    everywhere = torch.ones(1, length, dtype=torch.bool)
    batch = Batch(ids[None], ids[None], everywhere, everywhere)
    return subject.next_log_probabilities(batch, replacements(site, dictionary, edit), copies).exp()


def random_directions(dictionary: Dictionary, feature: int, count: int, seed: int) -> Float[Tensor, "direction output"]:
    """Directions at the site of the decoder rows, drawn at random, each as long as the row of a feature. The same for
    all features but for their length."""
    drawn = torch.randn(count, dictionary.outputs, generator=torch.Generator().manual_seed(seed))
    return drawn * (dictionary.decoder()[feature].cpu().norm() / drawn.norm(dim=1, keepdim=True))
