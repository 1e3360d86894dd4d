"""The page of the JSON addresses, which is generated."""

from pathlib import Path

from polysem.explorer.api import ADDRESSES
from polysem.explorer.api.schema import described
from polysem.explorer.reference import PAGE, reference_text

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_in_step_with_the_schema():
    written = (ROOT / PAGE).read_text(encoding="utf-8")
    assert written == reference_text(), f"{PAGE} is out of date; run: python -m polysem.explorer.reference"


def test_every_address_and_everything_it_takes_and_gives_is_on_the_page():
    text = reference_text()
    for path, (method, _) in ADDRESSES.items():
        assert f"## {method} {path}\n" in text
    for asked in (one for methods in described()["paths"].values() for one in methods.values()):
        assert all(f"| `{one['name']}` | " in text for one in asked.get("parameters", ()))
    for component in described()["components"]["schemas"].values():
        assert all(f"`{name}`" in text or f'"{name}"' in text for name in component["properties"])
