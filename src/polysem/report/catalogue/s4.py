"""S4 · Interactive exploration of new directions in GPT-2 small (OpenAI's SAEs of all twelve layers)."""

from polysem.report.catalogue.entry import Entry

NO_TEXT = "It needs a language model: classifiers read no texts."

ENTRIES = (
    Entry(
        id="S4.T1",
        title="Matches by layer",
        published="Of the top 25 of a snippet on the Odyssey, those whose own top-activating token is the snippet's: "
        "features of layers 0–11 [25 23 22 19 16 15 18 19 12 13 15 7], neurons [17 14 14 7 8 9 17 14 13 13 3 3].",
        shown="The same count over many texts, exact and by stem, for the neurons and the first SAE of each recipe at "
        "every site, with intervals over texts.",
        absent=NO_TEXT,
        tables=("match_layers",),
    ),
    Entry(
        id="S4.F1",
        title="Matches by layer, as a chart",
        published="Features match more often than neurons in every layer, and less and less towards the last one.",
        shown="Matches of the top 25 by layer, features beside neurons, with bootstrap intervals over texts.",
        absent=NO_TEXT,
        tables=("match_layers",),
    ),
    Entry(
        id="S4.X1",
        title="Twins and triplets",
        published="Features that are nearly the same as a neuron, or as features of other layers: twins, triplets and "
        "a quintuplet across four layers.",
        shown="Families of features and neurons whose activations correlate, within and across layers and "
        "dictionaries, against shuffled activations.",
        absent="It needs a model with a dictionary that is active on its eval tokens.",
        tables=("twins",),
    ),
    Entry(
        id="S4.X2",
        title="Comparing layers fairly",
        published="Asked, not answered: why early layers have the largest activations and drown out the later ones.",
        shown="Where the top 25 over all layers come from when activations are ranked as they are, as a share of the "
        "largest, by their quantile where the feature is active, and by their surprise.",
        absent=NO_TEXT,
        tables=("match_layers", "quantiles"),
    ),
    Entry(
        id="S4.X3",
        title="Diverse top examples",
        published="Often the 20 top examples are the same token, even where the feature means more; proposed are to "
        "count repeats and to keep examples that differ in meaning.",
        shown="How many of the 20 top examples of each feature are distinct; sheets show the diverse ones, with the "
        "number of repeats of each.",
        absent="It needs a language model whose features are active.",
        tables=("diverse_examples",),
    ),
    Entry(
        id="S4.X4",
        title="Concept probes",
        published="A direction for red is active on crimson too; one for love on hate, and not on like; one for "
        "insight on insightful and intuition, and not on absurd.",
        shown="Words and their replacements in a sentence, through the features that are most active on the word, "
        "relative to it, beside words of equal frequency.",
        absent="It needs a language model whose vocabulary has the words of a probe.",
        tables=("concept_probes",),
    ),
)

LATER = (
    ("S4.U1", "Search by text"),
    ("S4.U2", "Test a text on one feature"),
    ("S4.U3", "Browse, star, comment, add one's own dictionary"),
    ("S4.R1", "Many people at once"),
)
"""Lines of the document that are not part of the report yet."""
