"""The jobs of the tables, from what their modules declare: inputs, outputs, values and digests of code."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from polysem.layout.place import Place
from polysem.layout.rubric import read_scores
from polysem.params import comparisons
from polysem.params.base import NEURONS
from polysem.params.comparisons import reseeded
from polysem.params.series import series
from polysem.params.study import Study
from polysem.tables.contract import TABLE, Contract
from polysem.tables.sources import SOURCES, scoped
from polysem.workflow.contracts import SCORES, contracts, held_against_controls
from polysem.workflow.declarations import (
    modules_of,
)
from polysem.workflow.running.code import code_digest

FOUND_BY_NAME = {
    "weights": ("polysem.saes.dictionary", "polysem.saes.sae"),
    "model": ("polysem.models.{kind}",),
}
"""Modules that the reader of a source finds by name; weights of SAEs need their activation functions, too."""


class Tables:
    """The jobs of the tables of a study."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._related = cache(self.relatives)
        self._scores = cache(self.scores)

    def kind(self, model: str) -> str:
        """What a model is, "language" or "classifier"."""
        return "classifier" if self._study.every_model[model].source == "classifier" else "language"

    def target(self, dictionary: str) -> str:
        """The site that a dictionary predicts, if it is a transcoder; else ''."""
        return "" if dictionary == NEURONS else self._study.saes[dictionary].target or ""

    def trained(self, dictionary: str) -> bool:
        """Whether a dictionary is an SAE that is trained here."""
        return dictionary not in ("", NEURONS) and self._study.saes[dictionary].trained is not None

    def files(self, made: Sequence[Contract], place: Place) -> tuple[list[str], list[str]]:
        """The files that a job of these tables has as inputs, and the folders that it reads beside them, which count by
        these files."""
        files: dict[str, None] = {}
        folders: dict[str, None] = {}
        here = {f"{TABLE}{contract.name}" for contract in made}
        for read in dict.fromkeys(read for contract in made for read in contract.reads if read not in here):
            scope, what = scoped(read)
            for one in self.places(scope, place) if scope else [place]:
                if what.startswith(TABLE):
                    files[one.receipt_of_table(what.removeprefix(TABLE))] = None
                elif what in SOURCES and SOURCES[what].is_there(self.kind(one.model), self.trained(one.dictionary)):
                    files |= dict.fromkeys(SOURCES[what].files(one))
                    folders |= dict.fromkeys([SOURCES[what].path(one)] if SOURCES[what].folder else [])
        return list(files), list(folders)

    def stated(self, contract: Contract, module: str, place: Place) -> dict[str, Any]:
        """What the rule says of a table to its step: see `polysem.tables.made_of.Stated`."""
        wanted = {scoped(read)[0] or read for read in contract.reads}
        values: dict[str, Any] = {
            scope: [one.names for one in self.places(scope, place)] for scope in wanted if scope in _SCOPES
        }
        values |= {word: _VALUES[word](self._study, place) for word in wanted if word in _VALUES}
        values |= {word: self._scores(place.model) for word in wanted if word == SCORES}
        return {
            "code": code_digest(module, *self.found_by_name(contract, place)),
            "reads": contract.reads,
            "params": {key: self._study.analysis.values()[key] for key in contract.params},
            "values": values,
        }

    def found_by_name(self, contract: Contract, place: Place) -> list[str]:
        """The modules that a table uses without importing them: activation functions of SAEs, kinds of models."""
        found: set[str] = set()
        for read in contract.reads:
            scope, what = scoped(read)
            for name in FOUND_BY_NAME.get(what, ()):
                found.add(name.format(kind=self.kind(place.model)))
            if what == "weights":
                for one in self.places(scope, place) if scope else [place]:
                    found |= set(self.activation_functions(one.dictionary))
        return sorted(found)

    def modules_of_weights(self, dictionary: str) -> list[str]:
        """The modules that whoever reads the weights of a dictionary finds by name."""
        return sorted([*FOUND_BY_NAME["weights"], *self.activation_functions(dictionary)])

    def activation_functions(self, dictionary: str) -> list[str]:
        """The module of an SAE's activation function; of an imported SAE all, as its own is known when it is read."""
        if dictionary == NEURONS:
            return []
        trained = self._study.saes[dictionary].trained
        known = modules_of("polysem.saes.activation_functions")
        return [known[trained.saved_as]] if trained else [*known.values()]

    def places(self, scope: str, place: Place) -> list[Place]:
        """The places of a scope, for a table of this place."""
        return _SCOPES[scope](self, place)

    def relatives(self, model: str) -> dict[str, list[str]]:
        """The dictionaries of a model whose clusters are held against each other, by site: the neurons and the first
        SAE of each recipe, so that a grid does not crowd out everything else."""
        study = self._study
        return {
            site: [NEURONS, *comparisons.firsts_of_recipes(study, model, site)] for site in study.models[model].sites
        }

    def scores(self, model: str) -> list[dict[str, Any]]:
        """What people gave on the rubric sheet of a model; nothing for one that has none. It is read once for all jobs,
        so that scores which are saved meanwhile fail none, and are there in the next run."""
        has_sheet = self.kind(model) == "language" and self._study.analysis.rubric_features > 0
        return [one.values() for one in read_scores(Place(model))] if has_sheet else []

    def of_dictionaries(self, place: Place) -> list[Place]:
        """All dictionaries of a site."""
        return [place.of(name) for name in self._study.dictionaries_of(place.model, place.site)]

    def of_saes(self, place: Place) -> list[Place]:
        """All SAEs of a site."""
        return [place.of(name) for name in self._study.saes_of(place.model, place.site)]

    def of_targets(self, place: Place) -> list[Place]:
        """The sites that transcoders of a site predict."""
        saes = (self._study.saes[name] for name in self._study.saes_of(place.model, place.site))
        return [place.at(target) for target in dict.fromkeys(sae.target for sae in saes if sae.target is not None)]

    def of_others(self, place: Place) -> list[Place]:
        """The dictionaries in which features of a site's SAEs are looked for."""
        pairs = comparisons.pairs(self._study, place.model, place.site)
        return list(dict.fromkeys(Place(pair.model, pair.site, pair.other, place.root) for pair in pairs))

    def of_relatives(self, place: Place) -> list[Place]:
        """`relatives`, as places."""
        return [place.at(site, name) for site, names in self._related(place.model).items() for name in names]

    def of_reseeded(self, place: Place) -> list[Place]:
        """Of each relative the first SAE that differs from it in nothing but the seed."""
        study, model = self._study, place.model
        return [
            place.at(site, other)
            for site in study.models[model].sites
            for other in reseeded(study, model, site).values()
        ]

    def of_neurons(self, place: Place) -> list[Place]:
        """The neurons of the site of an SAE; nothing for the neurons themselves."""
        return [] if place.dictionary == NEURONS else [place.of(NEURONS)]

    def of_control(self, place: Place) -> list[Place]:
        """The same dictionary of the random-model control; nothing where the control has none, or there is none."""
        control, study = self._study.control_of(place.model), self._study
        if control is None or place.site not in study.controls[control].sites:
            return []
        there = study.dictionaries_of(control, place.site)
        return [Place(control, place.site, place.dictionary, place.root)] if place.dictionary in there else []

    def of_controls(self, place: Place) -> list[Place]:
        """Of each relative the same dictionary of the random-model control, where there is one."""
        return [control for one in self.of_relatives(place) for control in self.of_control(one)]

    def of_dictionary(self, model: str) -> dict[str, Contract]:
        """The tables that a dictionary of a model has: all; of a control those that its model's are held against, and
        the tables that these are made from."""
        known = contracts("dictionary")
        return {name: known[name] for name in (held_against_controls() if model in self._study.controls else known)}


_SCOPES: Mapping[str, Callable[[Tables, Place], list[Place]]] = {
    "dictionaries": Tables.of_dictionaries,
    "saes": Tables.of_saes,
    "others": Tables.of_others,
    "targets": Tables.of_targets,
    "relatives": Tables.of_relatives,
    "reseeded": Tables.of_reseeded,
    "neurons": Tables.of_neurons,
    "control": Tables.of_control,
    "controls": Tables.of_controls,
}


def _recipes(study: Study, place: Place) -> dict[str, dict[str, Any]]:
    trained = {sae: study.saes[sae].trained for sae in study.saes_of(place.model, place.site)}
    return {sae: recipe.hyper_parameters() for sae, recipe in trained.items() if recipe}


def _case_studies(study: Study, place: Place) -> dict[str, Any]:
    sites = study.models[place.model].sites
    names = list(
        dict.fromkeys(name for site in sites for name in comparisons.firsts_of_recipes(study, place.model, site))
    )
    other_seeds = {
        f"{site}/{name}": other for site in sites for name, other in reseeded(study, place.model, site).items()
    }
    return study.case_studies.of_model(place.model, study.families(names)) | {"other_seeds": other_seeds}


_VALUES: Mapping[str, Callable[[Study, Place], Any]] = {
    "sites": lambda study, place: list(study.models[place.model].sites),
    "pairs": lambda study, place: [pair.values() for pair in comparisons.pairs(study, place.model, place.site)],
    "sizes": lambda study, place: comparisons.sizes(study, place.model, place.site),
    "recipes": _recipes,
    "families": lambda study, place: study.families(study.dictionaries_of(place.model, place.site)),
    "series": lambda study, place: series(study, place.model),
    "case_studies": _case_studies,
    "proxies": lambda study, place: dict(getattr(study.corpora[study.models[place.model].corpus], "proxies", {})),
}


def told(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What people are told of a spec: of tables the params that they read, without digests of code; not the labels and
    scores that people gave, which stand beside what they are about."""
    if "tables" in spec and "kind" in spec:
        return {name: said["params"] for name, said in spec["tables"].items() if said["params"]}
    if "stated" in spec:
        said = {**spec["stated"]["params"], **spec["stated"]["values"]}
        return {name: value for name, value in said.items() if name != SCORES}
    return {name: value for name, value in spec.items() if name != "annotations"}
