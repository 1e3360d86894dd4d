"""docs/gallery.md: every figure of the catalogue, from what the modules of figures declare."""

from collections.abc import Iterator
from pathlib import Path

from polysem.params.base import NEURONS
from polysem.report.catalogue import ids_in
from polysem.workflow.figures import KNOWN, OF_DICTIONARY, OF_MODEL, OF_SITE, OF_TOY, OTHER, SITE, Figure, figures_of

PAGE = Path("docs/gallery.md")
PICTURES = Path("docs/figures")
HEAD = """\
# Gallery

Every figure that polysem draws, with the caption that the report has for it, which says how to read it. Generated from
the modules of `src/polysem/figures` by `python -m polysem.workflow.reference`; do not edit. Ids such as S0.F1 are
those of the documents: S0 *How polysemantic can one neuron be?*, S1 *Towards Monosemanticity* in a reading club, S2 an
SAE replication on gelu-1l, S3 *Tackling polysemanticity with neuron embeddings*, S4 the directions of GPT-2 small.

After a run the figures lie below `results/figures`, and stand in `results/report/index.html` with these captions. In
Python, `sae.draw("decoder_power")` draws one ([python.md](python.md)). A figure that makes no sense for a dictionary is
not drawn, and the report says why.
"""
GROUPS = {
    OF_DICTIONARY: ("Of a dictionary", "One for every SAE and for the neurons of every site."),
    OF_SITE: ("Of a site", "All dictionaries of a site together."),
    OF_MODEL: ("Of a model", "All sites of a model together."),
    OF_TOY: ("Of known features", "All SAEs that were trained on activations made of known features (`toys:`)."),
}
PLACES = {
    OF_DICTIONARY: "figures/{{model}}/{{site}}/{{dictionary}}/{}.svg",
    OF_SITE: "figures/{{model}}/{{site}}/together/{}.svg",
    OF_MODEL: "figures/{{model}}/together/{}.svg",
    OF_TOY: "figures/{{toy}}/known/together/{}.svg",
}
"""Where they lie below the results."""


def own_figures(package: str) -> list[Figure]:
    """Those of a folder that are of this repository; others are documented where they come from."""
    return [one for one in figures_of(package) if one.module.startswith(f"{package}.")]


def page(pictures: Path = PICTURES) -> str:
    """The whole page as Markdown. Where a picture of a figure is in the folder, it stands there."""
    lines = [HEAD]
    for package, (title, about) in GROUPS.items():
        lines += [f"## {title}", "", about, "", "| id | figure |", "|---|---|"]
        lines += [f"| {_ids(one)} | [{one.title}](#{one.name}) |" for one in own_figures(package)]
        for one in own_figures(package):
            lines += ["", *_figure(one, PLACES[package], pictures)]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _figure(figure: Figure, place: str, pictures: Path) -> Iterator[str]:
    yield from (f'<a id="{figure.name}"></a>', "", f"### {figure.title}", "")
    yield from (f"*{_ids(figure)}, `{place.format(figure.name)}`*", "")
    if (pictures / f"{figure.name}.svg").exists():
        yield from (f"![{figure.title}](figures/{figure.name}.svg)", "")
    yield from (figure.caption.strip().replace("``", "`"), "")
    yield f"Reads {', '.join(_read(one) for one in figure.reads)}."
    if figure.params:
        keys = ", ".join(f"[`{key}`](params.md#analysis-thresholds-of-tables-and-figures)" for key in figure.params)
        yield f"Keys of `analysis:`: {keys}."


def _read(read: str) -> str:
    """A table that a figure reads, with its place on the page of tables."""
    if read in OTHER:
        return {"training": "the history of the training", "recipes": "the recipes", "labels": "labels"}[read]
    if read == KNOWN:
        return "the table of known features"
    table = read.removeprefix(SITE).removeprefix(f"{NEURONS}/")
    of_neurons = " of the neurons" if read.startswith(f"{NEURONS}/") else ""
    return f"[`{table}`](tables.md#{table}){of_neurons}"


def _ids(figure: Figure) -> str:
    return ", ".join(ids_in(figure.catalogue))
