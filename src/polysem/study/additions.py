"""SAEs of anyone that are searched beside those of a study; nothing of them is measured."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polysem.io.errors import InputError
from polysem.params.base import Section
from polysem.params.explain import nearest
from polysem.study.distributions import Distributed
from polysem.study.sae import load_sae

if TYPE_CHECKING:
    from polysem.saes.encoders import Encoder
    from polysem.study.model import Model
    from polysem.study.sae import Sae
    from polysem.study.study import Study

NOT_MEASURED = "it was added and never measured, so it can be ranked by raw alone"


class Addition(Section):
    """What a user says of an SAE that is to be shown beside those of the study."""

    path: str
    """Its folder, or its file of weights."""
    format: str | None = None
    """Whose files they are; found by reading without it."""
    model: str | None = None
    """The model of the study that it was trained on; the one that the files name, or the only one, without it."""
    site: str | None = None
    """The site that it was trained on; the one that the files name without it."""


class Added:
    """An SAE that was added, at its place among the dictionaries of a model."""

    distributed = Distributed(None, None, NOT_MEASURED)

    def __init__(self, sae: "Sae", model: str, site: str, name: str) -> None:
        self.sae = sae
        self.model, self.site, self.name = model, site, name
        self.features = sae.features

    @cached_property
    def encoder(self) -> "Encoder":
        """See `Heard.encoder`."""
        from polysem.saes.encoders import SaeEncoder

        return SaeEncoder.of(self.sae.weights)

    def facts(self) -> dict[str, Any]:
        """Where it stands, how large it is, what files it was read from, and what was noted on the way."""
        return {
            "model": self.model,
            "site": self.site,
            "dictionary": self.name,
            "features": self.features,
            "format": self.sae.format,
            "path": str(self.sae.path),
            "notes": list(self.sae.notes),
        }


def added(study: "Study", addition: Addition) -> Added:
    """The SAE of an addition. Raises InputError if it cannot be read, if nothing says what it was trained on, if it
    does not fit there, and if another dictionary there has its name."""
    sae = load_sae(addition.path, addition.format)
    model = study[_model(study, addition, sae)]
    site = _site(model, addition, sae)
    width = model.subject.width(site)
    if sae.neurons != width:
        raise InputError(
            f"{sae.path} reads {sae.neurons} neurons, and {site} of {model.name} has {width}; name the site that it "
            "was trained on as --site, or its model as --model"
        )
    name = Path(addition.path).resolve().stem
    if site in model and name in model[site]:
        raise InputError(f"{model.name}/{site} has a dictionary {name!r} already; give the files another name")
    return Added(sae, model.name, site, name)


def _model(study: "Study", addition: Addition, sae: "Sae") -> str:
    there = [name for name, model in study.items() if model.is_language_model]
    if addition.model is not None:
        if addition.model not in there:
            raise InputError(
                f"there is no language model {addition.model!r}{nearest(addition.model, there)}; there are: "
                f"{', '.join(there) or 'none'}"
            )
        return addition.model
    told = sae.settings.get("model_name")
    if named := [name for name in there if told in (name, study[name].known_as)]:
        return named[0]
    if len(there) != 1:
        raise InputError(
            f"{sae.path} was trained on {told or 'a model that it does not name'}; name the model of the study that "
            f"this is as --model: {', '.join(there) or 'there is none that reads text'}"
        )
    return there[0]


def _site(model: "Model", addition: Addition, sae: "Sae") -> str:
    site, there = addition.site or sae.settings.get("hook_name"), list(model.subject.sites)
    if site is None:
        raise InputError(f"{sae.path} does not say what it was trained on; name it as --site: {', '.join(there)}")
    if site not in there:
        raise InputError(
            f"the model {model.name} has no site {site!r}{nearest(site, there)}; name another one as --site: "
            f"{', '.join(there)}"
        )
    return str(site)
