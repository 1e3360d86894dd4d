"""Captions of figures: reStructuredText that Snakemake's report and ours both read."""

from pathlib import Path

from docutils.core import publish_parts

from polysem.io.errors import InputError

JINJA = ("{{", "{%", "{#")
SAFE = {"raw_enabled": False, "file_insertion_enabled": False, "report_level": 5, "initial_header_level": 3}


def caption_html(path: Path) -> str:
    """The caption as HTML.

    Paragraphs with Jinja in them are for Snakemake's report, which shows a figure without its model, site and
    dictionary; ours shows these beside the figure, and leaves such paragraphs out.
    Raises InputError if there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"the caption {path} cannot be read ({error.strerror}); every figure needs one") from error
    paragraphs = [part for part in text.split("\n\n") if not any(mark in part for mark in JINJA)]
    return str(publish_parts("\n\n".join(paragraphs), writer="html5", settings_overrides=SAFE)["body"])
