"""The places of a study, in the order of its params file. Steps know nothing of a whole study, and import no more than
`place`."""

from collections.abc import Iterator

from polysem.layout.place import Place
from polysem.params.study import Study


def sites(study: Study) -> Iterator[Place]:
    """Every site of every model."""
    return (Place(model, site) for model, site in study.sites())


def dictionaries(study: Study) -> Iterator[Place]:
    """Every dictionary of every site, the neurons first."""
    return (Place(*names) for names in study.dictionaries())


def control_sites(study: Study) -> Iterator[Place]:
    """Every site of every random-model control."""
    return (Place(name, site) for name, control in study.controls.items() for site in control.sites)


def control_dictionaries(study: Study) -> Iterator[Place]:
    """Every dictionary of these, the neurons first."""
    return (Place(*names) for names in study.control_dictionaries())
