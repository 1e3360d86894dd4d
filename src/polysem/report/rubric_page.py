"""S1.F10: the page on which a person scores the features and neurons of a model, without knowing which is which."""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import xarray as xr
from markupsafe import Markup

from polysem.io.tables import read_table
from polysem.layout.place import Place
from polysem.layout.rubric import CRITERIA
from polysem.models.tokenizer import load_tokenizer
from polysem.models.vocabulary import Vocabulary
from polysem.report.contexts import TextContexts
from polysem.report.site import Site, rubric_path


@dataclass(frozen=True)
class Question:
    """A criterion as people are asked about it."""

    name: str
    title: str
    asks: str
    points: list[str]
    """What each number of points means, from 0 on."""


QUESTIONS = (
    Question(
        "confidence",
        "Confidence",
        "How sure are you of your explanation?",
        ["I have none", "unsure", "fairly sure", "sure"],
    ),
    Question(
        "activation_consistency",
        "Examples",
        "How many of the examples does it explain, the strong ones above all?",
        ["none", "few", "less than half", "more than half", "nearly all", "all"],
    ),
    Question(
        "logit_consistency",
        "Likelier tokens",
        "How many of the tokens that become likelier fit it?",
        ["none", "few", "many", "nearly all"],
    ),
    Question(
        "specificity",
        "Specificity",
        "How narrow is it?",
        ["it would fit any text", "broad", "fairly narrow", "one thing only"],
    ),
)


@dataclass(frozen=True)
class Interval:
    """Examples whose activation lies between two shares of the item's largest."""

    title: str
    examples: list[Markup]


@dataclass(frozen=True)
class ShownItem:
    """An item as it stands on the page: nothing in it tells what it is."""

    name: str
    intervals: list[Interval]
    boosted: list[Markup]


@dataclass(frozen=True)
class Sheet:
    """The sheet of a model."""

    place: Place
    name: str
    items: list[ShownItem]


def read_sheet(place: Place) -> Sheet | None:
    """The sheet of a model, from its table and tokenizer; None where the table says that there is none. InputError for
    files that cannot be read."""
    table = read_table(Path(place.table("rubric")))
    if "not_applicable" in table.attrs:
        return None
    contexts = TextContexts(Vocabulary(load_tokenizer(Path(place.tokenizer))))
    items = [
        _item(table.isel(item=number), int(table.attrs["intervals"]), contexts) for number in range(len(table.item))
    ]
    return Sheet(place, str(table.attrs["sheet"]), items)


def write_sheet(site: Site, sheet: Sheet) -> None:
    """Write the page. ValueError where it asks something else than what score files hold."""
    if {one.name: len(one.points) - 1 for one in QUESTIONS} != CRITERIA:
        raise ValueError(f"the questions of the page are not those of {list(CRITERIA)}")
    page = rubric_path(sheet.place.model)
    site.write_page(page, "rubric.html.j2", sheet=sheet, questions=QUESTIONS, folder=sheet.place.rubric)


def _item(of: xr.Dataset, intervals: int, contexts: TextContexts) -> ShownItem:
    """Activations are shown as shares of the largest one: its size would tell neurons from features."""
    largest, offsets = float(of["largest"]), of["offset"].to_numpy()
    interval = of["shown_interval"].to_numpy()
    shown = np.flatnonzero(interval >= 0).tolist()
    shares = of["shown_window_activation"].to_numpy() / largest
    made = [
        Interval(
            f"{100 * number // intervals} to {100 * (number + 1) // intervals} % of its largest activation",
            [
                contexts.example(
                    of["shown_token"].to_numpy()[place],
                    shares[place],
                    offsets,
                    1.0,
                    int(of["shown_sequence"].to_numpy()[place]),
                )
                for place in places
            ],
        )
        for number, places in groupby(shown, key=lambda place: int(interval[place]))
    ]
    boosted = [contexts.name(token) for token in of["boosted_token"].to_numpy().tolist()]
    return ShownItem(str(of["item"].item()), made, boosted)
