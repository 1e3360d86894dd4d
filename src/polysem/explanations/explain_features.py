"""The step that asks all explainers what features of a model are active on."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from polysem.explanations.explainers import logit_weights, ngram, pattern, tag, token, unigram
from polysem.explanations.language.explaining import Said, ask_all
from polysem.explanations.shown import Explanation, Shown
from polysem.io.atomic import write_text
from polysem.io.tables import read_arrays
from polysem.layout.place import RESULTS, Place
from polysem.tables.parts.words import words
from polysem.tables.passes.explanations.examples import SHOWN, Examples

EXECUTABLE: Mapping[str, Callable[[Shown], Explanation | None]] = MappingProxyType(
    {
        "tag": tag.explain,
        "pattern": pattern.explain,
        "token": token.explain,
        "n-gram": ngram.explain,
        "logit weights": logit_weights.explain,
        "unigram": unigram.explain,
    }
)
"""Explainers that need no model, by name; the last one is a baseline."""
EXAMPLES = "explained_examples"


def explain_features(model: str, explainers: dict[str, dict[str, Any]] | None = None, root: str = RESULTS) -> None:
    """Write the file `Place.explanations`: of every explained feature with examples enough what each explainer says.

    Only shown examples are looked at, those of half A; half B tests what is said (table `explanations`).

    Args:
        model: A language model.
        explainers: Language models that are asked, too, by name, with their params (`polysem.params.explainers`). One
            that does not answer stops nothing: what it said is there, and the file says why there is no more.
        root: The folder of all artifacts.

    Raises InputError for tables and stores that are missing or cannot be read.
    """
    place = Place(model, root=root)
    examples = Examples.read(Path(place.table(EXAMPLES)), Path(place.tokens("eval").store), Path(place.tokenizer))
    found = {} if examples is None else dict(_explained(examples, place))
    asked: dict[str, Said] = {}
    if examples is not None:
        for name, params in (explainers or {}).items():
            asked[name] = ask_all(name, params, examples, Path(place.answers))
    for name, said in asked.items():
        print(f"{name}: {said.calls:,} calls, {said.tokens:,} tokens, {said.kept:,} kept answers. {said.note}")
        for number, of in said.by_feature.items():
            found[number]["by"][name] = of
    executable = [name for name in EXECUTABLE if any(name in one["by"] for one in found.values())]
    notes = {name: said.note for name, said in asked.items() if said.note}
    lines = [{"explainers": [*executable, *asked], "notes": notes}, *found.values()]
    write_text(Path(place.explanations), "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in lines))


def _explained(examples: Examples, place: Place) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbers of explained features, and what the explainers without a model say of each."""
    called = words(Path(place.tokenizer))
    boosted: dict[tuple[str, str, str], Int[NDArray, "feature rank"] | None] = {}
    for number in range(len(examples)):
        if not examples.is_enough(number):
            continue
        key, feature = examples.place(number), int(examples.values["feature"][number])
        if key not in boosted:
            boosted[key] = _boosted(place.at(*key[1:])) if key[0] == place.model else None
        promoted = boosted[key]
        windows = examples.windows(number, SHOWN)
        shown = Shown(
            examples.texts,
            windows.token,
            windows.activation,
            called,
            None if promoted is None else promoted[feature],
        )
        said = {name: one for name, explain in EXECUTABLE.items() if (one := explain(shown)) is not None}
        by = {name: one.values() for name, one in said.items()}
        yield number, dict(zip(("model", "site", "dictionary"), key, strict=True)) | {"feature": feature, "by": by}


def _boosted(dictionary: Place) -> Int[NDArray, "feature rank"] | None:
    """The tokens whose logits each feature raises most; None where no weights lead to the logits."""
    found = read_arrays(Path(dictionary.table("logits")), "boosted_token".__eq__)
    return np.asarray(found["boosted_token"], np.int64) if found else None
