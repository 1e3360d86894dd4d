"""A whole params file: read, checked, and its grids spanned."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from polysem.io.errors import InputError, named
from polysem.numerics.devices import DEVICES, Device
from polysem.params.addons import modules_of
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS, CorpusSection, ModelEntry, ModelSection, Section
from polysem.params.case_studies import CaseStudies
from polysem.params.explain import explain, nearest
from polysem.params.explainers.base import RESERVED, Explainer
from polysem.params.kinds import is_list, own_class
from polysem.params.models.language import LanguageModel
from polysem.params.models.randomised import ControlModel, RandomisedModel
from polysem.params.names import check_distinct, check_length, check_name
from polysem.params.recipes.base import Recipe
from polysem.params.recipes.pretrained import PretrainedSae
from polysem.params.sheets import Sheets
from polysem.params.spelling import Spelled, read_yaml
from polysem.params.toys import Toy


class Kinds(NamedTuple):
    """Where the kinds of entries under a top-level key are found."""

    package: str
    """Has a module, or a folder, per kind."""
    base: type[Section]
    """Base class of their sections."""
    tag: str
    """The key that names the kind."""
    file: str | None = None
    """The module of the folder that has the section."""

    def module(self, kind: str) -> str:
        """The module that has the section of a kind."""
        return ".".join([modules_of(self.package)[kind], *([self.file] if self.file else [])])


KINDS = {
    "corpora": Kinds("polysem.corpora.sources", CorpusSection, "source", "section"),
    "models": Kinds("polysem.params.models", ModelEntry, "source"),
    "saes": Kinds("polysem.saes.architectures", Recipe, "architecture", "recipe"),
    "explainers": Kinds("polysem.params.explainers", Explainer, "source"),
}

SECTIONS = ["device", *KINDS, "toys", "analysis", "sheets", "case_studies"]
"""All top-level keys."""
OPTIONAL = ("saes", "explainers", "toys")
"""Those of them that may name nothing."""

POINTS = 10_000
"""SAEs that one recipe may span."""

Validated = TypeVar("Validated", bound=Section)


@dataclass(frozen=True)
class Sae:
    """One point of a recipe's grid, or an SAE that is imported; `id` is spelled from the text of the params file."""

    id: str
    recipe_name: str
    """The key under `saes:` that it is a point of."""
    setting: str
    """The id without the seed: SAEs that share it differ in nothing else."""
    recipe: Recipe | PretrainedSae

    @property
    def trained(self) -> Recipe | None:
        """The recipe of an SAE that is trained here; None for an imported one."""
        return self.recipe if isinstance(self.recipe, Recipe) else None

    @property
    def imported(self) -> PretrainedSae | None:
        """Where an imported SAE comes from; None for one that is trained here."""
        return self.recipe if isinstance(self.recipe, PretrainedSae) else None

    @property
    def target(self) -> str | None:
        """The site that a transcoder predicts; None of an SAE, which reconstructs the site that it reads."""
        return self.recipe.target

    def belongs_to(self, model: str, site: str) -> bool:
        """Whether it is studied there."""
        sites = self.recipe.sites if isinstance(self.recipe, Recipe) else [self.recipe.site]
        return (sites == "all" or site in sites) and (self.recipe.models == "all" or model in self.recipe.models)


@dataclass(frozen=True)
class Study:
    """Everything that a params file asks for."""

    corpora: dict[str, CorpusSection]
    models: dict[str, ModelSection]
    saes: dict[str, Sae]
    explainers: dict[str, Explainer]
    toys: dict[str, Toy]
    analysis: Analysis
    sheets: Sheets
    case_studies: CaseStudies
    controls: dict[str, ControlModel] = field(default_factory=dict)
    """Random-model controls, which are under `models:` in the file; nothing but tables of their models shows them."""
    device: Device = "auto"
    """Where steps compute, as each of them resolves it."""

    @property
    def every_model(self) -> dict[str, ModelSection]:
        """The models and their controls."""
        return {**self.models, **self.controls}

    def control_of(self, model: str) -> str | None:
        """The control of a model, if it has one."""
        return next((name for name, control in self.controls.items() if control.of == model), None)

    def original(self, model: str) -> str:
        """The model that a control is of; of every other model its own name."""
        return self.controls[model].of if model in self.controls else model

    def control_dictionaries(self) -> Iterator[tuple[str, str, str]]:
        """Every (control, site, dictionary), the neurons first."""
        for name, control in self.controls.items():
            for site in control.sites:
                for dictionary in self.dictionaries_of(name, site):
                    yield name, site, dictionary

    def sites(self) -> Iterator[tuple[str, str]]:
        """Every (model, site)."""
        for name, model in self.models.items():
            for site in model.sites:
                yield name, site

    def saes_of(self, model: str, site: str) -> list[str]:
        """Ids of the SAEs of a site of a model; of a control those that name it."""
        return [
            sae.id
            for sae in self.saes.values()
            if sae.belongs_to(model, site) and not (model in self.controls and sae.recipe.models == "all")
        ]

    def known(self) -> Iterator[tuple[str, str]]:
        """Every (toy, SAE)."""
        for name, toy in self.toys.items():
            for sae in self.saes.values():
                if sae.recipe_name in toy.saes:
                    yield name, sae.id

    def dictionaries_of(self, model: str, site: str) -> list[str]:
        """The dictionaries of a site of a model, the neurons first."""
        return [NEURONS, *self.saes_of(model, site)]

    def dictionaries(self) -> Iterator[tuple[str, str, str]]:
        """Every (model, site, dictionary), the neurons first."""
        for model, site in self.sites():
            for dictionary in self.dictionaries_of(model, site):
                yield model, site, dictionary

    def families(self, dictionaries: Iterable[str]) -> dict[str, str]:
        """The key under `saes:` that each of some dictionaries is a point of; of the neurons their own name."""
        return {name: NEURONS if name == NEURONS else self.saes[name].recipe_name for name in dictionaries}

    def values(self) -> dict[str, Any]:
        """The whole study as plain JSON types, defaults filled in; `families` has the recipe of each SAE by its id."""
        return {
            "device": self.device,
            "corpora": {name: section.values() for name, section in self.corpora.items()},
            "models": {name: section.values() for name, section in self.models.items()},
            "controls": {name: section.values() for name, section in self.controls.items()},
            "saes": {sae.id: sae.recipe.values() for sae in self.saes.values()},
            "families": self.families(self.saes),
            "explainers": {name: section.values() for name, section in self.explainers.items()},
            "toys": {name: toy.values() for name, toy in self.toys.items()},
            "analysis": self.analysis.values(),
            "sheets": self.sheets.values(),
            "case_studies": self.case_studies.values(),
        }


def load_study(path: Path) -> Study:
    """Read and check a params file. InputError names the first offending key, what is allowed and the nearest
    spelling."""
    raw = require_sections(path)
    corpora = {name: _section("corpora", name, entry.plain()) for name, entry in _entries(raw, "corpora", path)}
    entries = {name: _section("models", name, entry.plain()) for name, entry in _entries(raw, "models", path)}
    models = {name: entry for name, entry in entries.items() if isinstance(entry, ModelSection)}
    controls = {name: _control(name, entry, entries) for name, entry in entries.items() if name not in models}
    saes: dict[str, Sae] = {}
    for name, entry in _entries(raw, "saes", path):
        saes |= _grid(name, entry)
    explainers = {
        name: _section("explainers", name, entry.plain()) for name, entry in _entries(raw, "explainers", path)
    }
    toys = {name: _validated(Toy, entry.plain(), f"toys.{name}") for name, entry in _entries(raw, "toys", path)}
    study = Study(
        corpora,
        models,
        saes,
        explainers,
        toys,
        _single(raw, "analysis", Analysis),
        _single(raw, "sheets", Sheets),
        _single(raw, "case_studies", CaseStudies),
        controls,
        _device(raw),
    )
    _check_references(study)
    return study


def _control(name: str, entry: RandomisedModel, entries: Mapping[str, ModelEntry]) -> ControlModel:
    """The control that an entry asks for; InputError where it cannot be one."""
    model = entries.get(entry.of)
    others = [other for other, said in entries.items() if isinstance(said, LanguageModel)]
    if not isinstance(model, LanguageModel):
        kind = "is no language model" if entry.of in entries else "is no entry"
        raise InputError(
            f"models.{name}.of names {entry.of!r}, which {kind}{nearest(entry.of, others)}; language models are "
            f"{', '.join(others) or 'none'}"
        )
    twins = [other for other, said in entries.items() if isinstance(said, RandomisedModel) and said.of == entry.of]
    if twins[0] != name:
        raise InputError(f"models.{twins[0]} and models.{name} are both controls of {entry.of}; remove one")
    with named(f"models.{name}", ValueError):
        return entry.control_of(model)


def require_sections(path: Path) -> Spelled:
    """A params file of which no more is checked than that its top-level keys are known ones; else InputError."""
    raw = read_yaml(path)
    if not isinstance(raw.value, dict):
        raise InputError(f"{path}: expected the keys {', '.join(SECTIONS)}, found no mapping")
    for key in raw.value:
        if key not in SECTIONS:
            raise InputError(f"{path}: unknown key {key!r}{nearest(str(key), SECTIONS)}")
    return raw


def _single(raw: Spelled, key: str, section: type[Validated]) -> Validated:
    """A section that is no collection of entries; all its keys have defaults."""
    values = raw.value[key].plain() if key in raw.value else {}
    return _validated(section, values or {}, key)


def _device(raw: Spelled) -> Device:
    """The key `device`."""
    found = raw.value["device"].plain() if "device" in raw.value else "auto"
    if found not in DEVICES:
        remedy = "; Apple's GPU is not used, so a Mac takes the CPU" if found == "mps" else ""
        raise InputError(f"device: found {found!r}, allowed is 'auto', 'cpu' or 'cuda'{remedy}")
    device: Device = found
    return device


def kinds(key: str) -> list[str]:
    """Names of the sources of `corpora`, `models` or `explainers`, or of the architectures of `saes`."""
    return [name for name in modules_of(KINDS[key].package) if _own_class(key, name) is not None]


def section_class(key: str, kind: str) -> type[Section]:
    """The class of an entry under a key of `KINDS` of a kind."""
    found = _own_class(key, kind)
    assert found is not None, f"{kind} is not among kinds({key!r})"
    return found


def _own_class(key: str, kind: str) -> type[Section] | None:
    where = KINDS[key]
    return own_class(where.module(kind), where.base, where.tag, kind)


def _entries(raw: Spelled, key: str, path: Path) -> Iterator[tuple[str, Spelled]]:
    section = raw.value.get(key)
    if section is None or section.value in (None, {}):
        if key in OPTIONAL:
            return
        raise InputError(f"{path}: the key {key!r} is missing; name at least one entry under it")
    if not isinstance(section.value, dict):
        raise InputError(f"{key}: expected entries by name, found {section.plain()!r}")
    check_distinct(key, section.value)
    for name, entry in section.value.items():
        check_name(key, name)
        if not isinstance(entry.value, dict):
            raise InputError(f"{key}.{name}: expected keys and values, found {entry.plain()!r}")
        yield name, entry


def _section(key: str, name: str, values: dict[str, Any]) -> Any:
    return _validated(_class_for(key, name, values), values, f"{key}.{name}")


def _class_for(key: str, name: str, values: Mapping[str, Any]) -> type[Section]:
    if key == "saes" and "source" in values:
        if values["source"] != "pretrained":
            raise InputError(
                f"saes.{name}.source is {values['source']!r}; allowed: pretrained. "
                "An SAE that is trained here has no source but an architecture"
            )
        return PretrainedSae
    tag = KINDS[key].tag
    known = kinds(key)
    kind = values.get(tag)
    if kind not in known:
        found = "is missing" if tag not in values else f"is {kind!r}{nearest(str(kind), known)}"
        raise InputError(f"{key}.{name}.{tag} {found}; allowed: {', '.join(known)}")
    return section_class(key, str(kind))


def _validated(section: type[Validated], values: dict[str, Any], where: str) -> Validated:
    try:
        return section.model_validate(values, strict=True)
    except ValidationError as error:
        raise InputError(explain(error, section, where)) from None


def _grid(name: str, entry: Spelled) -> dict[str, Sae]:
    """All points of a recipe. Keys with a list span the grid, in the order of the schema, where their value is no list
    itself; ids spell them as the file does."""
    plain = entry.plain()
    section = _class_for("saes", name, plain)
    if section is PretrainedSae:
        return {name: Sae(name, name, name, _validated(section, plain, f"saes.{name}"))}
    axes = [
        key
        for key in _own_keys_first(section)
        if key in entry.value and not is_list(section, key) and isinstance(entry.value[key].value, list)
    ]
    for key in axes:
        if not entry.value[key].value:
            raise InputError(f"saes.{name}.{key}: an empty list spans no grid; give a value or a list of values")
    if (count := math.prod(len(entry.value[key].value) for key in axes)) > POINTS:
        raise InputError(f"saes.{name}: its lists span {count:,} SAEs; a recipe spans at most {POINTS:,}")
    points: dict[str, Sae] = {}
    seen: dict[str, str] = {}
    for choice in itertools.product(*(entry.value[key].value for key in axes)):
        values = plain | {key: item.plain() for key, item in zip(axes, choice, strict=True)}
        recipe = _validated(section, values, f"saes.{name}")
        assert isinstance(recipe, Recipe)
        spelled = {key: f"{key}={item.text}" for key, item in zip(axes, choice, strict=True)}
        setting = "_".join([name, *(text for key, text in spelled.items() if key != "seed")])
        point = Sae("_".join([name, *spelled.values()]), name, setting, recipe)
        twin = seen.setdefault(recipe.model_dump_json(), point.id)
        if twin != point.id or point.id in points:
            raise InputError(f"saes.{name}: {twin} and {point.id} are the same point of the grid; remove one")
        check_length(f"saes.{name}", point.id)
        points[point.id] = point
    return points


def _own_keys_first(section: type[Section]) -> list[str]:
    """Keys of the architecture before those of all recipes: `l1-x8_l1=3e-4_seed=0`."""
    own = [key for key in section.model_fields if key not in Recipe.model_fields]
    return own + [key for key in section.model_fields if key in Recipe.model_fields]


def _check_references(study: Study) -> None:
    for name, model in study.models.items():
        if model.corpus not in study.corpora:
            raise InputError(
                f"models.{name}.corpus names {model.corpus!r}{nearest(model.corpus, list(study.corpora))}; "
                f"corpora are {', '.join(study.corpora)}"
            )
        reads, is_images = model.source == "classifier", study.corpora[model.corpus].source == "images"
        if reads != is_images:
            raise InputError(
                f"models.{name} ({model.source}) reads {_matter(reads)}, "
                f"but corpora.{model.corpus} holds {_matter(is_images)}"
            )
    for sae in study.saes.values():
        for wanted in [] if sae.recipe.models == "all" else sae.recipe.models:
            if wanted not in study.every_model:
                raise InputError(
                    f"saes.{sae.id}: models names {wanted!r}{nearest(wanted, list(study.every_model))}; "
                    f"models are {', '.join(study.every_model)}"
                )
            if wanted in study.controls:
                _check_control(study, sae, wanted)
    for sae in study.saes.values():
        for name in study.models if sae.recipe.models == "all" else sae.recipe.models:
            sites = study.every_model[name].sites
            if sae.imported and sae.imported.site not in sites:
                raise InputError(
                    f"saes.{sae.id}: site is {sae.imported.site!r}{nearest(sae.imported.site, sites)}, which is not "
                    f"among models.{name}.sites: {', '.join(sites)}; add it there, or mend it here"
                )
            _check_target(sae, name, sites)
            if sae.trained:
                _check_batch(study, name, sae.id, sae.trained)
                for site in sites:
                    if sae.belongs_to(name, site):
                        _check_avoided(study, name, site, sae.id)
        if sae.trained and sae.trained.sites != "all":
            _check_sites(study, sae.id, sae.trained)
    _check_explainers(study)
    _check_toys(study)
    dictionaries = ["/".join(key) for key in study.dictionaries()]
    study.sheets.require(dictionaries)
    study.case_studies.require(list(dict.fromkeys(sae.recipe_name for sae in study.saes.values())), dictionaries)


def _check_control(study: Study, sae: Sae, control: str) -> None:
    """An SAE of a control is one of its model, too: it is there to be held against that."""
    model = study.original(control)
    if sae.imported:
        raise InputError(
            f"saes.{sae.id}: models names {control!r}, a random-model control, on which nobody else trained an SAE; "
            "leave it out"
        )
    if not any(sae.belongs_to(model, site) for site in study.controls[control].sites if sae.belongs_to(control, site)):
        raise InputError(
            f"saes.{sae.id}: models names {control!r}, the control of {model}, and not {model} itself at the same "
            f"sites ({', '.join(study.controls[control].sites)}), so that there is nothing to hold it against; name "
            "both, or neither"
        )


def _check_target(sae: Sae, model: str, sites: Sequence[str]) -> None:
    """The site that a transcoder predicts must be one of each of its models', and none that it is trained on."""
    if sae.target is None or not any(sae.belongs_to(model, site) for site in sites):
        return
    if sae.target not in sites:
        raise InputError(
            f"saes.{sae.id}: target is {sae.target!r}{nearest(sae.target, list(sites))}, which is not among "
            f"models.{model}.sites: {', '.join(sites)}; add it there, or mend it here"
        )
    if sae.belongs_to(model, sae.target):
        raise InputError(
            f"saes.{sae.id}: target is {sae.target!r}, which is among the sites that it reads, too; name other sites "
            "under sites, or leave target out for an SAE of this site"
        )


def _check_sites(study: Study, identity: str, recipe: Recipe) -> None:
    """Every site that a recipe names must be one of its models'."""
    models = study.models if recipe.models == "all" else recipe.models
    known = list(dict.fromkeys(site for name in models for site in study.every_model[name].sites))
    for wanted in recipe.sites:
        if wanted not in known:
            raise InputError(
                f"saes.{identity}: sites names {wanted!r}{nearest(wanted, known)}; sites of its models are "
                f"{', '.join(known) or 'none'}"
            )


def _check_avoided(study: Study, model: str, site: str, name: str) -> None:
    """The SAE that `orthogonal_to` names must stand at the same site, and not wait for this one."""
    chain, known = [name], study.saes_of(model, site)
    while (recipe := study.saes[chain[-1]].trained) and recipe.orthogonal_to is not None:
        other = recipe.orthogonal_to
        if other not in known:
            raise InputError(
                f"saes.{chain[-1]}: orthogonal_to names {other!r}{nearest(other, known)}; SAEs of {model} are "
                f"{', '.join(known)}"
            )
        if other in chain:
            raise InputError(f"saes.{name}: orthogonal_to goes in a circle: {' → '.join([*chain, other])}")
        chain.append(other)


def _check_explainers(study: Study) -> None:
    texts = [name for name, model in study.models.items() if model.source != "classifier"]
    for name, explainer in study.explainers.items():
        for wanted in [] if explainer.models == "all" else explainer.models:
            if wanted not in texts:
                raise InputError(
                    f"explainers.{name}: models names {wanted!r}{nearest(wanted, texts)}; language models are "
                    f"{', '.join(texts) or 'none'}"
                )
        if name in RESERVED:
            raise InputError(f"explainers.{name}: an explainer without a model is called so; rename it")


def _check_toys(study: Study) -> None:
    recipes = list(dict.fromkeys(sae.recipe_name for sae in study.saes.values() if sae.trained))
    for name, toy in study.toys.items():
        if twin := next((model for model in study.every_model if model.casefold() == name.casefold()), None):
            called = "has this name" if twin == name else f"is called {twin!r}, which differs in case alone"
            raise InputError(f"toys.{name}: a model {called}, too; rename one, as both become folders")
        for wanted in toy.saes:
            if wanted not in recipes:
                raise InputError(
                    f"toys.{name}.saes names {wanted!r}{nearest(wanted, recipes)}; recipes are {', '.join(recipes)}"
                )
    for name, identity in study.known():
        if (recipe := study.saes[identity].trained) and recipe.orthogonal_to:
            raise InputError(f"toys.{name}.saes: {identity} is orthogonal_to another SAE, which known features lack")
        if study.saes[identity].target is not None:
            raise InputError(f"toys.{name}.saes: {identity} predicts another site (target), which known features lack")


def _check_batch(study: Study, model: str, name: str, recipe: Recipe) -> None:
    if recipe.activations == "streamed":
        return
    rows = study.every_model[model].activations.train_tokens
    if recipe.batch_size > min(rows, recipe.tokens):
        raise InputError(
            f"saes.{name}: batch_size = {recipe.batch_size} exceeds "
            f"{'its tokens' if recipe.tokens <= rows else f'models.{model}.activations.train_tokens'} = "
            f"{min(rows, recipe.tokens)}; lower batch_size or raise the tokens"
        )


def _matter(is_images: bool) -> str:
    return "images" if is_images else "text"
