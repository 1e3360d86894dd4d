"""A model of known causes, explained and scored once."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from measured import made

from polysem.explanations.explain_features import explain_features
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.params.analysis import Analysis

from .case import SITE, read_said, write


@pytest.fixture(scope="session")
def explained(tmp_path_factory) -> SimpleNamespace:
    """Examples, explanations and scores of the neurons, and the files that they were made of."""
    root = tmp_path_factory.mktemp("explained")
    relatives = [("m", SITE, "neurons")]
    write(root, relatives)
    place = Place("m", root=str(root))
    analysis = Analysis(context_before=4, context_after=2, explanation_tokens=10**6)
    examples = made("model", "explained_examples", place, "language", analysis, relatives=relatives, controls=[])
    write_table(Path(place.table("explained_examples")), examples)
    explain_features("m", root=str(root))
    table = made("model", "explanations", place, "language", analysis, relatives=relatives)
    said = read_said(place)
    by = {one["feature"]: one["by"] for one in said["explanations"]}
    return SimpleNamespace(
        root=root, place=place, relatives=relatives, analysis=analysis, examples=examples, table=table, said=said, by=by
    )
