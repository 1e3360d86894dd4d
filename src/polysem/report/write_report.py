"""The step that writes the report."""

import json
import shutil
from os.path import normpath
from pathlib import Path
from typing import Any

from polysem.io.atomic import before_placing, placed
from polysem.io.errors import InputError
from polysem.report.captions import caption_html
from polysem.report.chapters import Run, read_chapters
from polysem.report.gallery import all_shown, read_gallery, read_origin
from polysem.report.ledger import read_claims
from polysem.report.pages import Making, write_pages
from polysem.report.receipts import read_receipt_file
from polysem.report.search_index import labels_of, read_features, search_index
from polysem.report.site import Site


def write_report(
    figures: Path,
    tables: Path,
    metrics: Path,
    claims: Path,
    labels: Path,
    receipts: list[Path],
    captions: Path,
    output: Path,
    params: dict[str, Any],
    folders: list[str],
    sheets: list[str],
    table_names: list[str],
    makings: dict[str, list[Making]],
) -> None:
    """Write a static site that opens from disk: `index.html` and `pages/` with all else, figures included.

    Args:
        figures: Folder with `{model}/{site}/{dictionary}/{figure}.svg`, `together` in place of the dictionary for
            all of a site, and the receipt of each such folder beside it.
        tables: Folder with `{model}/{site}/{dictionary}/{table}.nc`, to which pages link.
        metrics: JSON, `{model: {site: {dictionary: {metric: value}}}}` and, for a model's own numbers,
            `{model: {"model": {metric: value}}}`.
        claims: JSON, the list of published numbers with their verdicts.
        labels: Folder of `{model}/{site}/{dictionary}.csv`.
        receipts: JSON files of stores and models.
        captions: Folder with `{figure}.rst` and `workflow.rst`, the description of the whole.
        output: Folder to write. In it lie the feature sheets, `sheets/{model}/{site}/{dictionary}/` with a receipt
            beside each; they are linked and searched, and left alone. `index.html` is written last.
        params: The study as it was run, plain JSON types; also written as `pages/params.json`.
        folders: Paths below `figures` of all folders of the run, which name its dictionaries and their order; others
            there are none of its business.
        sheets: Those of these paths that have feature sheets.
        table_names: Tables that every dictionary has, from its folder on: `frequency`, `../fidelity`.
        makings: For each of these paths the jobs behind its figures, the last one first.

    Raises InputError, before anything is written, for anything that is missing or cannot be read.
    """
    pictures = read_gallery(figures, folders)
    origins = [origin for origin in map(read_origin, folders) if not origin.together]
    written = {name: output / "sheets" / f"{name}.json" for name in sheets}
    features = {origin: read_features(written.get(origin.path), labels, origin) for origin in origins}
    study = Run(
        origins=origins,
        pictures=pictures,
        metrics=_read_metrics(metrics),
        claims=read_claims(claims),
        params=params,
        sheets={origin: sum(bool(feature.page) for feature in found) for origin, found in features.items()},
        labels={origin: sum(map(len, labels_of(labels, origin).values())) for origin in origins},
    )
    chapters = read_chapters(study)
    found = {origin: _tables(tables / origin.path, table_names) for origin in origins}
    words = {name: caption_html(captions / f"{name}.rst") for name in ("workflow", *pictures)}
    stores = [read_receipt_file(path) for path in receipts]
    site = Site(output / "pages.partial")
    shutil.rmtree(site.root, ignore_errors=True)
    for shown in all_shown(pictures):
        site.copy_figure(shown)
    site.write_static()
    site.write_file("pages/static/search-index.js", search_index(chapters, features))
    site.write_file("pages/params.json", json.dumps(params, indent=2, ensure_ascii=False) + "\n")
    write_pages(site, study, chapters, captions=words, tables=found, makings=makings, receipts=stores)
    _publish(site.root, output)


def _tables(folder: Path, names: list[str]) -> dict[str, Path]:
    tables = {name: Path(normpath(folder / f"{name}.nc")) for name in names}
    if missing := [path for path in tables.values() if not path.is_file()]:
        raise InputError(f"{missing[0]} is missing; measure it first: snakemake --cores all {missing[0].as_posix()}")
    return tables


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it and run again") from error
    if not isinstance(metrics, dict):
        raise InputError(f"{path} holds {type(metrics).__name__}, expected an object; delete it and run again")
    return metrics


def _publish(written: Path, output: Path) -> None:
    """Put finished pages in place of those of an earlier report."""
    before_placing()
    (output / "index.html").unlink(missing_ok=True)
    shutil.rmtree(output / "pages", ignore_errors=True)
    for name in ("pages", "index.html"):
        (written / name).rename(output / name)
        placed(output / name)
    written.rmdir()
