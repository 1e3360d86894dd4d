"""The step that writes the report."""

import json
import shutil
from dataclasses import replace
from os.path import relpath
from pathlib import Path
from typing import Any

from polysem.io.atomic import before_placing, placed
from polysem.io.errors import InputError
from polysem.io.folders import read_folder_receipt
from polysem.io.json_files import read_object
from polysem.layout.annotations import NOBODY, Annotations
from polysem.layout.place import Place
from polysem.report.captions import caption_html
from polysem.report.chapters import Case, Run, read_chapters
from polysem.report.features import read_features
from polysem.report.gallery import all_shown, read_gallery
from polysem.report.ledger import read_claims
from polysem.report.pages import TableFile, write_pages
from polysem.report.provenance import read_makings
from polysem.report.receipts import read_receipt_file
from polysem.report.rubric_page import read_sheet, write_sheet
from polysem.report.run_before import read_run_before
from polysem.report.search_index import search_index
from polysem.report.site import Site


def write_report(
    results: Path,
    metrics: Path,
    claims: Path,
    provenance: Path,
    receipts: list[Path],
    introduction: str,
    output: Path,
    params: dict[str, Any],
    captions: dict[str, str],
    places: list[Place],
    sheets: list[Place],
    case_studies: list[Place],
    tables: list[str],
    site_tables: list[str],
    annotations: dict[str, Annotations],
    rubrics: list[Place],
    before: list[Path],
) -> None:
    """Write a static site that opens from disk: `index.html` and `pages/` with all else, figures included.

    Args:
        results: The folder of all artifacts, with the figures and their receipts, and with the tables to which pages
            link.
        metrics: JSON, `{model: {site: {dictionary: {metric: value}}}}` and, for a model's own numbers,
            `{model: {"model": {metric: value}}}`.
        claims: JSON, the list of published numbers with their verdicts.
        provenance: JSON, the jobs behind the figures, as `collect_provenance` writes them.
        receipts: JSON files of stores and models.
        introduction: reStructuredText that describes the whole.
        output: Folder to write, that of the report. In it lie the feature sheets with their receipts; they are linked
            and searched, and left alone. `index.html` is written last.
        params: The study as it was run, plain JSON types; also written as `pages/params.json`.
        captions: reStructuredText of each figure, by its name.
        places: All sites and dictionaries of the run in their order; what else is there is none of its business.
        sheets: The dictionaries that have feature sheets.
        case_studies: The models that have case studies.
        tables: Names of the tables that every dictionary has.
        site_tables: Names of those tables of its site that its page leads to, too.
        annotations: What people said of features, by `model/site/dictionary`, of those dictionaries that have any.
        rubrics: The models with a table `rubric`, by which they have a rubric sheet or have none.
        before: JSON files of `polysem claims`: what other runs said to claims that this one could not check.

    Raises InputError, before anything is written, for anything that is missing or cannot be read.
    """
    pictures = read_gallery(replace(place, root=str(results)) for place in places)
    origins = [replace(place, root=str(results)) for place in places if place.dictionary]
    written = {place.path: Path(replace(place, root=str(results)).sheets.receipt) for place in sheets}
    said = {origin: annotations.get(origin.path, NOBODY).about(Path(origin.tables_receipt)) for origin in origins}
    features = {origin: read_features(written.get(origin.path), said[origin]) for origin in origins}
    asked = list(filter(None, (read_sheet(replace(place, root=str(results))) for place in rubrics)))
    study = Run(
        origins=origins,
        pictures=pictures,
        metrics=read_object(metrics),
        claims=read_claims(claims, [read_run_before(path) for path in before]),
        params=params,
        sheets={origin: sum(bool(feature.page) for feature in found) for origin, found in features.items()},
        labels={origin: sum(len(own.labels) for own in said[origin].values()) for origin in origins},
        annotated={origin: [one for one in found if one.said.is_there] for origin, found in features.items()},
        others={origin: sum(len(own.others) for own in said[origin].values()) for origin in origins},
        cases={model.model: own for model in case_studies if (own := _cases(replace(model, root=str(results))))},
        rubrics=[sheet.place.model for sheet in asked],
    )
    chapters = read_chapters(study)
    found = {origin: _tables(origin, tables, site_tables, output) for origin in origins}
    makings = read_makings(provenance)
    if without := [name for name in pictures if name not in captions]:
        raise InputError(f"figure {without[0]!r} has no caption; its module declares one as CAPTION")
    words = {name: caption_html(captions[name]) for name in pictures}
    about = caption_html(introduction)
    stores = [read_receipt_file(path) for path in receipts]
    site = Site(output / "pages.partial")
    shutil.rmtree(site.root, ignore_errors=True)
    for shown in all_shown(pictures):
        site.copy_figure(shown)
    site.write_static()
    site.write_file("pages/static/search-index.js", search_index(chapters, features, study.metrics))
    site.write_file("pages/params.json", json.dumps(params, indent=2, ensure_ascii=False) + "\n")
    for sheet in asked:
        write_sheet(site, sheet)
    write_pages(site, study, chapters, about, captions=words, tables=found, makings=makings, receipts=stores)
    _publish(site.root, output)


def _cases(model: Place) -> list[Case]:
    """The case studies of a model, features before the neurons beside them."""
    listed = read_folder_receipt(Path(model.case_studies.path))["cases"]
    return [
        Case(
            f"{one['tag'] or 'no tag'}{' (neuron)' if one['is_neuron'] else ''}",
            f"case_studies/{model.model}/{one['page']}",
        )
        for one in listed
    ]


def _tables(dictionary: Place, names: list[str], of_site: list[str], output: Path) -> list[TableFile]:
    """The tables of a dictionary, and some of its site. InputError if one is missing."""
    site = dictionary.of("")
    paths = {name: dictionary.table(name) for name in names} | {name: site.table(name) for name in of_site}
    for name, path in paths.items():
        if not Path(path).is_file():
            target = (dictionary if name in names else site).target_of_table(name)
            raise InputError(f"{path} is missing; measure it first: snakemake --cores all {target}")
    return [TableFile(name, path, Path(relpath(path, output)).as_posix()) for name, path in paths.items()]


def _publish(written: Path, output: Path) -> None:
    """Put finished pages in place of those of an earlier report."""
    before_placing()
    (output / "index.html").unlink(missing_ok=True)
    shutil.rmtree(output / "pages", ignore_errors=True)
    for name in ("pages", "index.html"):
        (written / name).rename(output / name)
        placed(output / name)
    written.rmdir()
