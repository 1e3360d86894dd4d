"""Which pages the report has, and what stands on each."""

import json
from dataclasses import dataclass
from typing import Any

from polysem.layout.place import Place
from polysem.params.base import INDEX, NEURONS
from polysem.report.catalogue import LATER
from polysem.report.chapters import Chapter, Run, models_of
from polysem.report.findings import findings
from polysem.report.gallery import Picture, all_shown, folder_of
from polysem.report.ledger import counted, runs_before
from polysem.report.massive import massive_warning
from polysem.report.numbers import in_words, model_grid, site_board
from polysem.report.provenance import Making
from polysem.report.receipts import Receipt
from polysem.report.site import Site, address, script_json


@dataclass(frozen=True)
class TableFile:
    """A table to which pages lead."""

    name: str
    path: str
    address: str
    """From the root of the report."""


def write_pages(
    site: Site,
    run: Run,
    chapters: list[Chapter],
    introduction: str,
    captions: dict[str, str],
    tables: dict[Place, list[TableFile]],
    makings: dict[str, list[Making]],
    receipts: list[Receipt],
) -> None:
    """Write every page; `index.html` last. `introduction` and `captions`, by figure, are HTML."""
    models = models_of(run)
    common = {"run": run, "captions": captions}
    for chapter in chapters:
        _write_document(site, run, chapter, common)
    for model, sites in models.items():
        _write_model(site, run, next(iter(sites.values()))[0].at(""), sites, makings, common)
        for name, origins in sites.items():
            _write_comparison(site, run, model, name, origins, makings, common)
    for origin in run.origins:
        _write_dictionary(site, run, origin, tables[origin], makings.get(origin.path, []))
    before = runs_before(run.claims)
    site.write_page("pages/claims.html", "claims.html.j2", run=run, verdicts=counted(run.claims), before=before)
    site.write_page("pages/provenance.html", "provenance.html.j2", receipts=receipts, params=_as_text(run.params))
    site.write_page(
        "index.html",
        "index.html.j2",
        run=run,
        findings=findings(run),
        page_of=lambda place: address("index.html", page_path(place)),
        chapters=chapters,
        models=models,
        introduction=introduction,
        verdicts=counted(run.claims),
        before=before,
        drawn=sum(1 for _ in all_shown(run.pictures)),
        sheets=sum(run.sheets.values()),
        losses=model_grid(run.metrics),
        warnings=list(filter(None, (_warning(run, model, site) for model, sites in models.items() for site in sites))),
    )


def _write_document(site: Site, run: Run, chapter: Chapter, common: dict[str, Any]) -> None:
    page = f"pages/{chapter.document}.html"
    pictures = {picture.name: picture for article in chapter.articles for picture in article.pictures}
    site.write_page(
        page,
        "document.html.j2",
        **common,
        chapter=chapter,
        choices={
            f"{model} / {name}": origins for model, sites in models_of(run).items() for name, origins in sites.items()
        },
        pages=_pages(page, run.origins),
        page_of=lambda origin: address(page, page_path(origin)),
        figures_json=figures_json(run.origins, pictures),
        later=[line for line in LATER if line[0].split(".")[0] == chapter.document],
    )


def _write_model(
    site: Site,
    run: Run,
    place: Place,
    sites: dict[str, list[Place]],
    makings: dict[str, list[Making]],
    common: dict[str, Any],
) -> None:
    model = place.model
    site.write_page(
        page_path(place),
        "model.html.j2",
        **common,
        model=model,
        together=place,
        sites=sites,
        losses=model_grid({model: run.metrics.get(model, {})}),
        params=_as_text(run.params.get("models", {}).get(model, {})),
        pictures=[picture for picture in run.pictures.values() if place in picture.shown],
        steps=makings.get(place.path, []),
    )


def _write_comparison(
    site: Site,
    run: Run,
    model: str,
    name: str,
    origins: list[Place],
    makings: dict[str, list[Making]],
    common: dict[str, Any],
) -> None:
    together = origins[0].of("")
    page = page_path(together)
    pictures = [picture for picture in run.pictures.values() if together in picture.shown]
    site.write_page(
        page,
        "comparison.html.j2",
        **common,
        model=model,
        site=name,
        together=together,
        table=site_board(run.metrics, model, name, [origin.dictionary for origin in origins]),
        pages={origin.dictionary: address(page, page_path(origin)) for origin in origins},
        pictures=pictures,
        warning=_warning(run, model, name),
        steps=makings.get(together.path, []),
    )


def _warning(run: Run, model: str, site: str) -> str:
    """What is to be said about massive activations at a site; '' if nothing is."""
    return massive_warning(run.metrics, model, site, [origin.dictionary for origin in models_of(run)[model][site]])


def _write_dictionary(site: Site, run: Run, origin: Place, tables: list[TableFile], makings: list[Making]) -> None:
    page = page_path(origin)
    listed = [(table.name, address(page, table.address), table.path) for table in tables]
    site.write_page(
        page,
        "dictionary.html.j2",
        origin=origin,
        pictures=[picture for picture in run.pictures.values() if origin in picture.shown],
        numbers=[(name, in_words(value)) for name, value in run.numbers(origin).items()],
        sheets=run.sheets.get(origin, 0),
        annotated=run.annotated.get(origin, []),
        others=run.others.get(origin, 0),
        tables=listed,
        table_names=[name for name, _, _ in listed],
        steps=makings,
        command=makings[0].command if makings else "",
    )


def page_path(origin: Place) -> str:
    """The page of a dictionary, of a site or of a model."""
    names = origin.names if origin.dictionary else (*origin.names, INDEX)
    return f"pages/models/{'/'.join(names)}.html"


def figures_json(origins: list[Place], pictures: dict[str, Picture]) -> str:
    """What the chooser of a page knows of every figure: its size where it is drawn, the number of the reason where it
    is not; by dictionary, or by site or model for figures that show all of one."""
    reasons: dict[str, int] = {}
    figures: dict[str, Any] = {}
    for name, picture in pictures.items():
        at = {
            folder_of(origin): reasons.setdefault(shown.reason, len(reasons)) if shown.reason else list(shown.size)
            for origin, shown in picture.shown.items()
        }
        figures[name] = {"of": picture.of, "at": at}
    first = next((origin for origin in origins if origin.dictionary != NEURONS), origins[0] if origins else None)
    return script_json({"first": first.path if first else "", "reasons": list(reasons), "figures": figures})


def _pages(page: str, origins: list[Place]) -> dict[str, str]:
    return {origin.path: address(page, page_path(origin)) for origin in origins}


def _as_text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
