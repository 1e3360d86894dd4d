"""S1.F11: which features of a model are case studies, by what its tables of tags say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polysem.io.tables import read_arrays
from polysem.layout.place import Place
from polysem.params.base import NEURONS
from polysem.tables.inputs import Inputs

BEST, NEURON, LISTED = "best feature of a tag", "best neuron of a tag", "listed in case_studies.features"
USED = ("tag", "best_feature", "f1_choosing", "threshold", "main_tag")


@dataclass(frozen=True)
class Case:
    """A feature or a neuron that is studied."""

    place: Place
    feature: int
    tag: str
    """What it is held against; '' for a listed feature without a main tag."""
    threshold: float
    """Activation above which it counts as active."""
    chosen_by: str


def chosen_cases(inputs: Inputs) -> list[Case]:
    """The case studies of a model: of each tag the best feature, then the best neuron of the same site, for contrast;
    then those that are listed.

    `inputs` reads the value "case_studies", and the table `tags` of its relatives. The best feature has the highest F1
    on half A over the SAEs that may be chosen, the first one among equals; a tag without a feature has no case. A
    feature that is the best of two tags stands there for each of them.
    """
    wanted, each = inputs.value("case_studies"), inputs.each("relatives")
    known = {one.place: read_arrays(one.table_file("tags"), USED.__contains__) for one in each}
    tags = {place: table["tag"].tolist() if "tag" in table else [] for place, table in known.items()}

    def best(tag: str, places: Sequence[Place]) -> Case | None:
        found = []
        for place in places:
            if tag in tags[place]:
                number, table = tags[place].index(tag), known[place]
                if (feature := int(table["best_feature"][number])) >= 0:
                    found.append(
                        (float(table["f1_choosing"][number]), place, feature, float(table["threshold"][number]))
                    )
        if not found:
            return None
        _, place, feature, threshold = max(found, key=lambda one: np.nan_to_num(one[0], nan=-1.0))
        return Case(place, feature, tag, threshold, BEST if place.dictionary != NEURONS else NEURON)

    cases = []
    for tag in wanted["tags"]:
        if feature := best(tag, [place for place in known if place.dictionary in wanted["dictionaries"]]):
            cases += [feature, *filter(None, [best(tag, [feature.place.of(NEURONS)])])]
    for path, features in wanted["features"].items():
        for place in (one for one in known if one.path.partition("/")[2] == path):
            for feature in features:
                number = int(known[place]["main_tag"][feature]) if "main_tag" in known[place] else -1
                cases.append(Case(place, feature, tags[place][number] if number >= 0 else "", 0.0, LISTED))
    return cases
