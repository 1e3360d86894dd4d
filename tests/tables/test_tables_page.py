"""The page of all tables, which is generated."""

from pathlib import Path

from polysem.tables.contract import ROOMS
from polysem.tables.reference import REFERENCE, reference_text
from polysem.workflow.declarations import modules_of

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_in_step_with_what_the_modules_declare():
    written = (ROOT / REFERENCE).read_text(encoding="utf-8")
    assert written == reference_text(), f"{REFERENCE} is out of date; run: python -m polysem.tables.reference"


def test_every_table_has_its_place_on_the_page():
    text = reference_text()
    for package in ROOMS.values():
        for name in modules_of(package):
            assert f"### `{name}`" in text
