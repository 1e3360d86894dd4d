"""Dictionaries of one recipe, which share a marker and a colour wherever those of a site stand together."""

MARKERS = "os^Dv*P<X>p"


def family_of(dictionary: str) -> str:
    """The recipe of an id, `l1-x8` of `l1-x8_l1=3e-4_seed=0`: names of recipes have no underscore."""
    return dictionary.split("_")[0]
