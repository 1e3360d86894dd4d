"""Which pages the report has, and what stands on each."""

import json
import shlex
from pathlib import Path
from posixpath import normpath
from typing import Any

from pydantic import BaseModel, ConfigDict

from polysem.params.base import NEURONS, TOGETHER
from polysem.report.catalogue import LATER
from polysem.report.chapters import Chapter, Run, models_of
from polysem.report.gallery import Origin, Picture, all_shown
from polysem.report.ledger import counted
from polysem.report.numbers import in_words, model_grid, site_board
from polysem.report.receipts import Receipt
from polysem.report.site import Site, address, script_json


class Making(BaseModel):
    """One job behind a figure, as its rule states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: str
    module: str
    code: str
    inputs: list[str]
    params: dict[str, Any]
    target: str
    """A file of its, which Snakemake makes again when asked to."""
    keeps: bool
    """Whether the job keeps what its receipt, the target, shows to be right: without that it makes all again."""

    @property
    def command(self) -> str:
        """What to type to do this job again."""
        target = shlex.quote(self.target)
        return (
            f"rm {target}; snakemake --cores all {target}" if self.keeps else f"snakemake --cores all --force {target}"
        )


def write_pages(
    site: Site,
    run: Run,
    chapters: list[Chapter],
    introduction: str,
    captions: dict[str, str],
    tables: dict[Origin, dict[str, Path]],
    makings: dict[str, list[Making]],
    receipts: list[Receipt],
) -> None:
    """Write every page; `index.html` last. `introduction` and `captions`, by figure, are HTML."""
    models = models_of(run)
    common = {"run": run, "captions": captions}
    for chapter in chapters:
        _write_document(site, run, chapter, common)
    for model, sites in models.items():
        site.write_page(
            f"pages/models/{model}/index.html",
            "model.html.j2",
            model=model,
            sites=sites,
            losses=model_grid({model: run.metrics.get(model, {})}),
            params=_as_text(run.params.get("models", {}).get(model, {})),
        )
        for name, origins in sites.items():
            _write_comparison(site, run, model, name, origins, makings, common)
    for origin in run.origins:
        _write_dictionary(site, run, origin, tables[origin], makings.get(origin.path, []))
    site.write_page("pages/claims.html", "claims.html.j2", run=run, verdicts=counted(run.claims))
    site.write_page("pages/provenance.html", "provenance.html.j2", receipts=receipts, params=_as_text(run.params))
    site.write_page(
        "index.html",
        "index.html.j2",
        run=run,
        chapters=chapters,
        models=models,
        introduction=introduction,
        verdicts=counted(run.claims),
        drawn=sum(1 for _ in all_shown(run.pictures)),
        sheets=sum(run.sheets.values()),
        losses=model_grid(run.metrics),
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


def _write_comparison(
    site: Site,
    run: Run,
    model: str,
    name: str,
    origins: list[Origin],
    makings: dict[str, list[Making]],
    common: dict[str, Any],
) -> None:
    together = Origin(model, name, TOGETHER)
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
        steps=makings.get(together.path, []),
    )


def _write_dictionary(site: Site, run: Run, origin: Origin, tables: dict[str, Path], makings: list[Making]) -> None:
    page = page_path(origin)
    listed = [
        (Path(name).name, address(page, normpath(f"../tables/{origin.path}/{name}.nc")), path.as_posix())
        for name, path in tables.items()
    ]
    site.write_page(
        page,
        "dictionary.html.j2",
        origin=origin,
        pictures=[picture for picture in run.pictures.values() if origin in picture.shown],
        numbers=[(name, in_words(value)) for name, value in run.numbers(origin).items()],
        sheets=run.sheets.get(origin, 0),
        tables=listed,
        table_names=[name for name, _, _ in listed],
        steps=makings,
        command=makings[0].command if makings else "",
    )


def page_path(origin: Origin) -> str:
    """The page of a dictionary, or of a site."""
    name = "index" if origin.together else origin.dictionary
    return f"pages/models/{origin.model}/{origin.site}/{name}.html"


def figures_json(origins: list[Origin], pictures: dict[str, Picture]) -> str:
    """What the chooser of a page knows of every figure: its size where it is drawn, the number of the reason where it
    is not; by dictionary, or by site for figures that show all of a site."""
    reasons: dict[str, int] = {}
    figures: dict[str, Any] = {}
    for name, picture in pictures.items():
        at = {
            origin.path: reasons.setdefault(shown.reason, len(reasons)) if shown.reason else list(shown.size)
            for origin, shown in picture.shown.items()
        }
        figures[name] = {"together": picture.of_sites, "at": at}
    first = next((origin for origin in origins if origin.dictionary != NEURONS), origins[0] if origins else None)
    return script_json({"first": first.path if first else "", "reasons": list(reasons), "figures": figures})


def _pages(page: str, origins: list[Origin]) -> dict[str, str]:
    return {origin.path: address(page, page_path(origin)) for origin in origins}


def _as_text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
