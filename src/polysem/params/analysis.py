"""`analysis:` — thresholds of the tables and figures."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from polysem.params.base import Section, Seed, Tokens
from polysem.params.probes import DEFAULT_PROBES, Probes

Frequency = Annotated[float, Field(gt=0, lt=1)]
OwnText = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]


def check_doses(doses: list[float]) -> list[float]:
    """The same; ValueError unless they ascend from above 0, and 1 is one of them."""
    if not all(low < high for low, high in zip([0.0, *doses], doses, strict=False)):
        raise ValueError(f"{doses} do not ascend from above 0; write [0.5, 1, 2, 5]")
    if 1 not in doses:
        raise ValueError(f"{doses} lack 1, the largest activation itself, by which models are compared; add it")
    return doses


Doses = Annotated[list[float], Field(max_length=20), AfterValidator(check_doses)]


class Analysis(Section):
    """Thresholds, each with the value of the document that introduced it."""

    rare_frequency: Frequency = 1e-3
    """Features active on a smaller share of tokens are drawn as rare (S0.F3a)."""
    ultra_low_frequency: Frequency = 1e-4
    """Features active on a smaller share of tokens, but on one at least, form the ultra-low cluster (S2.F3); it takes
    so many eval tokens that this is several of them."""
    one_sparse: Frequency = 0.35
    """Share of squared weight in the top neuron, or in the top ten, above which a feature is neuron-sparse (S2.F1)."""
    next_nine: Frequency = 0.1
    """Share in the next nine neurons below which a neuron-sparse feature is 1-sparse (S2.F1)."""
    head_ranks: Annotated[int, Field(ge=10, le=1_000_000)] = 1000
    """Ranks below this are the head of the rank-frequency plot (S0.F2)."""
    baseline_seed: Seed = 0
    """Seed of random baselines."""
    top_examples: Annotated[int, Field(ge=1, le=1000)] = 20
    """Most active examples that are kept of each feature (S0.F4)."""
    further_examples: Annotated[int, Field(ge=0, le=1000)] = 80
    """Most active examples behind the top ones, among which repeats are counted and different ones are looked for
    (S4.X3)."""
    repeat_context: Annotated[int, Field(ge=0, le=1000)] = 5
    """Tokens in front of an example that its repeats share with it, beside the token itself (S4.X3)."""
    different_distance: Annotated[float, Field(ge=0, le=2)] = 0.3
    """Cosine distance of neuron embeddings above which two examples differ; the others are counted as similar
    (S4.X3)."""
    sampled_examples: Annotated[int, Field(ge=0, le=1000)] = 20
    """Examples drawn at random from all tokens on which a feature is active, to see more than its extremes."""
    context_before: Annotated[int, Field(ge=0, le=1000)] = 20
    """Tokens kept before each example."""
    context_after: Annotated[int, Field(ge=0, le=1000)] = 10
    """Tokens kept after each example."""
    fidelity_tokens: Tokens = 16_384
    """Eval tokens on which the model is run with activations replaced (S0.T1, S2.T1), at most those of the eval
    store."""
    comparison_tokens: Tokens = 32_768
    """Eval tokens, evenly spread, over which features of two dictionaries are correlated (S0.X1, S1.F7)."""
    automata_tokens: Tokens = 16_384
    """Eval tokens, of whole sequences, evenly spread, on which it is counted which features follow each other
    (S1.F9)."""
    split_cosine: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Cosine of decoder rows from which on a feature of a larger dictionary descends from one of a smaller (S1.F8)."""
    twin_correlation: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Correlation of the activations of two features, or neurons, from which on they are twins (S4.X1), over
    `comparison_tokens`."""
    strong_share: Annotated[float, Field(ge=0, le=1)] = 0.75
    """Share of a feature's largest activation from which on a token is a strong example of it (S3.M2); 0: all on which
    it is active."""
    strong_examples: Annotated[int, Field(ge=2, le=1000)] = 100
    """Strong examples of a feature that are clustered, the first ones met (S3.M2)."""
    cluster_cut: Annotated[float, Field(gt=0, le=2)] = 0.5
    """Cosine distance of neuron embeddings above which clusters of examples are not merged (S3.M2)."""
    match_documents: Literal["eval", "train"] = "eval"
    """Documents whose tokens are held against the top-activating tokens of their strongest features (S4.T1). The tops
    are of eval tokens: of an eval document, those in the document itself are left aside."""
    match_texts: Annotated[int, Field(ge=200, le=100_000)] = 200
    """Texts that are taken from them: the beginnings of sequences, evenly spread; all where there are fewer."""
    match_tokens: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Tokens of each text, the first ones, at most those of the context; BOS and masked ones do not count."""
    match_own_texts: Annotated[list[OwnText], Field(max_length=1000)] = []
    """Texts of one's own beside them, which are counted apart."""
    probes: Probes = DEFAULT_PROBES
    """Sentences with a slot: the first word in it is replaced by the others (S4.X4). Words that the tokenizer has in
    pieces alone, and that are not among the eval tokens, are named and left out."""
    steered_features: Annotated[int, Field(ge=0, le=1000)] = 6
    """Features of each site that are steered (S1.F5): half of them the best features of tags, the others those with the
    highest output scores; 0: none."""
    steering_doses: Doses = [0.5, 1, 2, 5]
    """What a feature is set to, as multiples of its largest activation on the eval tokens (S1.F5), in ascending order;
    1, which document S1 takes, is among them."""
    steering_prompts: Annotated[int, Field(ge=0, le=100)] = 2
    """Beginnings of eval documents that are continued, beside a text with nothing in it but BOS (S1.F5)."""
    steering_samples: Annotated[int, Field(ge=1, le=100)] = 2
    """Continuations of each prompt (S1.F5)."""
    steering_tokens: Annotated[int, Field(ge=1, le=1000)] = 24
    """Tokens of each continuation, at most as many as the context has room for behind a prompt (S1.F5)."""
    steering_temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    """What the logits are divided by before a token is drawn (S1.F5)."""

    intervened_features: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Features of a dictionary that are ablated (S1.F4), evenly spread along frequency; all where there are fewer."""
    ablation_tokens: Annotated[int, Field(ge=1, le=1000)] = 5
    """Tokens at which each of them is set to 0, spread over five intervals of its activation (S1.F4)."""
    ablation_directions: Annotated[int, Field(ge=1, le=1000)] = 20
    """Random directions of the same norm that are held against each of them, at these tokens in turn (S1.F4)."""
    explained_features: Annotated[int, Field(ge=1, le=1_000_000)] = 40
    """Features of a dictionary that are explained (S1.F10), evenly spread along frequency, and a few that are worth
    showing; all where there are fewer."""
    explanation_examples: Annotated[int, Field(ge=2, le=1000)] = 20
    """Active examples by which a feature is explained, and others by which its explanations are scored; as many on
    which it is not active, and half as many of the strongest and of random tokens (S1.F10)."""
    explanation_tokens: Tokens = 16_384
    """Eval tokens, of whole sequences, evenly spread, from which these examples are drawn: one half of the sequences is
    shown, the other held out (S1.F10)."""
    rubric_features: Annotated[int, Field(ge=0, le=1000)] = 8
    """Features of SAEs, and as many neurons, on the sheet of a language model on which people score how well they can
    be explained (S1.F10); 0: no sheet."""


class GivenAnalysis(Analysis):
    """The keys of `analysis:` that a rule passed to its step; the others cannot be read.

    A step that read a key which its rule does not pass would get the default whatever `params.yaml` says, and would not
    run again when the key changes.
    """

    def __getattribute__(self, name: str) -> Any:
        if name in Analysis.model_fields and name not in self.model_fields_set:
            raise KeyError(f"the step reads analysis.{name}, which its rule does not pass; add it to the rule")
        return super().__getattribute__(name)
