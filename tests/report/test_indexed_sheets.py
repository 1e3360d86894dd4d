"""S0.F4: the sheet of a feature is the same whether it is made from the tables or from the index of features."""

from pathlib import Path

import pytest
from finished_run import finished, shared

import polysem
from polysem.index.feature_index import FeatureIndex
from polysem.index.stored_rows import write_rows
from polysem.io.errors import InputError
from polysem.layout.annotations import FeatureAnnotations
from polysem.layout.place import Place
from polysem.params.base import NEURONS
from polysem.report.sheet_content import SheetContents
from polysem.report.sheet_page import sheet_page, shown_with
from polysem.report.sheet_tables import NAMES, indexed_rows, read_rows
from polysem.report.write_sheets import contexts_of

from .sheet_case import MODEL, SAE, SITE, SheetCase, make_tokenizer

__all__ = ["finished", "shared"]


@pytest.fixture
def case(tmp_path):
    return SheetCase(tmp_path)


def indexed(case, dictionary: str, *names: str) -> FeatureIndex:
    folder = case.folder / "index" / dictionary
    folder.mkdir(parents=True)
    write_rows(folder, case.folder / "tables" / MODEL / SITE / dictionary, dict.fromkeys(names or NAMES, ""))
    return FeatureIndex(folder)


@pytest.mark.parametrize("dictionary", [SAE, "neurons"])
def test_the_page_is_the_same_from_the_index(case, dictionary):
    tables = case.write_tables(dictionary)
    indexes = {dictionary: indexed(case, dictionary)}
    saes = [SAE] if dictionary == "neurons" else []
    if saes:
        indexes[SAE] = indexed(case, SAE, "alignment")

    def page(feature, **more):
        tokenizer = case.folder / "models" / MODEL / "tokenizer.json"
        place, choice = Place(MODEL, SITE, dictionary), case.choice(dictionary)
        return sheet_page(place, tables, feature, FeatureAnnotations(), choice, saes, tokenizer, **more)

    pages = [page(feature) for feature in range(indexes[dictionary].features)]
    assert [page(feature, indexes=indexes) for feature in range(len(pages))] == pages
    assert len(set(pages)) == len(pages)
    if saes:
        assert "Features that point here" in pages[4]
        assert page(4, indexes={"neurons": indexes["neurons"]}) == pages[4]
    for file in tables.iterdir():
        file.unlink()
    assert [page(feature, indexes=indexes) for feature in range(len(pages))] == pages


def test_an_index_without_a_table_of_the_sheet_is_named(case):
    case.write_tables()
    index = indexed(case, SAE, "frequency", "alignment")
    with pytest.raises(InputError, match=r"has no table 'examples'.*snakemake --cores all"):
        indexed_rows(index, 3)


def test_tokens_are_read_again_when_the_tokenizer_is_another_one(case):
    file = case.folder / "models" / MODEL / "tokenizer.json"
    first = shown_with(file, None)
    assert shown_with(file, None) is first
    make_tokenizer(file).add_tokens(["new"])
    assert shown_with(file, None) is not first
    file.unlink()
    with pytest.raises(InputError, match=r"no tokenizer\.json"):
        shown_with(file, None)


@pytest.mark.workflow
def test_every_sheet_of_a_study_is_the_same_from_its_index(finished):
    assert sum(map(every_sheet_is_the_same, dictionaries(finished))) > 500


def dictionaries(repository):
    """Those of all sites of a finished run."""
    study = polysem.open(repository / "results")
    return [each for model in study.values() for site in model.values() for each in site.values()]


def every_sheet_is_the_same(dictionary) -> int:
    place, model = dictionary.place, dictionary.site.model
    index, tables = FeatureIndex(Path(place.feature_index)), Path(place.tables)
    assert index.is_of(Path(place.tables_receipt)) and index.features == len(dictionary)
    text = model.is_language_model
    contexts = contexts_of(
        Path(model.place.tokenizer) if text else None, None if text else Path(model.place.tokens("eval").store)
    )
    choice, is_neuron = dictionary._recorded.sheet_choice(*place.names), dictionary.name == NEURONS
    features = list(range(len(dictionary)))
    of_tables = SheetContents(read_rows(tables, features), contexts, choice, is_neuron)
    for feature in features:
        of_index = SheetContents(indexed_rows(index, feature), contexts, choice, is_neuron)
        assert of_index.of(0) == of_tables.of(feature), f"{place.path} {feature}"
    return len(features)


@pytest.mark.workflow
def test_a_study_makes_sheets_from_its_index_and_without_one_the_same_from_its_tables(finished):
    for dictionary in dictionaries(finished):
        feature = next(n for n in range(len(dictionary)) if not Path(dictionary.place.sheet(n)).exists())
        page = dictionary.sheet(feature)
        assert dictionary._indexed.now is not None
        dictionary._indexed._known = (dictionary._indexed._known[0], None)
        assert dictionary.sheet(feature) == page
