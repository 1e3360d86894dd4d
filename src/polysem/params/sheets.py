"""`sheets:` — which features get a sheet."""

from typing import Annotated, Literal

from pydantic import Field

from polysem.io.errors import InputError
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS, Section, Seed
from polysem.params.explain import nearest

Count = Annotated[int, Field(ge=0, le=1_048_576)]
Feature = Annotated[int, Field(ge=0, le=1_073_741_823)]


class Sheets(Section):
    """Which features get a page of their own (S0.F4). The most polysemantic neuron of every SAE has one, too."""

    polysemantic: Count = 10
    """Of the features whose strongest neuron is the most polysemantic one: this many with the largest activations, and
    this many that are most aligned with it. 0 also leaves out the sheet of that neuron."""
    random: Count = 10
    """This many of every dictionary, drawn at random."""
    seed: Seed = 0
    """Seed of the drawing."""
    shown: bool = True
    """Those that the figures of clusters show, with the importance of the tokens of their central examples (S3.U1)."""
    annotated: bool = True
    """Those that somebody gave a star, a label or a comment (labels/README.md)."""
    listed: dict[str, list[Feature]] = {}
    """These features by number, under `model/site/dictionary`."""
    saes: Literal["first", "all"] = "first"
    """`first`: the first SAE of each recipe at a site, which stands for the others of its grid, and SAEs with labels,
    notes or listed features; `all`: every SAE. The neurons always have sheets."""
    all: bool = False
    """All features of all dictionaries."""

    def require(self, dictionaries: list[str]) -> None:
        """InputError if features of an unknown dictionary are listed; these are `model/site/dictionary`."""
        for named in self.listed:
            if named not in dictionaries:
                some = ", ".join(dictionaries[:5]) + (", …" if len(dictionaries) > 5 else "")
                raise InputError(
                    f"sheets.listed names {named!r}{nearest(named, dictionaries)}; its keys are model/site/dictionary: "
                    f"{some}"
                )

    def choice(self, model: str, site: str, dictionary: str, analysis: Analysis) -> "SheetChoice":
        """What the sheets of one dictionary depend on."""
        return SheetChoice(
            **self.model_dump(exclude={"listed", "saes"}),
            listed=self.listed.get(f"{model}/{site}/{dictionary}", []),
            listed_neurons=self.listed.get(f"{model}/{site}/{NEURONS}", []),
            rare_frequency=analysis.rare_frequency,
            ultra_low_frequency=analysis.ultra_low_frequency,
        )


class SheetChoice(Section):
    """What the sheets of one dictionary depend on."""

    polysemantic: int
    random: int
    seed: int
    shown: bool
    annotated: bool
    all: bool
    listed: list[int]
    """Features of this dictionary."""
    listed_neurons: list[int]
    """Neurons of the same site: they have sheets to link to."""
    rare_frequency: float
    ultra_low_frequency: float
