"""A run as the report reads it: two dictionaries of one site, in a folder."""

import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from polysem.layout.annotations import read_annotations
from polysem.layout.place import Place
from polysem.params.base import TOGETHER
from polysem.report.write_report import write_report
from polysem.workflow.figures import all_figures

INTRODUCTION = Path(__file__).parents[2] / "workflow" / "report" / "workflow.rst"
FIGURES = {figure.name: figure for figure in all_figures()}
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 518.4 316.8"><title>{}</title></svg>'
SITE = "blocks.0.mlp.hook_post"
SAE = "l1-x8_l1=3e-4_seed=0"
HEADER = "feature,label,author,note\n"
NO_CLUSTER = "no ultra-low feature; train longer"


class Page(HTMLParser):
    """Elements with their attributes, and all text but that of scripts."""

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.elements, self.text, self._tag = path, [], "", ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self._tag = tag
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += "" if self._tag == "script" else data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def ids(self):
        return {attributes["id"] for _, attributes in self.elements if "id" in attributes}

    def words(self):
        return " ".join(self.text.split())


class RunFolder:
    """What is asked of the report can be changed before it is written."""

    def __init__(self, folder: Path, model: str = "toy", dictionary: str = SAE):
        self.folder, self.output, self.model, self.dictionary = folder, folder / "report", model, dictionary
        self.tables = ["frequency", "alignment"]
        self.folders: list[str] = []
        self.captions = {name: figure.caption for name, figure in FIGURES.items()}
        self.sheets: list[Place] = []
        self.case_studies: list[Place] = []
        self.rubrics: list[Place] = []
        self.before: list[Path] = []
        self.makings = {}
        for name in ("together", "neurons", dictionary):
            figures = ["loss_recovered"] if name == "together" else ["ultra_low_frequency", "decoder_power"]
            self.add_dictionary(f"{model}/{SITE}/{name}", figures)
        site = {name: {"L0": 31.256789, "tail_law": None, "features": 4096} for name in ("neurons", dictionary)}
        losses = {"perplexity": 8.9, "unigram_cross_entropy": 5.5, "bigram_cross_entropy": 3.5, "cross_entropy": 2.25}
        self.metrics = {model: {SITE: site, "model": losses}}
        self.claims = [self.claim()]
        self.receipt = {
            "sha256": "0123456789abcdef" * 4,
            "code": "fedcba9876543210",
            "versions": {"numpy": "2.4.6"},
            "device": "cpu",
        }
        recipe = {"architecture": "relu", "tied": True}
        self.params = {"models": {model: {"source": "trained"}}, "saes": {dictionary: recipe}}

    def claim(self, **changes):
        where = {"model": "gelu-1l", "site": SITE, "dictionary": "published", "metric": "dense_share"}
        claim = {"id": "S2.F1", "statement": "Most features are dense", "document": "S2", "published": 0.921}
        return (
            claim
            | {"tolerance": 0.02, "unit": "1", "where": where, "value": None, "verdict": "not run", "note": ""}
            | changes
        )

    def add_dictionary(self, key: str, figures: list[str]):
        self.folders.append(key)
        for name in figures:
            self.add_figure(key, name)
        if not key.endswith("/together"):
            self.sheets.append(place_of(key))
            self.write_json(f"report/sheets/{key}.json", {"format": 1, "dictionary": key, "sheets": []})
            self.write_file(f"report/sheets/{key}/index.html", "sheets")
            for table in self.tables:
                self.write_file(f"tables/{key}/{table}.nc", "table")

    def add_figure(self, key: str, name: str, reason: str = ""):
        text = SVG.format(f"{len(key)} {name}")
        if not reason:
            self.write_file(f"figures/{key}/{name}.svg", text)
        path = self.folder / f"figures/{key}.json"
        receipt = json.loads(path.read_text()) if path.exists() else {"artifacts": {}}
        drawn = {"file": f"{name}.svg", "sha256": hashlib.sha256(text.encode()).hexdigest()}
        figure = FIGURES[name]
        said = {
            "made_of": "",
            "catalogue": figure.catalogue,
            "title": figure.title,
            "reads": figure.reads,
            "params": {},
        }
        receipt["artifacts"][name] = said | ({"not_applicable": reason} if reason else drawn)
        self.write_json(f"figures/{key}.json", receipt)

    def add_sheet(self, feature: int, tokens: list[str]):
        key = f"{self.model}/{SITE}/{self.dictionary}"
        path = self.folder / f"report/sheets/{key}.json"
        receipt = json.loads(path.read_text())
        receipt["sheets"].append({"feature": feature, "page": f"{feature}.html", "tokens": tokens})
        self.write_json(f"report/sheets/{key}.json", receipt)
        self.write_file(f"report/sheets/{key}/{feature}.html", "a sheet")

    def add_label(self, feature: int, label: str, author: str = "ann"):
        """One more row of the CSV file of the dictionary."""
        relative = place_of(f"{self.model}/{SITE}/{self.dictionary}").labels
        before = (self.folder / relative).read_text() if (self.folder / relative).exists() else HEADER
        self.write_file(relative, f"{before}{feature},{label},{author},\n")

    def write_file(self, relative: str, text: str):
        path = self.folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def write_json(self, relative: str, value):
        self.write_file(relative, json.dumps(value))

    def making(self, **changes):
        job = {
            "rule": "draw_figures",
            "module": "polysem.figures.draw_figures",
            "code": "abc",
            "inputs": ["frequency.nc"],
            "command": "0123",
        }
        return (
            job
            | {"params": {"rare_frequency": 0.001}, "target": "results/figures/some.json"}
            | {"keeps": True}
            | changes
        )

    def write_provenance(self):
        """One job behind all figures, but for those of `makings`."""
        behind = {place_of(folder).path: ["draw"] for folder in self.folders}
        for path, jobs in self.makings.items():
            behind[path] = [f"{path} {number}" for number in range(len(jobs))]
        others = {f"{path} {number}": job for path, jobs in self.makings.items() for number, job in enumerate(jobs)}
        self.write_json("report/provenance.json", {"jobs": {"draw": self.making()} | others, "behind": behind})

    def write(self):
        self.write_json("metrics.json", self.metrics)
        self.write_json("claims.json", self.claims)
        self.write_json("eval.json", self.receipt)
        self.write_provenance()
        self.call()
        return self

    def call(self):
        write_report(
            results=self.folder,
            metrics=self.folder / "metrics.json",
            claims=self.folder / "claims.json",
            provenance=self.folder / "report/provenance.json",
            receipts=[self.folder / "eval.json"],
            introduction=INTRODUCTION.read_text(encoding="utf-8"),
            output=self.output,
            params=self.params,
            captions=self.captions,
            places=[place_of(folder) for folder in self.folders],
            sheets=self.sheets,
            case_studies=self.case_studies,
            tables=self.tables,
            site_tables=[],
            annotations={place.path: read_annotations(place, self.folder) for place in self.sheets},
            rubrics=self.rubrics,
            before=self.before,
        )

    def page(self, relative: str = "index.html") -> Page:
        return Page(self.output / relative)

    def of_dictionary(self) -> Page:
        return self.page(f"pages/models/{self.model}/{SITE}/{self.dictionary}.html")

    def pages(self) -> list[Page]:
        return [Page(path) for path in sorted(self.output.rglob("*.html")) if "sheets" not in path.parts]

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.output)): path.read_bytes() for path in self.output.rglob("*") if path.is_file()
        }


def place_of(folder: str) -> Place:
    """Whose figures a folder holds."""
    return Place(*(name for name in folder.split("/") if name != TOGETHER))


def target(page: Page, address: str) -> tuple[Path, str]:
    """The file and the fragment that an address leads to."""
    relative, _, fragment = address.partition("#")
    return (page.path.parent / unquote(relative)).resolve() if relative else page.path.resolve(), unquote(fragment)
