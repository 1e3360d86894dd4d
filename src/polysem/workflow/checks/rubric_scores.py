"""Checks of the scores that people gave on rubric sheets, before any job starts."""

from pathlib import Path

from polysem.io.columns import read_columns
from polysem.layout.json_sections import ENDING
from polysem.layout.place import ANY_MODEL
from polysem.layout.rubric import read_scores, require_known_items
from polysem.params.explain import nearest
from polysem.params.study import Study
from polysem.workflow.artifacts import text_models


def check(study: Study) -> None:
    """InputError for a file of scores that cannot be read, and for scores on the sheet that is there now of an item
    that it does not have: another training may have other items, on a sheet of another name."""
    for place in text_models(study):
        scores, table = read_scores(place), Path(place.table("rubric"))
        if scores and table.is_file():
            sheet = read_columns(table)
            items = map(str, sheet["item"]) if "item" in sheet else ()
            require_known_items(scores, sheet.attributes.get("sheet", ""), items, place.model)


def unread_scores(study: Study) -> list[str]:
    """Sentences about files of scores that nobody reads, as far as they seem to be meant for this study."""
    read = {place.rubric: place.model for place in text_models(study)}
    said = []
    for folder in sorted(path for path in Path().glob(ANY_MODEL.rubric) if path.is_dir()):
        name = folder.as_posix()
        if name not in read:
            hint = nearest(folder.parent.name, list(read.values()))
            if hint or folder.parent.name in study.models:
                said.append(f"{name} is of no language model of the params file, so nobody reads it{hint}")
        elif not study.analysis.rubric_features and any(folder.iterdir()):
            said.append(f"analysis.rubric_features is 0, so nobody reads the scores in {name}")
        else:
            said += [
                f"{path.as_posix()} has no scores, as files with these end in {ENDING}, so nobody reads it"
                for path in sorted(folder.glob("[!.]*"))
                if path.suffix != ENDING
            ]
    return said
