"""How the features of a dictionary are distributed over the eval tokens, as its tables tell."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from polysem.saes.ranking import Distributions
from polysem.study.tables import require_variables

if TYPE_CHECKING:
    from polysem.study.dictionary import Dictionary


@dataclass(frozen=True)
class Distributed:
    """What a search has to know of the features of a dictionary."""

    frequency: Float[np.ndarray, " feature"] | None
    """Share of the eval tokens on which each is active; None where it was not measured."""
    scales: Distributions | None
    """What the scales but `raw` are made of; None where it was not measured."""
    lacking: str
    """Why there are no scales, as a sentence; '' if there are."""

    @classmethod
    def of(cls, dictionary: "Dictionary") -> "Distributed":
        """Of a dictionary of a study, from its tables `frequency` and `quantiles`."""
        there, place = dictionary.tables, dictionary.place
        if "frequency" not in there:
            return cls(None, None, f"{place.path} has no table of frequencies, so it can be ranked by raw alone")
        found = dictionary.table("frequency")
        require_variables(place, "frequency", found, ("frequency", "max_activation", "tokens_of_half"))
        frequency = found["frequency"].to_numpy().astype(np.float32)
        if "quantiles" not in there:
            return cls(
                frequency,
                None,
                f"{place.path} has no table of quantiles: an older version of polysem measured it, so it can be ranked "
                "by raw alone; `snakemake --cores all` measures it again",
            )
        scales = Distributions(
            found["max_activation"].to_numpy().astype(np.float32),
            frequency,
            dictionary.table("quantiles")["activation"].to_numpy().astype(np.float32),
            int(found["tokens_of_half"].sum()),
        )
        return cls(frequency, scales, "")
