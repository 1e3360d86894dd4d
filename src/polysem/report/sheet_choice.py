"""S0.F4: which features of a dictionary get a sheet, and why."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polysem.io.columns import Columns
from polysem.io.errors import InputError
from polysem.params.sheets import SheetChoice


@dataclass(frozen=True)
class Group:
    """Features that got a sheet for one reason, in the order that the reason gives them."""

    key: str
    title: str
    note: str
    features: list[int]


def feature_groups(choice: SheetChoice, frequency: Columns, alignment: Columns) -> list[Group]:
    """Groups of features of an SAE, from its tables; empty ones are left out.

    Both orders of document S0 are about the features whose strongest neuron is the most polysemantic one, that is the
    strongest of most features (the first of them, if several are): those with the largest activations, and those with
    the largest share of squared weight in it. InputError for a listed feature that there is not.
    """
    neuron = most_polysemantic(alignment["features_strongest"])
    members = np.flatnonzero(alignment["strongest_neuron"] == neuron)
    active = members[frequency["active_tokens"][members] > 0]
    whose = (
        f" of {alignment.attributes['target']}, which the transcoder predicts,"
        if "target" in alignment.attributes
        else ""
    )
    about = f"Neuron {neuron}{whose} is the most polysemantic one: the strongest neuron of {len(members):,} features."
    groups = [
        Group(
            "largest",
            "Largest activations",
            f"{about} These of them reach the largest activations.",
            _largest(active, frequency["max_activation"], choice.polysemantic),
        ),
        Group(
            "aligned",
            "Most aligned",
            f"{about} These of them have the largest share of squared weight in it.",
            _largest(members, alignment["power_top1"], choice.polysemantic),
        ),
    ]
    return _present([*groups, *_groups_by_number(choice, len(frequency["frequency"]), choice.listed)])


def neuron_groups(choice: SheetChoice, neurons: int, saes: Mapping[str, Columns]) -> list[Group]:
    """Groups of neurons; `saes` are the alignment tables of the SAEs of the site by name."""
    leaders: dict[int, list[str]] = {}
    if choice.polysemantic:
        for name, alignment in saes.items():
            leaders.setdefault(most_polysemantic(alignment["features_strongest"]), []).append(name)
    note = "Each is the strongest neuron of more features than any other, in one of the SAEs of the site."
    leading = Group("polysemantic", "Most polysemantic", note, list(leaders))
    return _present([leading, *_groups_by_number(choice, neurons, choice.listed)])


def shown_in_figures(choice: SheetChoice, features: Collection[int]) -> list[Group]:
    """The features that the figures of clusters show, if they shall have a sheet."""
    note = "The figures of clusters show them; their sheets say which tokens of the central examples matter."
    return _present([Group("shown", "In figures of clusters", note, list(features) if choice.shown else [])])


def annotated(choice: SheetChoice, features: Collection[int]) -> list[Group]:
    """The features that people starred, labelled or commented, if they shall have a sheet."""
    note = "Somebody gave them a star, a label or a comment."
    return _present([Group("annotated", "With notes", note, list(features) if choice.annotated else [])])


def neurons_with_sheets(choice: SheetChoice, alignment: Columns) -> set[int]:
    """Neurons of the site of which is known, from the tables of one SAE, that they have a sheet."""
    neurons = len(alignment["features_strongest"])
    known = {number for group in _groups_by_number(choice, neurons, choice.listed_neurons) for number in group.features}
    leader = {most_polysemantic(alignment["features_strongest"])} if choice.polysemantic else set()
    return known | leader


def most_polysemantic(features_strongest: NDArray[np.int64]) -> int:
    """The neuron that is the strongest of most features; the first one, if several are."""
    return int(np.argmax(features_strongest))


def _groups_by_number(choice: SheetChoice, features: int, listed: list[int]) -> list[Group]:
    if unknown := [feature for feature in listed if feature >= features]:
        raise InputError(f"sheets.listed: there is no feature {unknown[0]}; the dictionary has 0 … {features - 1}")
    drawn = np.random.default_rng(choice.seed).permutation(features)[: choice.random]
    return [
        Group("listed", "Listed", "Named under `sheets.listed`.", list(dict.fromkeys(listed))),
        Group("random", "Random", f"Drawn with seed {choice.seed}.", sorted(drawn.tolist())),
        Group("all", "All", "", list(range(features)) if choice.all else []),
    ]


def _largest(features: NDArray[np.int64], values: NDArray[np.floating], count: int) -> list[int]:
    """The features with the largest values, largest first, the lower number first where they are equal."""
    return features[np.argsort(-values[features], kind="stable")][:count].tolist()


def _present(groups: list[Group]) -> list[Group]:
    return [group for group in groups if group.features]
