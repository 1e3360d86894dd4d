"""What it takes to intervene on the features of a model: to ablate them and to steer with them."""

from polysem.params.base import NEURONS
from polysem.params.comparisons import firsts_of_recipes
from polysem.params.models.language import SITE, LanguageModel
from polysem.params.models.shape import Shape
from polysem.params.study import Study
from polysem.workflow.checks.shapes import flops_to, forward_flops

DOSED_WAYS, OTHER_WAYS = 4, 2
"""Ways of steering that have doses (the feature, and three baselines), and those that have none."""
PROMPT = 32
"""Tokens of a prompt, about."""


def intervention_flops(
    study: Study, name: str, model: LanguageModel, shape: Shape, features: dict[tuple[str, str], int]
) -> float:
    """Operations of the tables `ablation` and `steering` of a model; `features` are numbers by site and dictionary.

    An ablation of a feature, or of a random direction beside it, at a token is a forward pass over half of a context
    and the tokens behind it that are looked at; in the last block, where no attention follows, it is what follows at
    that one token. A continuation is computed anew for each of its tokens.
    """
    analysis, context = study.analysis, model.context_length
    whole = forward_flops(shape, context)
    removals = analysis.ablation_tokens + analysis.ablation_directions
    total = 0.0
    for site in model.sites:
        match = SITE.fullmatch(site)
        is_last = match is not None and int(match[1]) == shape.layers - 1
        each = whole - flops_to(shape, context, site) if is_last else whole * (context / 2 + analysis.context_after)
        for dictionary in (NEURONS, *firsts_of_recipes(study, name, site)):
            total += min(features[site, dictionary], analysis.intervened_features) * removals * each
    texts = (1 + analysis.steering_prompts) * analysis.steering_samples
    ways = DOSED_WAYS * len(analysis.steering_doses) + OTHER_WAYS
    steered = analysis.steered_features * sum(bool(firsts_of_recipes(study, name, site)) for site in model.sites)
    tokens = analysis.steering_tokens
    return total + steered * ways * texts * tokens * (PROMPT + tokens / 2) * whole
