"""`source: randomised`: its keys."""

from typing import Literal

from pydantic import Field

from polysem.params.base import ModelEntry, Name, Seed
from polysem.params.models.language import LanguageModel, Site
from polysem.params.needs import ModelNeeds


class RandomisedModel(ModelEntry):
    """A random-model control of another entry: the same model with the entries of each weight tensor in random order,
    on the same corpus, tokens and settings (Heap et al. 2025, arXiv 2501.17727). Tables of that model show its numbers
    beside theirs; of its own it has no figures, pages or metrics. Recipes name it under `models:`."""

    source: Literal["randomised"]
    of: Name
    """Key under `models:` of the language model whose weights are put in random order."""
    sites: list[Site] = Field(default=[])
    """Those of that model's sites at which it is studied; all of them if none is named."""
    seed: Seed = 0
    """Seed of the random order."""

    def outside_files(self) -> list[str]:
        """See `Entry`."""
        return []

    def modules(self) -> list[str]:
        """See `Entry`."""
        return ["polysem.models.language"]

    def control_of(self, model: LanguageModel) -> "ControlModel":
        """The control that stands under the same settings as the model. ValueError for a site that it lacks."""
        if missing := [site for site in self.sites if site not in model.sites]:
            raise ValueError(
                f"sites names {missing[0]!r}, which is no site of models.{self.of}; it has {', '.join(model.sites)}"
            )
        shared = {key: getattr(model, key) for key in LanguageModel.model_fields if key not in ("source", "sites")}
        return ControlModel(of=self.of, seed=self.seed, sites=self.sites or model.sites, **shared)


class ControlModel(LanguageModel):
    """What an entry of `source: randomised` comes to, with the settings of the model that it is of."""

    source: str = "randomised"
    of: Name
    seed: Seed

    def outside_files(self) -> list[str]:
        """See `Entry`."""
        return []

    def needs(self) -> ModelNeeds:
        """See `ModelSection`."""
        return ModelNeeds()
