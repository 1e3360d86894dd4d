"""What hangs on an entry of the params file, the entry says itself."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import pytest

from polysem.params.base import CorpusSection, ModelEntry
from polysem.params.recipes.base import Recipe
from polysem.params.study import KINDS, kinds, load_study, section_class
from polysem.workflow.checks.preflight import outside_paths

PRESETS = sorted((Path(__file__).parents[2] / "presets").glob("*.yaml"))


class Radio(CorpusSection):
    """A source that somebody adds, who thinks of its path alone."""

    source: Literal["radio"]
    path: str


class HalfRadio(Radio):
    def modules(self):
        return []

    def needs(self):
        return None


class WholeRadio(HalfRadio):
    def outside_files(self):
        return [self.path]


@pytest.mark.parametrize("kind", [Radio, HalfRadio])
def test_no_entry_is_made_of_a_kind_that_does_not_say_what_hangs_on_it(kind):
    with pytest.raises(TypeError, match=f"abstract class {kind.__name__} with abstract method.*outside_files"):
        kind.model_validate({"source": "radio", "path": "waves.wav"})
    assert outside_paths(WholeRadio(source="radio", path="waves.wav")) == ["waves.wav"]


@pytest.mark.parametrize("base", [CorpusSection, ModelEntry, Recipe])
def test_every_kind_says_it(base):
    key = next(key for key in KINDS if base in KINDS[key])
    assert kinds(key)
    for kind in kinds(key):
        assert not section_class(key, kind).__abstractmethods__, kind


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_the_modules_that_entries_of_a_preset_name_are_there(preset):
    study = load_study(preset)
    entries = [*study.corpora.values(), *study.models.values(), *(sae.recipe for sae in study.saes.values())]
    named = {module for entry in entries for module in entry.modules()}
    assert named and all(find_spec(module) for module in named)
