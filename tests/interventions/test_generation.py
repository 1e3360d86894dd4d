"""Continuations, against a model that can be worked by hand and against a loop over rows and steps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from polysem.activations.left_out import LeftOut
from polysem.interventions import generation
from polysem.interventions.edits import Edit, replacements
from polysem.interventions.generation import Steered, continuations, noise
from polysem.models.language import LanguageSubject
from polysem.models.native import bridge_of, new_model
from polysem.models.subject import Batch, Evaluation, Replacement, Subject, Take
from polysem.models.text import token_batch
from polysem.saes.activation_functions.standard import Function
from polysem.saes.dictionary import Neurons
from polysem.saes.sae import SAE
from polysem.saes.transcoder import with_target

SITE, OUT = "blocks.0.mlp.hook_post", "blocks.0.hook_mlp_out"


class Counting(Subject):
    """A model of five tokens that counts: neuron i stands for token i, and makes token i + 1 likely."""

    device = torch.device("cpu")
    sites = ("s",)

    def width(self, site: str) -> int:
        return 5

    def visit(self, batch: Batch, sites: Sequence[str], take: Take, *, inputs: bool = False) -> None:
        take("s", torch.nn.functional.one_hot(batch.inputs, 5).float(), None)

    def log_probabilities(
        self,
        batch: Batch,
        replacements: Mapping[str, Replacement] | None = None,
        copies: int = 1,
        at: torch.Tensor | None = None,
    ) -> torch.Tensor:
        x = self.activations(batch, ["s"])["s"]
        x = replacements["s"](x) if replacements else x
        found = (40 * x.roll(1, -1)).log_softmax(-1)
        return found if at is None else found.gather(1, at[..., None].expand(-1, -1, found.shape[-1]))

    def evaluate(self, batch: Batch, replacements: Mapping[str, Replacement] | None = None) -> Evaluation:
        raise NotImplementedError

    def input_weights(self, site: str) -> None:
        return None

    def output_weights(self, site: str) -> None:
        return None

    def logit_directions(self, site: str) -> None:
        return None


@pytest.fixture(scope="module")
def subject() -> LanguageSubject:
    config = {
        "d_model": 16, "d_head": 8, "n_heads": 2, "n_layers": 2, "n_ctx": 24, "d_vocab": 40, "d_mlp": 32,
        "act_fn": "relu", "normalization_type": "LN", "seed": 0,
    }  # fmt: skip
    model = new_model(config)
    model.head.weight.data *= 8
    return LanguageSubject(bridge_of(model), "cpu")


def sae(neurons: int, outputs: int, normalization: str = "none") -> SAE:
    drawn = torch.Generator().manual_seed(3)
    encoder, decoder = torch.randn(neurons, 12, generator=drawn), torch.randn(12, outputs, generator=drawn)
    return SAE(encoder, torch.zeros(12), decoder, torch.zeros(outputs), Function(), normalization)


def forcing(row: int, how: str = "set", amount: float = 3.0) -> Steered:
    """Neuron 2 of the counting model, in one row: token 3 follows whatever stands there."""
    return Steered(np.array([row]), "s", Neurons(5), Edit(torch.tensor([[2]]), how, torch.tensor([[amount]])))


def cases(dictionary_of: dict[str, tuple[str, object]]) -> list[Steered]:
    """Rows 1 and 4 edited in one dictionary, 2 in another, 5 in a third; 0 and 3 as they are."""
    found = []
    for rows, (site, dictionary) in zip(([1, 4], [2], [5]), dictionary_of.values(), strict=True):
        features = torch.arange(2 * len(rows)).reshape(len(rows), 2)
        found.append(Steered(np.array(rows), site, dictionary, Edit(features, "set", 2.0 + features.float())))
    return found


@pytest.fixture(scope="module")
def steered() -> list[Steered]:
    transcoder = with_target(sae(16, 16), None, "blocks.1.hook_mlp_out")
    return cases(
        {
            "sae": (SITE, sae(32, 32, "layer_norm")),
            "transcoder": ("blocks.1.hook_resid_mid", transcoder),
            "neurons": ("blocks.1.mlp.hook_post", Neurons(32)),
        }
    )


PROMPTS = np.array([[1, 2, 3], [1, 2, 3], [1, 2, 3], [9, 8, 7], [9, 8, 7], [9, 8, 7]])
KEYS = np.array([0, 0, 1, 0, 2, 2])


def slow(
    subject: Subject, steered: Sequence[Steered], row: int, tokens: int, seed: int, temperature: float
) -> list[int]:
    """One row alone, everything computed anew at every step."""
    text = PROMPTS[row].tolist()
    own = {}
    for one in steered:
        for place in np.flatnonzero(one.rows == row).tolist():
            edit = Edit(one.edit.features[[place]], one.edit.how, one.edit.amounts[[place]])
            own = replacements(one.site, one.dictionary, edit)
    for step in range(tokens):
        batch = token_batch(np.array([text]), np.ones((1, len(text)), bool))
        scores = subject.log_probabilities(batch, own)[0, -1].numpy()
        drawn = noise(seed, KEYS[[row]], step, len(scores))[0]
        text.append(int((scores / temperature + drawn).argmax()))
    return text[3:]


def test_a_feature_forces_a_known_token_in_its_row_alone():
    prompts = np.array([[0], [0], [4]])
    found = continuations(Counting(), prompts, np.arange(3), 4, 0, [forcing(1)])
    assert found.tolist() == [[1, 2, 3, 4], [3, 3, 3, 3], [0, 1, 2, 3]]


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_texts_are_those_of_a_loop_over_rows_and_steps(subject, steered, temperature, monkeypatch):
    wanted = [slow(subject, steered, row, 8, 5, temperature) for row in range(6)]
    assert len({tuple(text) for text in wanted}) == 6
    assert continuations(subject, PROMPTS, KEYS, 8, 5, steered, temperature).tolist() == wanted
    monkeypatch.setattr(generation, "ROWS", 2)
    assert continuations(subject, PROMPTS, KEYS, 8, 5, steered, temperature).tolist() == wanted


def test_what_else_is_written_changes_no_text_and_rows_of_one_key_draw_alike(subject, steered):
    together = continuations(subject, PROMPTS, KEYS, 8, 5, steered)
    alone = continuations(subject, PROMPTS[[3]], KEYS[[3]], 8, 5)
    assert together[3].tolist() == alone[0].tolist()
    twice = continuations(subject, PROMPTS[[0, 0, 0]], np.array([7, 7, 8]), 8, 5)
    assert twice[0].tolist() == twice[1].tolist() != twice[2].tolist()


def test_a_seed_gives_its_texts_again_and_another_gives_others(subject):
    texts = [continuations(subject, PROMPTS[[0]], KEYS[[0]], 12, seed).tolist() for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]


def test_an_edit_of_nothing_writes_what_the_model_writes(subject, steered):
    plain = continuations(subject, PROMPTS, KEYS, 8, 5)
    nothing = [
        Steered(
            one.rows,
            one.site,
            one.dictionary,
            Edit(one.edit.features, "scale", torch.ones(one.edit.features.shape)),
        )
        for one in steered
    ]
    assert continuations(subject, PROMPTS, KEYS, 8, 5, nothing).tolist() == plain.tolist()
    assert continuations(subject, PROMPTS, KEYS, 8, 5, steered).tolist() != plain.tolist()


def test_without_temperature_the_likeliest_token_is_taken(subject):
    text = [1, 2, 3]
    for _ in range(5):
        batch = token_batch(np.array([text]), np.ones((1, len(text)), bool))
        text.append(int(subject.log_probabilities(batch)[0, -1].argmax()))
    assert continuations(subject, PROMPTS[[0]], KEYS[[0]], 5, 5, temperature=0).tolist() == [text[3:]]


def test_the_last_position_alone_is_that_of_all(subject):
    batch = token_batch(PROMPTS, np.ones(PROMPTS.shape, bool))
    edit = Edit(torch.arange(6)[:, None], "set", torch.full((6, 1), 2.0))
    for site in (SITE, "blocks.1.hook_resid_mid", "blocks.1.hook_resid_post"):
        width = subject.width(site)
        own = replacements(site, Neurons(width), edit)
        whole = subject.log_probabilities(batch, own)[:, -1]
        torch.testing.assert_close(subject.next_log_probabilities(batch, own), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        subject.next_log_probabilities(batch), subject.log_probabilities(batch)[:, -1], atol=1e-5, rtol=1e-5
    )


def test_the_noise_is_gumbels_and_draws_with_the_models_probabilities():
    drawn = noise(3, np.arange(20_000), 4, 3).astype(np.float64)
    assert drawn.mean() == pytest.approx(np.euler_gamma, abs=0.02)
    assert drawn.var() == pytest.approx(np.pi**2 / 6, abs=0.05)
    p = np.array([0.6, 0.3, 0.1])
    chosen = np.bincount((np.log(p) + drawn).argmax(1), minlength=3) / len(drawn)
    np.testing.assert_allclose(chosen, p, atol=4 * np.sqrt(0.25 / len(drawn)))
    corner = noise(3, np.array([5, 6]), 4, 3)
    assert noise(3, np.array([6]), 4, 2).tolist() == corner[1:, :2].tolist()
    assert (
        len({noise(*of, 1).item() for of in ((3, np.array([5]), 4), (3, np.array([4]), 5), (4, np.array([5]), 3))}) == 3
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompts": np.zeros((2, 0), int)}, "one token at least"),
        ({"keys": np.zeros(3, int)}, "3 keys for 2 prompts"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"steered": [forcing(0), forcing(0)]}, "edited twice"),
        ({"steered": [forcing(2)]}, "none of the 2 prompts"),
    ],
)
def test_what_cannot_be_continued_is_refused(change, said):
    given = {"prompts": np.zeros((2, 1), int), "keys": np.zeros(2, int), "tokens": 1, "seed": 0} | change
    with pytest.raises(ValueError, match=said):
        continuations(Counting(), **given)


def test_an_edit_of_some_positions_is_refused():
    edit = Edit(torch.tensor([[2]]), "set", torch.ones(1, 1), positions=torch.ones(1, 1, dtype=torch.bool))
    with pytest.raises(ValueError, match="every position"):
        continuations(
            Counting(), np.zeros((1, 1), int), np.zeros(1, int), 1, 0, [Steered(np.array([0]), "s", Neurons(5), edit)]
        )


def test_no_prompts_give_no_texts():
    assert continuations(Counting(), np.zeros((0, 2), int), np.zeros(0, int), 3, 0).shape == (0, 3)


def test_a_left_out_position_is_not_steered_at_any_step(subject):
    """Steered from the first position on, or from the second: as with an edit that has positions."""
    amounts = torch.full((6, 1), 5.0)
    edit = Edit(torch.arange(6)[:, None], "set", amounts, left_out={SITE: LeftOut("first", 1.0, 9)})
    rows = [
        Steered(np.arange(6), SITE, Neurons(subject.width(SITE)), one) for one in (edit, replace(edit, left_out={}))
    ]
    kept, everywhere = (continuations(subject, PROMPTS, KEYS, 6, 5, [one]) for one in rows)
    wanted = PROMPTS
    for step in range(6):
        batch = token_batch(wanted, np.ones(wanted.shape, bool))
        positions = torch.ones(wanted.shape, dtype=torch.bool)
        positions[:, 0] = False
        by_hand = replacements(SITE, Neurons(subject.width(SITE)), replace(edit, left_out={}, positions=positions))
        scores = subject.log_probabilities(batch, by_hand)[:, -1].numpy()
        drawn = np.stack([noise(5, KEYS[[row]], step, scores.shape[1])[0] for row in range(6)])
        wanted = np.concatenate([wanted, (scores + drawn).argmax(-1)[:, None]], axis=1)
    assert kept.tolist() == wanted[:, 3:].tolist()
    assert kept.tolist() != everywhere.tolist()
