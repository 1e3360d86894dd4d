"""What leads a model's text, in figures: the words and colours of the ways of the table `steering`."""

from collections.abc import Mapping

from polysem.figures.parts import theme

WORDS: Mapping[str, str] = {
    "feature": "feature",
    "random": "random direction",
    "means": "difference of means",
    "neuron": "best neuron",
    "prompt": "prompt with the tag",
    "unsteered": "nothing edited",
}
COLOURS: Mapping[str, str] = {
    "feature": theme.COLOURS["real"],
    "random": theme.COLOURS["random"],
    "means": "#117733",
    "neuron": "#AA3377",
    "prompt": "#7A5C00",
    "unsteered": theme.INK,
}
MARKERS: Mapping[str, str] = {"feature": "o", "random": "s", "means": "^", "neuron": "D", "prompt": "", "unsteered": ""}
LEVELS = ("prompt", "unsteered")
"""Ways without a dose."""
