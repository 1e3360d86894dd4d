"""Every line of the documents that the report answers, by catalogue id."""

import re

from polysem.report.catalogue import s0, s1, s2, s2_training, s3, s4
from polysem.report.catalogue.entry import Entry, Setting

__all__ = ["DOCUMENTS", "ENTRIES", "LATER", "Entry", "Setting", "ids_in", "natural"]

DOCUMENTS = {
    "S0": "How polysemantic can one neuron be?",
    "S1": "Reading club on Towards Monosemanticity",
    "S2": "SAE replication on gelu-1l",
    "S3": "Tackling polysemanticity with neuron embeddings",
    "S4": "Exploring the directions of GPT-2 small",
}
"""Documents that the report answers, with their titles."""

LATER = (*s1.LATER, *s4.LATER)


def natural(catalogue: str) -> tuple[tuple[int, str], ...]:
    """Sorts S2.F2 before S2.F10."""
    return tuple((int(digits or -1), letters) for digits, letters in re.findall(r"(\d+)|(\D+)", catalogue))


def ids_in(text: str) -> list[str]:
    """The catalogue ids that a figure or table carries, `S0.T1 S2.T1` or `S0.T1, S2.T1`."""
    return [part for part in re.split(r"[,\s]+", text) if part]


ENTRIES = {
    entry.id: entry
    for entry in sorted(
        (*s0.ENTRIES, *s1.ENTRIES, *s2.ENTRIES, *s2_training.ENTRIES, *s3.ENTRIES, *s4.ENTRIES),
        key=lambda one: natural(one.id),
    )
}
"""By id, in the order of the documents: figures, methods, tables, extensions."""
