"""S4.T1, S4.F1, S4.X2: of the features that are strongest on a text, which are most active on that token anyway.

For each of many texts, the 25 features of a dictionary with the largest activation on any of its tokens are taken, on
each of four scales (`polysem.saes.ranking`). One matches if its own top-activating token, that of its first top example
on the eval tokens, is the token of the text on which it is most active there: exactly, or by stem (`matches`). A text
of the eval split may hold the top example itself, which would then match without saying anything; so the first top
example outside of the text counts, and `matches_anywhere` is what the text itself adds.

The texts are the beginnings of documents, evenly spread over the split that `match_documents` names, and one's own
(`origin`). A text with fewer than 25 active features has fewer top features (`top_features`), and no match behind them.
Along `place` stand the neurons and the first SAE of each recipe, at all sites. Those of one series and one hook are a
`line` through the layers: `of_all_layers` says how many of the top 25 over all layers of the line each of them has, and
`line_matches` how many of these match, over all layers and without the first one (NaN where the line has no other).
Means are over the texts of an origin, intervals are 95 % bootstrap intervals over these; with one text they are NaN.
Source: document S4, "Test 2: Extract Concepts From Text" and "Questions".
"""

import xarray as xr

from polysem.activations.left_out import recorded_left_out
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.tokenizer import load_tokenizer
from polysem.params.models.language import layer_and_hook
from polysem.saes.dictionary import load_dictionary
from polysem.tables.inputs import Inputs
from polysem.tables.parts.distributions import read_distributions
from polysem.tables.parts.words import words
from polysem.tables.passes.matches.alike import Alike
from polysem.tables.passes.matches.by_layer import Place, by_layer
from polysem.tables.passes.matches.judged import judged
from polysem.tables.passes.matches.own_tokens import read_own_tokens
from polysem.tables.passes.matches.strong import active_features
from polysem.tables.passes.matches.texts import Texts, chosen_texts
from polysem.tables.passes.survey.blocks import search

CATALOGUE = "S4.T1 S4.F1 S4.X2"
READS = (
    "model",
    "tokens",
    "training tokens",
    "tokenizer",
    "series",
    "relatives:weights",
    "relatives:store",
    "relatives:table:examples",
    "relatives:table:frequency",
    "relatives:table:quantiles",
)
PARAMS = ("match_documents", "match_texts", "match_tokens", "match_own_texts", "baseline_seed")
VARIABLES = {
    "site": ("place", "1", "site of the dictionary"),
    "dictionary": ("place", "1", "dictionary of the site"),
    "layer": ("place", "1", "layer of the site"),
    "line_of_place": ("place", "1", "its line through the layers"),
    "line_hook": ("line", "1", "hook of the sites of the line"),
    "line_series": ("line", "1", "what the dictionaries of the line have in common"),
    "line_layers": ("line", "1", "layers of the line"),
    "matches": (
        "place scale match text",
        "feature",
        "top features whose own top-activating token outside of the text is the text's",
    ),
    "matches_anywhere": (
        "place scale match text",
        "feature",
        "top features whose own top-activating token, in the text or outside, is the text's",
    ),
    "top_features": ("place text", "feature", "top features of the text, at most 25"),
    "of_all_layers": ("place scale text", "feature", "top features over all layers of the line that are of this one"),
    "mean_matches": (
        "place scale match origin",
        "feature",
        "mean over texts: top features whose own top-activating token outside of the text is the text's",
    ),
    "mean_matches_low": (
        "place scale match origin",
        "feature",
        "mean over texts: matches, lower end of the 95 % bootstrap interval over texts",
    ),
    "mean_matches_high": (
        "place scale match origin",
        "feature",
        "mean over texts: matches, upper end of the 95 % bootstrap interval over texts",
    ),
    "mean_matches_anywhere": (
        "place scale match origin",
        "feature",
        "mean over texts: top features whose own top-activating token, in the text or outside, is the text's",
    ),
    "mean_top_features": ("place origin", "feature", "mean over texts: top features of the text, at most 25"),
    "mean_of_all_layers": (
        "place scale origin",
        "feature",
        "mean over texts: top features over all layers of the line that are of this one",
    ),
    "mean_of_all_layers_low": (
        "place scale origin",
        "feature",
        "mean over texts: those of this layer, lower end of the 95 % bootstrap interval over texts",
    ),
    "mean_of_all_layers_high": (
        "place scale origin",
        "feature",
        "mean over texts: those of this layer, upper end of the 95 % bootstrap interval over texts",
    ),
    "line_matches": (
        "line layers scale match origin",
        "feature",
        "mean over texts: top features over several layers whose own top-activating token is the text's",
    ),
    "line_matches_low": (
        "line layers scale match origin",
        "feature",
        "mean over texts: matches over several layers, lower end of the 95 % bootstrap interval over texts",
    ),
    "line_matches_high": (
        "line layers scale match origin",
        "feature",
        "mean over texts: matches over several layers, upper end of the 95 % bootstrap interval over texts",
    ),
    "top_feature": ("place text rank", "1", "strongest features as they are, -1: none"),
    "text_token": ("place text rank", "1", "token of the text on which the feature is most active there"),
    "own_token": ("place text rank", "1", "token of the feature's first top example outside of the text, -1: none"),
    "text_origin": ("text", "1", "where the text is from"),
    "text_sequence": ("text", "1", "sequence in the token store of the split, -1: one's own text"),
    "text_tokens": ("text", "token", "tokens of the text that count"),
    "left_out_tokens": ("text", "token", "tokens behind these"),
    "text_words": ("text", "1", "first tokens of the text in words"),
    "scale": ("scale", "1", "scale on which features are ranked"),
    "match": ("match", "1", "how tokens match"),
    "origin": ("origin", "1", "where texts are from"),
    "layers": ("layers", "1", "which layers of the line"),
    "rank": ("rank", "1", "place, 0 is the strongest"),
}
NOT_APPLICABLE = "classifiers read no texts"


def measure(inputs: Inputs) -> xr.Dataset:
    """The table; classifiers have the attribute `not_applicable` alone."""
    if inputs.job.kind == "classifier":
        return xr.Dataset(attrs={"not_applicable": NOT_APPLICABLE})
    chosen, split, tokenizer = inputs.params, inputs.params.match_documents, inputs.path("tokenizer")
    eval_tokens = TokenStore(inputs.path("tokens"))
    store = eval_tokens if split == "eval" else TokenStore(inputs.path("training tokens"))
    texts = chosen_texts(store, split, chosen.match_texts, chosen.match_tokens, chosen.match_own_texts, tokenizer)
    places = _places(inputs, texts, eval_tokens)
    return by_layer(places, texts, words(tokenizer), VARIABLES, chosen.baseline_seed)


def _places(inputs: Inputs, texts: Texts, eval_tokens: TokenStore) -> list[Place]:
    """Site by site, as one site's dictionaries read the same activations, and those of all sites take much memory."""
    subject = load_subject(inputs.path("model"), inputs.device)
    alike = Alike(load_tokenizer(inputs.path("tokenizer")))
    series = inputs.value("series")
    found: list[Place] = []
    each = inputs.each("relatives")
    for site in dict.fromkeys(its.site for its in each):
        here = [its for its in each if its.site == site]
        layer, hook = layer_and_hook(site)
        dictionaries = [load_dictionary(its.path("weights"), subject.width(site), its.device) for its in here]
        searches = [search(dictionary, inputs.device) for dictionary in dictionaries]
        left_out = recorded_left_out(here[0].path("store"))
        for its, active in zip(here, active_features(subject, site, searches, texts, left_out), strict=True):
            distributions = read_distributions(its.table_file("frequency"), its.table_file("quantiles"))
            own = read_own_tokens(its.table_file("examples"), eval_tokens)
            name = its.place.dictionary
            line = (hook, series[name])
            found.append(Place(site, name, layer, line, judged(active, texts, distributions, own, alike)))
    return found
