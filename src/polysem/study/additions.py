"""SAEs of anyone that are searched beside those of a study; nothing of them is measured."""

import re
from collections.abc import Collection
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polysem.io.errors import InputError
from polysem.params.base import LONGEST_NAME, Section
from polysem.params.explain import nearest
from polysem.params.names import TAKEN
from polysem.study.distributions import Distributed
from polysem.study.sae import load_sae

if TYPE_CHECKING:
    from polysem.saes.encoders import Encoder
    from polysem.study.model import Model
    from polysem.study.sae import Sae
    from polysem.study.study import Study

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9+-]+")
"""What names in `params.yaml` do not have, and dots, which some of them must not end with."""
LONGEST = LONGEST_NAME - 10
"""Characters of a name, without a number behind it."""
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

    def __init__(self, sae: "Sae", model: "Model", site: str, name: str) -> None:
        self.sae = sae
        self.model, self.site, self.name = model.name, site, name
        self.features = sae.features
        target = sae.settings.get("hook_name_out")
        self._entry = _entry(sae, model.name, site, target)
        self._lacking = [one for one in (site, target) if one is not None and one not in model]
        self._disagreement = _disagreement(sae, model, site, target)

    @cached_property
    def encoder(self) -> "Encoder":
        """See `Heard.encoder`."""
        from polysem.saes.encoders import SaeEncoder

        return SaeEncoder.of(self.sae.weights)

    def facts(self) -> dict[str, Any]:
        """Where it stands, how large it is, what was noted on the way, and what `params.yaml` needs for the rest: the
        `entry` below `saes`, `sites` that those of the model lack, and what else `disagrees` with the model's entry."""
        return {
            "model": self.model,
            "site": self.site,
            "dictionary": self.name,
            "features": self.features,
            "notes": list(self.sae.notes),
            "entry": self._entry,
            "sites": self._lacking,
            "disagrees": self._disagreement,
        }


def added(study: "Study", addition: Addition) -> Added:
    """The SAE of an addition. Raises InputError if it cannot be read, if nothing says what it was trained on, and if it
    does not fit there."""
    sae = load_sae(addition.path, addition.format)
    model = study[_model(study, addition, sae)]
    site = _site(model, addition, sae)
    width = model.subject.width(site)
    if sae.neurons != width:
        raise InputError(
            f"{sae.path} reads {sae.neurons} neurons, and {site} of {model.name} has {width}; name the site that it "
            "was trained on as --site, or its model as --model"
        )
    return Added(sae, model, site, free_name(_called(Path(addition.path).resolve(), sae), _taken(study)))


def free_name(wanted: str, taken: Collection[str]) -> str:
    """What comes nearest to a name and may be one in `params.yaml`; with a number behind it if it is `taken`, whatever
    the case of its letters."""
    name = NOT_IN_NAMES.sub("-", wanted)[:LONGEST].strip("-+") or "sae"
    lower = {one.casefold() for one in taken}
    return next(
        one for one in chain((name,), (f"{name}-{number}" for number in count(2))) if one.casefold() not in lower
    )


def _called(path: Path, sae: "Sae") -> str:
    """The name of the folder, or of the file of weights where that is not called so in every SAE of its format."""
    from polysem.saes.fetch import format_module

    if path.is_dir():
        return path.name
    return path.parent.name if path.name == format_module(sae.format).WEIGHTS else path.stem


def _taken(study: "Study") -> set[str]:
    recorded = study.recorded
    names = {name for model in recorded.names.values() for site in model.values() for name in site}
    return {*TAKEN, *names, *recorded.families().values(), *(recorded.params or {}).get("saes", {})}


def _entry(sae: "Sae", model: str, site: str, target: str | None) -> dict[str, Any]:
    """The keys of `source: pretrained`; the path is one from anywhere."""
    entry = {
        "source": "pretrained",
        "format": sae.format,
        "path": str(sae.path.absolute()),
        "models": [model],
        "site": site,
    }
    return entry if target is None else entry | {"target": target}


def _disagreement(sae: "Sae", model: "Model", site: str, target: str | None) -> str | None:
    """What a run would refuse the SAE for, as a clause; None if that is nothing."""
    from polysem.saes.agreement import disagreement

    subject = model.subject
    outputs = subject.width(target) if target is not None and target in subject.sites else None
    settings, modules = model.record["settings"], subject.modules(site)
    return disagreement(sae.published, site, sae.neurons, settings, modules, target, outputs)


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
