"""Pages of docs/ that are generated from commands and figures."""

import re
from pathlib import Path

import pytest

from polysem.cli import COMMANDS
from polysem.workflow.figures import all_figures
from polysem.workflow.reference import commands, gallery

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / gallery.PICTURES


@pytest.mark.parametrize(
    ("file", "text"), [(commands.PAGE, commands.page), (gallery.PAGE, lambda: gallery.page(PICTURES))]
)
def test_the_generated_page_is_in_step(file, text):
    written = (ROOT / file).read_text(encoding="utf-8")
    assert written == text(), f"{file} is out of date; run: python -m polysem.workflow.reference"


def test_every_command_and_action_has_its_place_and_every_option_its_row():
    text = commands.page()
    for name in COMMANDS:
        assert f"\n## polysem {name}\n" in text
    assert "\n### polysem notes add\n" in text and "\n### polysem notes export\n" in text
    assert "| `--star, --no-star` | give it a star, or take it away |" in text
    assert "whose form it gets: `dictionary_learning`, `openai`, `saelens`, `neuronpedia`; required |" in text
    assert "| `--port PORT` | the port to listen at; 0 for any that is free (default: 8070) |" in text


def test_every_figure_of_the_repository_has_its_place_with_its_caption():
    text = gallery.page(PICTURES)
    for figure in all_figures():
        if figure.module.startswith("polysem."):
            assert text.count(f'<a id="{figure.name}"></a>\n\n### {figure.title}\n') == 1
            assert figure.caption.split("``")[0].strip() in text


def test_the_pictures_that_there_are_stand_on_the_page():
    shown = re.findall(r"!\[[^]]+\]\(figures/(\w+)\.svg\)", gallery.page(PICTURES))
    assert sorted(shown) == sorted(path.stem for path in PICTURES.glob("*.svg"))


def test_captions_are_markdown_and_no_longer_restructured_text():
    text = gallery.page(PICTURES)
    assert "``" not in text and not re.search(r"`[^`]+`_|:\w+:`|\.\. \w+::", text)
