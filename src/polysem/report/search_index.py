"""The index behind the search box: everything that has a page, by what people call it."""

from urllib.parse import quote

from polysem.layout.place import Place
from polysem.report.chapters import Chapter
from polysem.report.features import Feature
from polysem.report.site import script_json

KINDS = ("catalogue", "dictionary", "feature")
STAR = "★"
SHOWN_OF_COMMENT = 200
"""Characters of a comment that the box searches and shows."""


def search_index(chapters: list[Chapter], features: dict[Place, list[Feature]]) -> str:
    """The index as a script: pages from disk may load scripts and no data.

    A row is kind, name, further words, folder and file; kinds and folders stand in lists of their own, as most rows
    share them. Addresses are from the root of the site.
    """
    folders: dict[str, int] = {}
    rows: list[tuple[int, str, str, int, str]] = []

    def add(kind: str, name: str, words: str, folder: str, file: str) -> None:
        rows.append((KINDS.index(kind), name, words, folders.setdefault(folder, len(folders)), file))

    for chapter in chapters:
        for article in chapter.articles:
            entry = article.entry
            add("catalogue", entry.id, entry.title, f"pages/{chapter.document}.html#", entry.id)
    for origin, found in features.items():
        add("dictionary", origin.path, "", "pages/models/", f"{quote(origin.path)}.html")
        for feature in found:
            said = feature.said
            comments = [comment.text[:SHOWN_OF_COMMENT] for _, comment in said.comments]
            words = " ".join([*feature.tokens, *comments, origin.path, str(feature.number)])
            name = f"{STAR} " * bool(said.starred_by) + (said.label or f"{origin.dictionary} / {feature.number}")
            sheet = (f"sheets/{quote(origin.path)}/", quote(feature.page))
            page = ("pages/models/", f"{quote(origin.path)}.html")
            add("feature", name, words, *(sheet if feature.page else page))
    index = {"kinds": KINDS, "folders": list(folders), "rows": rows}
    return f"window.polysemIndex = {script_json(index)};\n"
