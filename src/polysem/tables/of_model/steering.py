"""S1.F5: what a model writes with a feature set to its maximum, beside what else may lead it there.

One table for all sites of a model, because the model is loaded once. Over `steered`, the features that were chosen;
`way`, the feature itself and what is held against it; `dose`, multiples of the largest activation; and `text`, a
prompt with a sample. Texts stand in the table as they were written, and are scored without a judge.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray

from polysem.activations.left_out import recorded_left_out
from polysem.activations.rows import ActivationRows
from polysem.corpora.recognisers import Recogniser, recognisers
from polysem.io.errors import InputError
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.record import read_record
from polysem.models.subject import Subject
from polysem.models.tokenizer import load_tokenizer
from polysem.models.vocabulary import Vocabulary
from polysem.params.base import NEURONS
from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import labelled, variable
from polysem.tables.parts.recognised import TRUSTED, agreement
from polysem.tables.parts.spelled import spelled
from polysem.tables.parts.token_tags import TokenTags
from polysem.tables.passes.case_studies.chosen import chosen_cases
from polysem.tables.passes.steering.choice import Candidates, Chosen, candidates, chosen_features
from polysem.tables.passes.steering.numbers import (
    at_the_maximum,
    means_by_site,
    means_over_texts,
    spearman,
)
from polysem.tables.passes.steering.prompts import LONGEST, EvalTexts, Ids, eval_texts
from polysem.tables.passes.steering.ways import (
    EDITED,
    MEASURED,
    NO_TAG,
    NO_TEXT,
    WAYS,
    Pushed,
    difference_of_means,
    ways_of,
)
from polysem.tables.passes.steering.written import Row, Written, score, write

CATALOGUE = "S1.F5"
READS = (
    "model",
    "tokens",
    "tokenizer",
    "proxies",
    "case_studies",
    "relatives:weights",
    "relatives:store",
    "relatives:table:frequency",
    "relatives:table:logits",
    "relatives:table:tags",
)
PARAMS = (
    "steered_features",
    "steering_doses",
    "steering_prompts",
    "steering_samples",
    "steering_tokens",
    "steering_temperature",
    "baseline_seed",
)
VARIABLES = {
    "site": ("steered", "1", "site of the dictionary"),
    "dictionary": ("steered", "1", "dictionary"),
    "feature": ("steered", "1", "feature"),
    "tag": ("steered", "1", "tag that the feature is about; '' for none that is recognised"),
    "chosen_by": ("steered", "1", "what the feature was chosen by"),
    "maximum": ("steered", "activation", "largest activation on the eval tokens"),
    "promoted_text": ("steered rank", "1", "tokens that its logit weights raise most; '' for none"),
    "output_score": ("steered", "1", "output score less that of the model as it is"),
    "output_score_before": ("steered", "1", "output score of the model as it is"),
    "state": ("steered way", "1", "measured, or why not"),
    "norm": ("steered way", "activation", "norm of what is added at dose 1 where the feature is not active"),
    "prompt": ("text", "1", "what is continued; '' for nothing but BOS"),
    "sample": ("text", "1", "number among the continuations of one prompt"),
    "tag_prompt": ("steered text", "1", "what is continued by the way prompt; '' for none"),
    "continuation": ("steered way dose text", "1", "what was written; '' for nothing"),
    "marks": ("steered way dose text", "1", "for each character of it 1 where a span of the tag is, else 0"),
    "tag_share": ("steered way dose text", "1", "share of the written tokens with the tag, by its recogniser"),
    "promoted_share": ("steered way dose text", "1", "share of the written tokens that its logit weights raise most"),
    "loss": ("steered way dose text", "nat", "mean -log p of the written tokens under the model as it is"),
    "tag_share_of": ("steered way dose", "1", "mean over texts of the tag share"),
    "tag_share_of_low": ("steered way dose", "1", "lower end of its 95 % bootstrap interval over texts"),
    "tag_share_of_high": ("steered way dose", "1", "upper end of its 95 % bootstrap interval over texts"),
    "perplexity_of": ("steered way dose", "1", "perplexity under the model as it is, by the mean loss over texts"),
    "perplexity_of_low": ("steered way dose", "1", "lower end of its 95 % bootstrap interval over texts"),
    "perplexity_of_high": ("steered way dose", "1", "upper end of its 95 % bootstrap interval over texts"),
    "tag_gain": ("steered", "1", "tag share at dose 1 less that of the model as it is"),
    "promoted_gain": ("steered", "1", "promoted share at dose 1 less that of the model as it is"),
    "site_name": ("place", "1", "site"),
    "features_scored": ("place way", "feature", "features whose tag share is known"),
    "mean_tag_share": ("place way dose", "1", "mean over features of the tag share"),
    "mean_tag_share_low": ("place way dose", "1", "lower end of its 95 % bootstrap interval over features"),
    "mean_tag_share_high": ("place way dose", "1", "upper end of its 95 % bootstrap interval over features"),
    "mean_promoted_share": ("place way dose", "1", "mean over features of the promoted share"),
    "mean_promoted_share_low": ("place way dose", "1", "lower end of its 95 % bootstrap interval over features"),
    "mean_promoted_share_high": ("place way dose", "1", "upper end of its 95 % bootstrap interval over features"),
    "perplexity": ("place way dose", "1", "perplexity under the model as it is, by the mean loss over features"),
    "perplexity_low": ("place way dose", "1", "lower end of its 95 % bootstrap interval over features"),
    "perplexity_high": ("place way dose", "1", "upper end of its 95 % bootstrap interval over features"),
    "recognised_tag": ("recognised", "1", "tag that has a recogniser"),
    "recogniser_f1": ("recognised", "1", "F1 of the recogniser against the tags of the eval tokens"),
    "steering_tag_share_feature": ("", "1", "tag share with features at their maximum"),
    "steering_tag_share_random": ("", "1", "the same along a random direction"),
    "steering_tag_share_means": ("", "1", "the same along the difference of means"),
    "steering_tag_share_neuron": ("", "1", "the same with the best neuron at its maximum"),
    "steering_tag_share_prompt": ("", "1", "the same of a prompt with the tag"),
    "steering_tag_share_unsteered": ("", "1", "the same of the model as it is"),
    "steering_perplexity_feature": ("", "1", "perplexity of what is written with features at their maximum"),
    "steering_perplexity_random": ("", "1", "the same along a random direction"),
    "steering_perplexity_means": ("", "1", "the same along the difference of means"),
    "steering_perplexity_neuron": ("", "1", "the same with the best neuron at its maximum"),
    "steering_perplexity_prompt": ("", "1", "the same of a prompt with the tag"),
    "steering_perplexity_unsteered": ("", "1", "the same of the model as it is"),
    "output_score_tag_gain": ("", "1", "Spearman correlation over features of output score and tag gain"),
    "output_score_tag_gain_low": ("", "1", "lower end of its 95 % bootstrap interval over features"),
    "output_score_tag_gain_high": ("", "1", "upper end of its 95 % bootstrap interval over features"),
    "output_score_promoted_gain": ("", "1", "Spearman correlation over features of output score and promoted gain"),
    "output_score_promoted_gain_low": ("", "1", "lower end of its 95 % bootstrap interval over features"),
    "output_score_promoted_gain_high": ("", "1", "upper end of its 95 % bootstrap interval over features"),
    "way": ("way", "1", "what leads the model"),
    "dose": ("dose", "1", "multiple of the largest activation"),
}  # fmt: skip
ENDS = ("", "_low", "_high")
NOT_AS_MUCH = "the context of the model has no room for a continuation"


def measure(inputs: Inputs) -> xr.Dataset:
    """All chosen features of all sites, at every dose, and the baselines beside them.

    A feature is set to a multiple of its largest activation on the eval tokens at every position of prompt and
    continuation that is not left out (`interventions.edits`). All ways, doses and features draw with the same noise,
    by text. A tag counts
    if it has a recogniser (`corpora.recognisers`) that agrees with the known truth on the eval tokens with an F1 of
    `TRUSTED`; other features are scored by loss and promoted tokens alone.
    """
    store = TokenStore(inputs.path("tokens"))
    if not store.is_text:
        return xr.Dataset(attrs={"not_applicable": "a classifier writes no text"})
    if not inputs.params.steered_features:
        return xr.Dataset(attrs={"not_applicable": "analysis.steered_features is 0"})
    subject = load_subject(inputs.path("model"), inputs.device)
    settings = read_record(inputs.path("model")).settings
    tokenizer = load_tokenizer(inputs.path("tokenizer"))
    vocabulary, tags = Vocabulary(tokenizer), TokenTags(inputs.path("tokens"))
    known = recognisers(tags.names, inputs.value("proxies"))
    f1 = agreement(store, tags, vocabulary, known)
    trusted = {tag: one for tag, one in known.items() if f1[tag] >= TRUSTED}
    texts = eval_texts(store, tags, tokenizer, settings["bos_token"])
    prompts = [*([texts.front] if len(texts.front) else []), *texts.beginnings(inputs.params.steering_prompts)]
    if not prompts:
        return xr.Dataset(attrs={"not_applicable": "the model has no BOS token, and no eval document is long enough"})
    tokens = min(inputs.params.steering_tokens, settings["context_length"] - len(texts.front) - LONGEST)
    if tokens < 1:
        return xr.Dataset(attrs={"not_applicable": NOT_AS_MUCH})
    chosen, neurons, left_out = _chosen(inputs, subject, trusted, prompts)
    if not chosen:
        reason = "; ".join(left_out) or "no SAE of the model has a feature that is ever active"
        return xr.Dataset(attrs={"not_applicable": reason})
    means = _means(inputs, tags, chosen)
    plans = [
        _plan(one, neurons[one.of.site], means[one.of.dictionary.target or one.of.site], texts, prompts, inputs)
        for one in chosen
    ]
    run = _written(subject, plans, prompts, tokens, inputs)
    numbers = _numbers(plans, run, len(inputs.params.steering_doses), vocabulary, trusted)
    return _table(inputs, plans, run, numbers, f1, vocabulary).assign_attrs(
        written_tokens=tokens,
        temperature=inputs.params.steering_temperature,
        trusted_f1=TRUSTED,
        left_out="; ".join(left_out),
        not_scored=", ".join(tag for tag in tags.names if tag not in trusted),
    )


@dataclass(frozen=True)
class Plan:
    """What is asked of the model because of a feature."""

    chosen: Chosen
    ways: Mapping[str, Pushed | str]
    """Of each way that edits, what is edited, or why nothing is."""
    prompts: list[Ids]
    """Prompts with the tag, one for each text; none where there is none."""

    def state(self, way: str) -> str:
        """Measured, or why not."""
        if way == "prompt":
            return MEASURED if self.prompts else NO_TEXT if self.chosen.tag else NO_TAG
        found = self.ways.get(way)
        return found if isinstance(found, str) else MEASURED


def _chosen(
    inputs: Inputs, subject: Subject, trusted: Mapping[str, Recogniser], prompts: Sequence[Ids]
) -> tuple[list[Chosen], dict[str, Candidates], list[str]]:
    """The steered features of all sites, the neurons of each site, and sentences about dictionaries left out."""
    by_site: dict[str, list[Candidates]] = {}
    left_out = []
    rules = {its.site: recorded_left_out(its.path("store")) for its in inputs.each("relatives")}
    for its in inputs.each("relatives"):
        try:
            by_site.setdefault(its.site, []).append(candidates(its, subject, rules))
        except InputError as error:
            left_out.append(f"{its.site} / {its.place.dictionary} cannot be edited: {error}")
    chosen, cases = [], chosen_cases(inputs)
    for site, each in by_site.items():
        here = [case for case in cases if case.place.site == site]
        chosen += chosen_features(subject, each, here, trusted, inputs.params.steered_features, prompts)
    neurons = {site: one for site, each in by_site.items() for one in each if one.name == NEURONS}
    return chosen, neurons, left_out


def _means(
    inputs: Inputs, tags: TokenTags, chosen: Sequence[Chosen]
) -> dict[str, dict[str, NDArray[np.float64] | str]]:
    """Differences of means by the site that is edited, and by tag."""
    stores = {its.site: its.path("store") for its in inputs.each("relatives")}
    wanted: dict[str, set[str]] = {}
    for one in chosen:
        wanted.setdefault(one.of.dictionary.target or one.of.site, set()).update({one.tag} - {""})
    return {
        site: difference_of_means(ActivationRows(stores[site]) if site in stores else None, tags, names)
        for site, names in wanted.items()
    }


def _plan(
    one: Chosen,
    neurons: Candidates,
    means: Mapping[str, NDArray[np.float64] | str],
    texts: EvalTexts,
    prompts: Sequence[Ids],
    inputs: Inputs,
) -> Plan:
    count = len(prompts) * inputs.params.steering_samples
    with_tag = texts.with_tag(one.tag, count) if one.tag else []
    repeated = [with_tag[number % len(with_tag)] for number in range(count)] if with_tag else []
    return Plan(one, ways_of(one, neurons, means, inputs.params.baseline_seed), repeated)


@dataclass(frozen=True)
class Run:
    """The continuations of all plans."""

    unsteered: list[Written]
    """Of each text."""
    steered: dict[tuple[int, str, int, int], Written]
    """By the numbers of plan, way (by name), dose and text; those of prompts have dose 0."""

    def of(self, plan: int, way: str, dose: int, text: int) -> Written | None:
        """A continuation; None for what was not measured."""
        if way == "unsteered":
            return self.unsteered[text]
        return self.steered.get((plan, way, 0 if way == "prompt" else dose, text))


def _written(subject: Subject, plans: Sequence[Plan], prompts: Sequence[Ids], tokens: int, inputs: Inputs) -> Run:
    params = inputs.params
    texts = [prompt for prompt in prompts for _ in range(params.steering_samples)]
    rows = {(-1, "unsteered", 0, number): Row(prompt, number, None, 0.0) for number, prompt in enumerate(texts)}
    for number, plan in enumerate(plans):
        for way in EDITED:
            pushed = plan.ways[way]
            if isinstance(pushed, str):
                continue
            for place, dose in enumerate(params.steering_doses):
                for text, prompt in enumerate(texts):
                    rows[number, way, place, text] = Row(prompt, text, pushed, dose)
        for text, prompt in enumerate(plan.prompts):
            rows[number, "prompt", 0, text] = Row(prompt, text, None, 0.0)
    found = write(subject, list(rows.values()), tokens, params.baseline_seed, params.steering_temperature)
    by_key = dict(zip(rows, found, strict=True))
    return Run([by_key.pop((-1, "unsteered", 0, number)) for number in range(len(texts))], by_key)


@dataclass(frozen=True)
class Numbers:
    """What all continuations are scored by."""

    continuation: NDArray[np.object_]
    marks: NDArray[np.object_]
    tag_share: Float[np.ndarray, "steered way dose text"]
    promoted_share: Float[np.ndarray, "steered way dose text"]
    loss: Float[np.ndarray, "steered way dose text"]

    def gain(self, name: str, one: int) -> Float[np.ndarray, " steered"]:
        """A share with the feature at the dose of number `one`, less that of the model as it is."""
        of_way = getattr(self, name)[:, :, one].mean(axis=2)
        return np.asarray(of_way[:, WAYS.index("feature")] - of_way[:, WAYS.index("unsteered")])


def _numbers(
    plans: Sequence[Plan], run: Run, doses: int, vocabulary: Vocabulary, trusted: Mapping[str, Recogniser]
) -> Numbers:
    shape = (len(plans), len(WAYS), doses, len(run.unsteered))
    texts = [np.full(shape, "", object) for _ in range(2)]
    found = Numbers(*texts, *(np.full(shape, np.nan) for _ in range(3)))
    for number, way, dose, text in np.ndindex(*shape):
        written = run.of(number, WAYS[way], dose, text)
        if written is None:
            continue
        place, chosen = (number, way, dose, text), plans[number].chosen
        scored = score(written, vocabulary, trusted.get(chosen.tag))
        found.continuation[place], found.marks[place] = scored.text, scored.marks
        found.tag_share[place], found.loss[place] = scored.share, written.loss
        if len(chosen.promoted):
            found.promoted_share[place] = np.isin(written.ids, chosen.promoted).mean()
    return found


def _of_features(plans: Sequence[Plan], texts: int, vocabulary: Vocabulary) -> dict[str, Any]:
    """What was chosen, and how it is edited."""
    chosen = [plan.chosen for plan in plans]
    return {
        "site": _texts(one.of.site for one in chosen),
        "dictionary": _texts(one.of.name for one in chosen),
        "feature": np.array([one.feature for one in chosen]),
        "tag": _texts(one.tag for one in chosen),
        "chosen_by": _texts(one.chosen_by for one in chosen),
        "maximum": np.array([one.maximum for one in chosen]),
        "promoted_text": _promoted_texts(plans, vocabulary),
        "output_score": np.array([one.score - one.score_before for one in chosen]),
        "output_score_before": np.array([one.score_before for one in chosen]),
        "state": np.array([[plan.state(way) for way in WAYS] for plan in plans], object),
        "norm": np.array([[_norm(plan, way) for way in WAYS] for plan in plans]),
        "tag_prompt": _tag_prompts(plans, texts, vocabulary),
    }


def _of_each(numbers: Numbers, seed: int) -> dict[str, Any]:
    """Means over the texts of each feature, with their intervals."""
    values: dict[str, Any] = {}
    for name, of, turned in (("tag_share_of", numbers.tag_share, np.array), ("perplexity_of", numbers.loss, np.exp)):
        found = means_over_texts(of, seed)
        values |= {f"{name}{end}": turned(part) for end, part in zip(ENDS, found, strict=True)}
    return values


def _of_sites(sites: Sequence[str], numbers: Numbers, one: int, seed: int) -> dict[str, Any]:
    """Means over the features of each site, with their intervals."""
    names = list(dict.fromkeys(sites))
    known = np.isfinite(numbers.tag_share[:, :, one]).all(axis=2)
    values: dict[str, Any] = {
        "site_name": _texts(names),
        "features_scored": np.array([known[[site == name for site in sites]].sum(axis=0) for name in names]),
    }
    for name, of, turned in (
        ("mean_tag_share", numbers.tag_share, np.array),
        ("mean_promoted_share", numbers.promoted_share, np.array),
        ("perplexity", numbers.loss, np.exp),
    ):
        found = means_by_site(sites, names, of.mean(axis=3), seed)
        values |= {f"{name}{end}": turned(part) for end, part in zip(ENDS, found, strict=True)}
    return values


def _table(
    inputs: Inputs, plans: Sequence[Plan], run: Run, numbers: Numbers, f1: Mapping[str, float], vocabulary: Vocabulary
) -> xr.Dataset:
    """The table, without its attributes."""
    params, seed = inputs.params, inputs.params.baseline_seed
    one = list(params.steering_doses).index(1)
    values = {
        **_of_features(plans, len(run.unsteered), vocabulary),
        "prompt": _texts(_in_words(written.prompt, vocabulary) for written in run.unsteered),
        "sample": np.arange(len(run.unsteered)) % params.steering_samples,
        **vars(numbers),
        **_of_each(numbers, seed),
        **_of_sites([plan.chosen.of.site for plan in plans], numbers, one, seed),
        "recognised_tag": _texts(f1),
        "recogniser_f1": np.array(list(f1.values())),
        **at_the_maximum(numbers.tag_share[:, :, one].mean(axis=2), numbers.loss[:, :, one].mean(axis=2)),
    }
    for name, share in (("tag_gain", "tag_share"), ("promoted_gain", "promoted_share")):
        values[name] = numbers.gain(share, one)
        correlation = spearman(values["output_score"], values[name], seed)
        values |= {f"output_score_{name}{end}": number for end, number in zip(ENDS, correlation, strict=True)}
    coordinates = {"way": _texts(WAYS), "dose": np.array(params.steering_doses, np.float64)}

    def described(given: Mapping[str, Any]) -> dict[str, xr.Variable]:
        declared = ((name, found, *VARIABLES[name]) for name, found in given.items())
        return {name: variable(tuple(over.split()), found, words, unit) for name, found, over, unit, words in declared}

    return labelled(described(values), described(coordinates), {})


def _texts(values: Iterable[str]) -> NDArray[np.object_]:
    return np.array(list(values), np.object_)


def _norm(plan: Plan, way: str) -> float:
    pushed = plan.ways.get(way)
    return pushed.norm if isinstance(pushed, Pushed) else np.nan


def _in_words(prompt: Ids, vocabulary: Vocabulary) -> str:
    return spelled([token for token in prompt.tolist() if not vocabulary.is_special(token)], vocabulary)[0]


def _promoted_texts(plans: Sequence[Plan], vocabulary: Vocabulary) -> NDArray[np.object_]:
    found = np.full((len(plans), max(len(plan.chosen.promoted) for plan in plans)), "", object)
    for number, plan in enumerate(plans):
        for rank, token in enumerate(plan.chosen.promoted.tolist()):
            found[number, rank] = vocabulary.text(token)
    return found


def _tag_prompts(plans: Sequence[Plan], texts: int, vocabulary: Vocabulary) -> NDArray[np.object_]:
    found = np.full((len(plans), texts), "", object)
    for number, plan in enumerate(plans):
        for text, prompt in enumerate(plan.prompts):
            found[number, text] = _in_words(prompt, vocabulary)
    return found
