"""Captions of figures: reStructuredText, which Snakemake's report reads, too."""

from docutils.core import publish_parts

SAFE = {"raw_enabled": False, "file_insertion_enabled": False, "report_level": 5, "initial_header_level": 3}


def caption_html(text: str) -> str:
    """A caption as HTML."""
    return str(publish_parts(text, writer="html5", settings_overrides=SAFE)["body"])
