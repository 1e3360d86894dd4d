"""S0.X1: activations of another site through a dictionary."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from polysem.params.analysis import Analysis
from polysem.tables.parts.labels import scalar, variable
from polysem.tables.passes.comparison.coherence import TOP, Coherence, coherence, random_coherence
from polysem.tables.passes.comparison.pair_table import Variables, median
from polysem.tables.passes.comparison.shelf import Site

COHERENT = 0.5
"""Share of a feature's top tokens that are the same, from which on it counts as coherent."""
DRAWS = 1000


def readings(reader: Site, dictionary: str, others: Sequence[Site], params: Analysis) -> Variables:
    """How coherent the features of one dictionary are on its own site's activations, and on those of other sites.

    Over `source`, the own site first: `source_model`, `source_site`, `coherent_share` (of the features that are active
    on at least `TOP` tokens of the sample, those with a coherence of `COHERENT` or more), `coherent_share_permuted`
    (the same with the neurons of the source in another order, which leaves no direction where it was: whatever is
    coherent then is owed to the activations and not to the direction), `read_share` (features that are active on
    enough tokens), `same_token_share` (of those coherent here and there, how many have the same token).
    Over (`source`, `reader_feature`): `coherence`, `coherence_permuted`. Over `random_draw`: `coherence_random`, of
    tokens drawn at random, with the scalars `coherent_share_random` (draws that reach `COHERENT`) and
    `median_coherence_random`, NaN where there are too few tokens for a draw. Other sites are those of the same width
    and the same tokens. Source: document S0.
    """
    features = reader.dictionary(dictionary)
    order = np.random.default_rng(params.baseline_seed).permutation(reader.width)
    sources = [reader, *others]
    as_is: list[Coherence] = []
    permuted: list[Coherence] = []
    for source in sources:
        here, there = reader.shared_samples(source, params.comparison_tokens)
        tokens = reader.token_ids(here)
        for found, neurons in ((as_is, None), (permuted, order)):
            codes = source.read_with(features, there, neurons)
            found.append(coherence(codes, tokens))
    own = as_is[0]
    random = random_coherence(reader.token_ids(reader.sample(params.comparison_tokens)), DRAWS, params.baseline_seed)
    names = {"model": [source.model for source in sources], "site": [source.site for source in sources]}
    shares = {
        "coherent_share": ([_coherent_share(found) for found in as_is], "share of features with coherent top tokens"),
        "coherent_share_permuted": (
            [_coherent_share(found) for found in permuted],
            "share of features with coherent top tokens when the neurons are permuted",
        ),
        "median_coherence": ([median(found.share) for found in as_is], "median coherence"),
        "median_coherence_permuted": (
            [median(found.share) for found in permuted],
            "median coherence when the neurons are permuted",
        ),
        "read_share": (
            [float(np.isfinite(found.share).mean()) for found in as_is],
            f"share of features active on at least {TOP} tokens of the sample",
        ),
        "same_token_share": (
            [_same_token(own, found) for found in as_is],
            "share of features coherent at both sites whose most common token is the same",
        ),
    }
    variables = {
        f"source_{name}": variable("source", np.array(values, object), f"{name} of the activations", "1")
        for name, values in names.items()
    }
    variables |= {name: variable("source", np.array(values), text, "1") for name, (values, text) in shares.items()}
    for name, all_found in (("coherence", as_is), ("coherence_permuted", permuted)):
        values = np.stack([found.share for found in all_found]).astype(np.float32)
        text = f"share of a feature's {TOP} top tokens that are the same token"
        variables[name] = variable(("source", "reader_feature"), values, text, "1")
    return variables | _of_random_tokens(random)


def _of_random_tokens(share: NDArray[np.float64]) -> Variables:
    coherent = float(np.mean(share >= COHERENT)) if np.isfinite(share).all() else float("nan")
    return {
        "coherence_random": variable("random_draw", share, f"the same of {TOP} tokens drawn at random", "1"),
        "coherent_share_random": scalar(coherent, "share of draws of random tokens that are coherent", "1"),
        "median_coherence_random": scalar(median(share), "median coherence of random tokens", "1"),
    }


def _coherent_share(found: Coherence) -> float:
    known = found.share[np.isfinite(found.share)]
    return float((known >= COHERENT).mean()) if len(known) else float("nan")


def _same_token(own: Coherence, other: Coherence) -> float:
    both = (np.nan_to_num(own.share) >= COHERENT) & (np.nan_to_num(other.share) >= COHERENT)
    return float((own.token == other.token)[both].mean()) if both.any() else float("nan")
