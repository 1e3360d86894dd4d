"""What a model expects behind a token when a feature is ablated there, against edits by hand."""

from collections.abc import Mapping, Sequence

import pytest
import torch

from polysem.interventions.next_tokens import next_token_probabilities, random_directions
from polysem.models.subject import Batch, Evaluation, Replacement, Subject, Take
from polysem.saes.activation_functions.standard import Function
from polysem.saes.dictionary import Neurons
from polysem.saes.sae import SAE

SITE = "site"


class Running(Subject):
    """The activations at a position are a running mean of embeddings; logits are linear in them."""

    def __init__(self) -> None:
        drawn = torch.Generator().manual_seed(0)
        self.device = torch.device("cpu")
        self.embedding = torch.rand(7, 5, generator=drawn)
        self.head = torch.randn(5, 7, generator=drawn)

    @property
    def sites(self) -> Sequence[str]:
        return [SITE]

    def width(self, site: str) -> int:
        return 5

    def visit(self, batch: Batch, sites: Sequence[str], take: Take, *, inputs: bool = False) -> None:
        x = self.embedding[batch.inputs].cumsum(1)
        take(SITE, x / torch.arange(1, x.shape[1] + 1)[:, None], None)

    def evaluate(self, batch: Batch, replacements: Mapping[str, Replacement] | None = None) -> Evaluation:
        raise NotImplementedError

    def log_probabilities(
        self,
        batch: Batch,
        replacements: Mapping[str, Replacement] | None = None,
        copies: int = 1,
        at: torch.Tensor | None = None,
    ) -> torch.Tensor:
        x = self.activations(batch, [SITE])[SITE].repeat_interleave(copies, 0)
        logits = (replacements or {SITE: lambda x: x})[SITE](x) @ self.head
        return (logits if at is None else logits.gather(1, at[..., None].expand(-1, -1, logits.shape[-1]))).log_softmax(
            -1
        )

    def input_weights(self, site: str) -> None:
        return None

    def output_weights(self, site: str) -> None:
        return None

    def logit_directions(self, site: str) -> None:
        return None


@pytest.fixture
def sae() -> SAE:
    drawn = torch.Generator().manual_seed(1)
    encoder, decoder = torch.rand(5, 8, generator=drawn), torch.randn(8, 5, generator=drawn)
    return SAE(encoder, torch.zeros(8), decoder, torch.zeros(5), Function())


def test_a_feature_and_random_directions_are_taken_away_at_the_last_token_alone(sae):
    subject, ids = Running(), torch.tensor([3, 1, 4, 1, 5])
    x = subject.activations(Batch(ids[None], ids[None], ids[None] >= 0, ids[None] >= 0), [SITE])[SITE][0]
    for dictionary in (sae, Neurons(5)):
        f = float(dictionary.encode(x)[-1, 2])
        assert f > 0
        others = random_directions(dictionary, 2, 3, 0)
        found = next_token_probabilities(subject, SITE, dictionary, 2, f, ids, others)
        assert found.shape == (5, 7)
        rows = [torch.zeros(5), dictionary.decoder()[2], *others]
        for row, probabilities in zip(rows, found, strict=True):
            torch.testing.assert_close(probabilities, ((x[-1] - f * row) @ subject.head).softmax(-1))


def test_random_directions_are_as_long_as_the_decoder_row_and_the_same_for_all_features(sae):
    one, other = (random_directions(sae, feature, 19, 5) for feature in (2, 3))
    torch.testing.assert_close(one.norm(dim=1), sae.decoder()[2].norm().expand(19))
    torch.testing.assert_close(one / one.norm(dim=1, keepdim=True), other / other.norm(dim=1, keepdim=True))
    assert torch.equal(random_directions(sae, 2, 19, 5), one)
    assert not torch.allclose(random_directions(sae, 2, 19, 6), one)
