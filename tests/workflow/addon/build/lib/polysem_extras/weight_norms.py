"""Norms of decoder rows, for all dictionaries."""

from polysem.tables.parts.labels import index, labelled, variable
from polysem.tables.parts.reading import dictionary_of

CATALOGUE = "S2.F11"
READS = ("weights", "store")
PARAMS = ()
VARIABLES = {
    "feature": ("feature", "1", "feature"),
    "norm": ("feature", "weight", "norm of the decoder row"),
}


def measure(inputs):
    """The table."""
    dictionary = dictionary_of(inputs)
    norms = dictionary.decoder().norm(dim=1).cpu().numpy()
    return labelled(
        {"norm": variable("feature", norms, "norm of the decoder row", "weight")},
        {"feature": index("feature", 0, dictionary.features, "feature")},
        {},
    )
