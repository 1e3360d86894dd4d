"""A module of a table or a figure that declares what cannot be is one sentence, before anything runs."""

from importlib.metadata import EntryPoint

import pytest
from refusals import refusal_of

from polysem.params import addons
from polysem.tables.contract import ROOMS
from polysem.workflow import contracts, figures
from polysem.workflow.running import code

TABLE = """\
CATALOGUE = "S2.F11"
READS = ("store",)
PARAMS = ("rare_frequency",)
VARIABLES = {"length": ("", "1", "a length")}


def measure(inputs):
    pass
"""
FIGURE = """\
CATALOGUE = "S2.F11"
READS = ("frequency",)
PARAMS = ()
TITLE = "A title"
CAPTION = "A caption."


def draw(frequency, analysis):
    pass
"""
CACHES = (
    addons.modules_of, addons.addon_packages, contracts.contracts, figures.figures_of, code._addon_folders,
)  # fmt: skip
DICTIONARY, SITE, MODEL = ROOMS.values()


@pytest.fixture
def add(tmp_path, monkeypatch, request):
    """Adds modules as other packages do, by group, name and text."""
    entries = []
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(addons, "_entries", lambda: tuple(entries))

    def forget():
        for known in CACHES:
            known.cache_clear()

    def added(group: str, name: str, text: str) -> str:
        package = f"theirs_{tmp_path.name.rpartition('-')[2]}_{abs(hash(tmp_path))}"
        (tmp_path / package).mkdir(exist_ok=True)
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / f"{name}.py").write_text(text)
        entries.append(EntryPoint(name, f"{package}.{name}", group))
        forget()
        return f"{package}.{name}"

    request.addfinalizer(forget)
    return added


def refusal(check=contracts.all_contracts) -> str:
    return refusal_of(check)


@pytest.mark.parametrize(
    ("group", "read"),
    [
        (DICTIONARY, "history"),
        (DICTIONARY, "survey"),
        (DICTIONARY, "table:frequency"),
        (SITE, "table:fidelity"),
        (SITE, "others:store"),
        (SITE, "saes:table:frequency"),
        (SITE, "targets:table:fidelity"),
        (SITE, "recipes"),
        (MODEL, "relatives:table:clusters"),
        (MODEL, "sites"),
    ],
)
def test_what_a_room_can_read_is_let_through(add, group, read):
    add(group, "lengths", TABLE.replace('"store"', f'"{read}"'))
    contracts.all_contracts()


@pytest.mark.parametrize(
    ("group", "read", "words"),
    [
        (
            DICTIONARY,
            "weigths",
            "a table of a dictionary cannot read 'weigths' (did you mean 'weights'?); it can read w",
        ),
        (DICTIONARY, "table:frequenzy", "cannot read 'table:frequenzy' (did you mean 'table:frequency'?)"),
        (DICTIONARY, "table:fidelity", "fidelity is a table of a site, and a table of a dictionary cannot read it; it"),
        (DICTIONARY, "table:lengths", "the table lengths reads itself; it can read"),
        (DICTIONARY, "saes:weights", "a table of a dictionary cannot read 'saes:weights'"),
        (DICTIONARY, "recipes", "a table of a dictionary cannot read 'recipes'"),
        (SITE, "dictionries:weights", "cannot read 'dictionries:weights' (did you mean 'dictionaries:weights'?)"),
        (SITE, "saes:table:fidelity", "and a table of a site cannot read it as 'saes:table:fidelity'; it can read"),
        (
            SITE,
            "weights",
            "with dictionaries:, saes:, others:, targets:, relatives:, reseeded: in front, a source or a table of e",
        ),
        (SITE, "saes:history", "a table of a site cannot read 'saes:history'"),
        (SITE, "targets:weights", "a table of a site cannot read 'targets:weights'"),
        (MODEL, "store", "a table of a model cannot read 'store'"),
        (MODEL, "saes:weights", "a table of a model cannot read 'saes:weights'"),
        (MODEL, "pairs", "a table of a model cannot read 'pairs'"),
    ],
)
def test_a_table_that_reads_what_its_room_cannot_is_a_sentence(add, group, read, words):
    module = add(group, "lengths", TABLE.replace('"store"', f'"{read}"'))
    said = refusal()
    assert said.startswith(f"READS of {module}: ") and words in said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            '("store",)',
            '("store")',
            "declares no READS that is a literal tuple, but 'store'; a table declares CATALOGUE",
        ),
        ('("store",)', "(1,)", "READS of {module} holds 1, which is no text"),
        (
            '("rare_frequency",)',
            '("rare_frequency")',
            "declares no PARAMS that is a literal tuple, but 'rare_frequency'",
        ),
        ("rare_frequency", "rare_frequencies", "PARAMS of {module}: analysis has no 'rare_frequencies' (did you mean"),
        ("CATALOGUE = ", "IDS = ", "{module} declares no CATALOGUE that is a literal text; a table declares"),
        ("S2.F11", "S9.F9", "CATALOGUE of {module}: there is no id 'S9.F9'"),
        ('"S2.F11"', '""', "CATALOGUE of {module}: there is no id ''"),
        ("VARIABLES = {", "VARIABLES = dict() | {", "declares no VARIABLES that is a literal mapping"),
        (', "a length")', ")", "VARIABLES of {module}: 'length' is declared as ('', '1'); a variable is declared as"),
        (
            '("", "1", "a length")',
            '(("feature",), "1", "a length")',
            "'length' is declared as (('feature',), '1', 'a le",
        ),
        ("measure", "measures", "{module} has no function measure; a table declares"),
        ("CATALOGUE", 'ONLY = {"never": ("none",)}\nCATALOGUE', "{module}: the table lengths names none in ONLY, and"),
        ("CATALOGUE", 'ONLY = {"never": "length"}\nCATALOGUE', "ONLY of {module}: 'never' has 'length'; names of va"),
        ("CATALOGUE", 'FILES = ("a.json",)\nCATALOGUE', "{module} has no function write_files; it declares FILES"),
        ("):\n", ")\n", "lengths.py, line 7: this is no Python (expected ':'); mend it"),
    ],
)
def test_a_table_that_declares_something_else_is_a_sentence(add, old, new, words):
    assert old in TABLE
    module = add(DICTIONARY, "lengths", TABLE.replace(old, new))
    assert words.format(module=module) in refusal()


def test_tables_that_read_each_other_in_a_circle_are_a_sentence(add):
    add(DICTIONARY, "lengths", TABLE.replace('"store"', '"table:widths"'))
    add(DICTIONARY, "widths", TABLE.replace('"store"', '"table:lengths"').replace('"length"', '"width"'))
    assert "tables of a dictionary: lengths, widths read each other in a circle" in refusal()


@pytest.mark.parametrize(("room", "group"), ROOMS.items())
def test_two_tables_of_a_room_with_one_scalar_are_a_sentence(add, room, group):
    text = TABLE if room != "model" else TABLE.replace('"store"', '"tokens"')
    modules = [add(group, name, text) for name in ("lengths", "widths")]
    said = refusal()
    assert f"the tables lengths ({modules[0]}) and widths ({modules[1]}) both declare a variable 'length'" in said


def test_two_tables_may_share_what_has_dimensions_and_rooms_may_share_scalars(add):
    for name in ("lengths", "widths"):
        add(DICTIONARY, name, TABLE.replace('("", ', '("feature", '))
    add(SITE, "heights", TABLE)
    add(MODEL, "depths", TABLE.replace('"store"', '"tokens"'))
    contracts.all_contracts()


def test_a_table_of_a_site_and_one_of_a_model_cannot_have_one_name(add):
    for group in (SITE, MODEL):
        add(group, "lengths", TABLE.replace('"store"', '"tokens"'))
    assert "two tables are called 'lengths', a site's and a model's: " in refusal()


@pytest.mark.parametrize(
    ("group", "read", "words"),
    [
        (figures.OF_DICTIONARY, "frequenzy", "cannot read 'frequenzy' (did you mean 'frequency'?); it can read al"),
        (figures.OF_DICTIONARY, "neurons/frequenzy", "(did you mean 'neurons/frequency'?)"),
        (figures.OF_DICTIONARY, "site/fidelity", "cannot read 'site/fidelity'"),
        (figures.OF_SITE, "site/fidelty", "cannot read 'site/fidelty' (did you mean 'site/fidelity'?)"),
        (figures.OF_SITE, "training", "cannot read 'training'"),
        (figures.OF_TOY, "frequency", "cannot read 'frequency'; it can read known"),
    ],
)
def test_a_figure_that_reads_what_is_not_there_is_a_sentence(add, group, read, words):
    module = add(group, "one", FIGURE.replace('"frequency"', f'"{read}"'))
    said = refusal(figures.all_figures)
    assert said.startswith(f"READS of {module}: a figure there ") and words in said


@pytest.mark.parametrize(
    ("group", "read"),
    [
        (figures.OF_DICTIONARY, "neurons/frequency"),
        (figures.OF_DICTIONARY, "labels"),
        (figures.OF_SITE, "site/fidelity"),
        (figures.OF_SITE, "recipes"),
        (figures.OF_SITE, "frequency"),
        (figures.OF_TOY, "known"),
    ],
)
def test_what_a_figure_can_read_is_let_through(add, group, read):
    add(group, "one", FIGURE.replace('"frequency"', f'"{read}"'))
    assert "one" in {one.name for one in figures.all_figures()}


def test_a_figure_that_draws_nothing_is_a_sentence(add):
    module = add(figures.OF_DICTIONARY, "one", FIGURE.replace("def draw", "def drawn"))
    assert f"{module} has no function draw; a figure declares" in refusal(figures.all_figures)
