"""S0.X1, S1.F7, S1.F8, S2.F8, S2.F9: the dictionaries of a site against each other and against those of other sites."""

from collections.abc import Mapping, Sequence

import xarray as xr

from polysem.params.analysis import Analysis
from polysem.params.pair import Pair
from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import labelled
from polysem.tables.parts.words import words
from polysem.tables.passes.comparison.pair_table import pair_variables
from polysem.tables.passes.comparison.pairwise import Match, compare
from polysem.tables.passes.comparison.shelf import Site
from polysem.tables.passes.comparison.size_table import growing, splitting
from polysem.tables.passes.comparison.wrong_site import readings

CATALOGUE = "S0.X1 S1.F7 S1.F8 S2.F8 S2.F9"
READS = (
    "store",
    "tokens",
    "directions",
    "tokenizer",
    "pairs",
    "sizes",
    "saes:weights",
    "saes:table:frequency",
    "saes:table:ultra_low",
    "others:weights",
    "others:store",
    "others:tokens",
    "others:directions",
)
PARAMS = ("baseline_seed", "comparison_tokens", "split_cosine", "ultra_low_frequency")
VARIABLES = {
    "pair_dictionary": ("pair", "1", "dictionary of this site"),
    "pair_relation": ("pair", "1", "what the other dictionary is to it"),
    "pair_model": ("pair", "1", "model of the other dictionary"),
    "pair_site": ("pair", "1", "site of the other dictionary"),
    "pair_other": ("pair", "1", "other dictionary, in which features are looked for"),
    "pair_reason": ("pair", "1", "why something is not compared"),
    "features": ("pair", "feature", "features"),
    "pair_tokens": ("pair", "token", "tokens of the correlations"),
    "correlated_share": ("pair", "1", "share of features active often enough to correlate"),
    "found_again_share": ("pair", "1", "share of these whose best correlation is at least 0.7"),
    "median_correlation": ("pair", "1", "median of the best correlations"),
    "median_correlation_shuffled": ("pair", "1", "median of the best correlations with shuffled tokens"),
    "median_logit": ("pair", "1", "median correlation of the logit weights of the features that correlate best"),
    "median_logit_shuffled": (
        "pair",
        "1",
        "median correlation of the logit weights of features that have nothing to do with each other",
    ),
    "median_cosine": ("pair", "1", "median cosine with the nearest decoder row"),
    "median_cosine_random": ("pair", "1", "median cosine with the nearest decoder row after permuting the neurons"),
    "ultra_low_cosine": ("pair", "1", "cosine of the mean encoder rows of the ultra-low clusters"),
    "ultra_low_cosine_others": (
        "pair",
        "1",
        "cosine of the mean encoder rows of as many other features, drawn at random",
    ),
    "correlation_shuffled": ("pair draw", "1", "best correlation with shuffled tokens"),
    "logit_shuffled": (
        "pair draw",
        "1",
        "correlation of the logit weights of features that have nothing to do with each other",
    ),
    "cosine_random": ("pair draw", "1", "cosine with the nearest decoder row after permuting the neurons"),
    "correlation": ("match", "1", "largest correlation of its activations with another feature's"),
    "correlated_feature": ("match", "feature", "that feature; −1: none"),
    "logit_correlation": ("match", "1", "correlation of the logit weights of both"),
    "cosine": ("match", "1", "largest cosine of its decoder row with another feature's"),
    "nearest_feature": ("match", "feature", "that feature; −1: none"),
    "relation": ("relation", "1", "what other dictionaries are to one"),
    "relation_features": ("relation", "feature", "features of all pairs"),
    "relation_correlated_features": ("relation", "feature", "those of them that are active often enough to correlate"),
    "relation_median_correlation": ("relation", "1", "median of the best correlations of all pairs"),
    "source_model": ("source", "1", "model of the activations"),
    "source_site": ("source", "1", "site of the activations"),
    "coherent_share": ("source", "1", "share of features with coherent top tokens"),
    "coherent_share_permuted": (
        "source",
        "1",
        "share of features with coherent top tokens when the neurons are permuted",
    ),
    "median_coherence": ("source", "1", "median coherence"),
    "median_coherence_permuted": ("source", "1", "median coherence when the neurons are permuted"),
    "read_share": ("source", "1", "share of features active on at least * tokens of the sample"),
    "same_token_share": ("source", "1", "share of features coherent at both sites whose most common token is the same"),
    "coherence": ("source reader_feature", "1", "share of a feature's * top tokens that are the same token"),
    "coherence_permuted": ("source reader_feature", "1", "share of a feature's * top tokens that are the same token"),
    "coherence_random": ("random_draw", "1", "the same of * tokens drawn at random"),
    "coherent_share_random": ("", "1", "share of draws of random tokens that are coherent"),
    "median_coherence_random": ("", "1", "median coherence of random tokens"),
    "size_dictionary": ("size", "1", "dictionaries by size"),
    "size_features": ("size", "feature", "their numbers of features"),
    "split_share": ("level", "1", "share of features with several children"),
    "kept_share": ("level", "1", "share of features with one child"),
    "childless_share": ("level", "1", "share of features without a child"),
    "new_share": ("level", "1", "share of the larger dictionary's features without a parent"),
    "random_share": (
        "level",
        "1",
        "share of the larger dictionary's features with a parent when their neurons are permuted",
    ),
    "children": ("children", "1", "children of a feature, 3: so many or more"),
    "features_by_children": (
        "level children",
        "feature",
        "features of the smaller dictionary with so many children",
    ),
    "child_level": ("child", "1", "level"),
    "child_feature": ("child", "feature", "feature of the larger dictionary"),
    "child_parent": ("child", "feature", "nearest feature of the smaller dictionary"),
    "child_cosine": ("child", "1", "cosine of their decoder rows"),
    "child_cosine_random": ("child", "1", "the same after permuting the child's neurons"),
    "point_size": ("point", "1", "number of the dictionary by size"),
    "point_feature": ("point", "feature", "feature"),
    "point_x": ("point", "1", "place on the map of decoder directions"),
    "point_y": ("point", "1", "place on the map of decoder directions"),
    "leaf_size": ("leaf", "1", "number of the dictionary by size"),
    "leaf_feature": ("leaf", "feature", "feature"),
    "leaf_token": ("leaf", "1", "most common of its top tokens"),
    "leaf_coherence": ("leaf", "1", "its share of the top tokens"),
    "merge": ("merge_step merge_column", "1", "average linkage: two clusters, distance, leaves"),
}
ONLY = {
    "where activations of other sites are read": (
        "source_*",
        "coheren*",
        "median_coherence*",
        "read_share",
        "same_token_share",
    ),
    "where SAEs have several sizes": (
        "size_*",
        "split_share",
        "kept_share",
        "childless_share",
        "new_share",
        "random_share",
        "children",
        "features_by_children",
        "child_*",
        "point_*",
        "leaf_*",
        "merge",
    ),
}


def measure(inputs: Inputs) -> xr.Dataset:
    """What is compared at a site: `pair_variables`, `readings` and `splitting`, as far as there is what they need.

    Of SAEs of several sizes with equally many features the first is taken.
    """
    sites = _sites(inputs)
    here = sites[inputs.place.at(inputs.site).path]
    pairs, params = [Pair(**pair) for pair in inputs.value("pairs")], inputs.params
    matches = _compared(here, sites, pairs, params)
    variables = pair_variables(matches)
    others = [
        other
        for other in sites.values()
        if other is not here and other.width == here.width and other.tokens_digest == here.tokens_digest
    ]
    reader = pairs[0].dictionary if pairs and others else ""
    if reader:
        variables |= readings(here, reader, others, params)
    names = growing(here, inputs.value("sizes"))
    if len(names) > 1:
        variables |= splitting(here, names, params, words(inputs.path_if_any("tokenizer")))
    attributes = {
        "tokens": max((match.tokens for match in matches), default=0),
        "neurons": here.width,
        "reader": reader,
        "split_cosine": params.split_cosine,
        "ultra_low_frequency": params.ultra_low_frequency,
    }
    return labelled(variables, {}, attributes)


def _compared(here: Site, sites: Mapping[str, Site], pairs: Sequence[Pair], params: Analysis) -> list[Match]:
    """Each pair, in their order; those of one dictionary are compared together, while its activations are held."""
    by_dictionary = sorted(range(len(pairs)), key=lambda number: pairs[number].dictionary)
    found = {
        number: compare(here, sites[f"{pairs[number].model}/{pairs[number].site}"], pairs[number], params)
        for number in by_dictionary
    }
    return [found[number] for number in range(len(pairs))]


def _sites(inputs: Inputs) -> dict[str, Site]:
    """This site and those with which something is compared, by "model/site"."""
    dictionaries: dict[str, dict[str, Inputs]] = {inputs.place.at(inputs.site).path: {}}
    for its in [*inputs.each("others"), *inputs.each("saes")]:
        dictionaries.setdefault(its.place.of("").path, {})[its.place.dictionary] = its
    own = next(iter(dictionaries.values()))
    return {
        where: Site(known, inputs if known is own else next(iter(known.values())))
        for where, known in dictionaries.items()
    }
