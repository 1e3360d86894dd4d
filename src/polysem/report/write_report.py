"""The step that writes the report."""

import json
import shutil
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from polysem.io.atomic import write_text
from polysem.io.command import run
from polysem.io.errors import InputError
from polysem.report.captions import caption_html
from polysem.report.gallery import Chapter, dictionaries_by_site, read_gallery
from polysem.report.numbers import model_grid, site_grids
from polysem.report.receipts import read_receipt_file

TEMPLATES = Path(__file__).parent


def write_report(
    figures: Path,
    metrics: Path,
    receipts: list[Path],
    captions: Path,
    output: Path,
    params: dict[str, Any],
    folders: list[str],
) -> None:
    """Write a static site that opens from disk: `index.html` and, beside it, a copy of the figures it shows.

    Args:
        figures: Folder with `{model}/{site}/{dictionary}/{figure}.svg`, `together` in place of the dictionary for
            all of a site, and the receipt of each such folder beside it.
        metrics: JSON, `{model: {site: {dictionary: {metric: value}}}}` and, for a model's own numbers,
            `{model: {"model": {metric: value}}}`.
        receipts: JSON files.
        captions: Folder with `{figure}.rst` and `workflow.rst`, the description of the whole.
        output: Folder to write; figures of an earlier report in it are removed, `index.html` is written last.
        params: The study as it was run, plain JSON types.
        folders: Paths below `figures` of all folders of the run; other files there are none of its business.

    Raises InputError, before anything is written, for a missing figure or caption, or for unreadable JSON.
    """
    chapters = read_gallery(figures, captions, folders)
    numbers = _read_metrics(metrics)
    page = (
        _environment()
        .get_template("page.html.j2")
        .render(
            introduction=caption_html(captions / "workflow.rst"),
            chapters=chapters,
            sites_shown=dictionaries_by_site(chapters),
            models=model_grid(numbers),
            sites=site_grids(numbers),
            receipts=[read_receipt_file(path) for path in receipts],
            params=json.dumps(params, indent=2, ensure_ascii=False),
        )
    )
    _copy_figures(chapters, output)
    write_text(output / "index.html", page)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["key"] = "/".join
    return environment


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it and run again") from error
    if not isinstance(metrics, dict):
        raise InputError(f"{path} holds {type(metrics).__name__}, expected an object; delete it and run again")
    return metrics


def _copy_figures(chapters: list[Chapter], output: Path) -> None:
    (output / "index.html").unlink(missing_ok=True)
    if (output / "figures").exists():
        shutil.rmtree(output / "figures")
    for chapter in chapters:
        for entry in chapter.entries:
            for shown in entry.figures:
                target = output / "figures" / shown.relative
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(shown.source, target)


if __name__ == "__main__":
    run(write_report)
