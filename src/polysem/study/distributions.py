"""What a search knows of the features of a dictionary, and why where it does not know it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from polysem.io.errors import InputError
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
        from polysem.tables.parts.distributions import distributions_of

        there, place = dictionary.tables, dictionary.place
        if "frequency" not in there:
            return cls(None, None, f"{place.path} has no table of frequencies, so it can be ranked by raw alone")
        found = dictionary.table("frequency")
        require_variables(place, "frequency", found, ("frequency", "max_activation"))
        frequency = found["frequency"].to_numpy().astype(np.float32)
        if "quantiles" not in there:
            return cls(
                frequency,
                None,
                f"{place.path} has no table of quantiles: an older version of polysem measured it, so it can be ranked "
                "by raw alone; `snakemake --cores all` measures it again",
            )
        try:
            scales = distributions_of(found, dictionary.table("quantiles"), place.table("quantiles"))
        except InputError as error:
            return cls(frequency, None, str(error))
        return cls(frequency, scales, "")
