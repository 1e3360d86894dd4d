"""S1.F11: what case studies do on the eval tokens."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from polysem.activations.rows import ActivationRows
from polysem.layout.place import Place
from polysem.saes.dictionary import load_dictionary
from polysem.tables.inputs import Inputs
from polysem.tables.parts.token_tags import TokenTags
from polysem.tables.passes.case_studies.chosen import Case


@dataclass
class Seen:
    """Activations of some features of a dictionary, in the order of the store of its site."""

    sequence: Int[np.ndarray, " token"]
    carried: Mapping[str, Bool[np.ndarray, " token"]]
    """Whether a token carries each of the tags that case studies are about."""
    activations: dict[int, Float[np.ndarray, " token"]] = field(default_factory=dict)
    """By feature; what is below 0, as neurons have it, counts as 0."""


def see(inputs: Inputs, cases: Sequence[Case], tags: TokenTags) -> dict[Place, Seen]:
    """The activations of all cases, by dictionary; `inputs` reads weights and stores of the relatives."""
    names = {name: tags.names.index(name) for name in {case.tag for case in cases} - {""}}
    of_site: dict[str, tuple[Int[np.ndarray, " token"], dict[str, Bool[np.ndarray, " token"]]]] = {}
    found = {}
    for one in inputs.each("relatives"):
        features = sorted({case.feature for case in cases if case.place == one.place})
        if not features:
            continue
        rows = ActivationRows(one.path("store"))
        if one.site not in of_site:
            sequence, position = rows.places(0, rows.length)
            at = tags.at(sequence, position)
            of_site[one.site] = sequence, {name: at[:, number] for name, number in names.items()}
        kept = np.concatenate([f[:, features].numpy() for f in encoded(one, rows)]).astype(np.float64)
        found[one.place] = Seen(*of_site[one.site], dict(zip(features, kept.T, strict=True)))
    return found


def encoded(inputs: Inputs, rows: ActivationRows) -> Iterator[Float[torch.Tensor, "token feature"]]:
    """Activations of all features of a dictionary, block by block."""
    dictionary = load_dictionary(inputs.path("weights"), rows.width, inputs.device)
    with torch.inference_mode():
        for block in rows.blocks():
            yield dictionary.encode(torch.from_numpy(block).to(inputs.device)).float().clamp(min=0).cpu()
