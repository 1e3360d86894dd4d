"""S1.F4: what it does to the predictions when features are set to 0, beside as much along random directions.

One table for all sites of a model, because the model is loaded once. A place is a dictionary of a site. Over
`intervened`, the features of all of them that are ablated: their numbers; over (intervened, spot) those of each token.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float

from polysem.activations.left_out import LeftOut, recorded_left_out
from polysem.interventions.effects import Chunk, Places, Removals, States, by_context, by_token, read_states, state_of
from polysem.io.tables import read_arrays
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.subject import Subject
from polysem.saes.dictionary import Dictionary, load_dictionary
from polysem.tables.inputs import Inputs
from polysem.tables.parts.directions import Directions, weights_around
from polysem.tables.parts.intervals import INTERVALS
from polysem.tables.parts.labels import COMPRESSED, ESTIMATES, labelled, variable
from polysem.tables.parts.words import words
from polysem.tables.passes.ablation.measured import Effects, concentrated_on, measure_effects
from polysem.tables.passes.ablation.shown import Contexts, shown_contexts, shown_features
from polysem.tables.passes.ablation.spots import Spots, choose_spots, chosen_features
from polysem.tables.passes.ablation.summaries import ABOVE, Numbers, of_dictionary, of_features
from polysem.tables.passes.case_studies.chosen import Case, chosen_cases

CATALOGUE = "S1.F4"
READS = (
    "model",
    "tokens",
    "tokenizer",
    "directions",
    "case_studies",
    "relatives:weights",
    "relatives:store",
    "relatives:table:frequency",
    "relatives:table:examples",
    "relatives:table:tags",
)
PARAMS = ("intervened_features", "ablation_tokens", "ablation_directions", "context_after", "baseline_seed")
VARIABLES = {
    "site": ("place", "1", "site of the dictionary"),
    "dictionary": ("place", "1", "dictionary"),
    "token_by_token": ("place", "1", "whether all that follows the site goes token by token, so that nothing is later"),
    "measured_features": ("place", "feature", "features that were ablated"),
    "median_kl": ("place estimate", "nat", "median over features: KL(clean || ablated) at the token where active"),
    "median_later_kl": ("place estimate", "nat", "median over features: the same, summed over the tokens behind"),
    "median_target_change": (
        "place estimate",
        "nat",
        "median over features: change of the log-probability of the next token",
    ),
    "median_random_ratio": ("place estimate", "1", "median over features: KL over that of random directions"),
    "median_weight_correlation": (
        "place estimate",
        "1",
        "median over features: Spearman correlation of the mean change and minus the logit weights",
    ),
    "median_direct_share": (
        "place estimate",
        "1",
        "median over features: share of the squared change along the logit weights",
    ),
    "median_concentration": (
        "place estimate",
        "1",
        "median over features: share of the absolute mean change on the tokens where it is largest",
    ),
    "median_consistency": (
        "place estimate",
        "1",
        "median over features: squared norm of the mean change over the mean squared norm of the changes",
    ),
    "above_random_share": (
        "place estimate",
        "1",
        "share of features with a larger effect than 95 % of the random directions",
    ),
    "interval_features": ("place interval", "feature", "features with a token in the interval"),
    "interval_quartiles_kl": ("place interval quartile", "nat", "over features: mean KL in the interval"),
    "interval_quartiles_random_kl": ("place interval quartile", "nat", "the same of random directions"),
    "of_place": ("intervened", "1", "place of the feature's dictionary"),
    "feature": ("intervened", "feature", "feature that is ablated"),
    "state": ("intervened", "1", "ablated, or why not"),
    "kl": ("intervened", "nat", "KL(clean || ablated) at the token, mean where active"),
    "kl_low": ("intervened", "nat", "lower end of its 95 % bootstrap interval over tokens"),
    "kl_high": ("intervened", "nat", "upper end of its 95 % bootstrap interval over tokens"),
    "later_kl": ("intervened", "nat", "the same, summed over the tokens behind"),
    "later_kl_low": ("intervened", "nat", "lower end of its 95 % bootstrap interval over tokens"),
    "later_kl_high": ("intervened", "nat", "upper end of its 95 % bootstrap interval over tokens"),
    "target_change": ("intervened", "nat", "change of the log-probability of the next token, mean where active"),
    "target_change_low": ("intervened", "nat", "lower end of its 95 % bootstrap interval over tokens"),
    "target_change_high": ("intervened", "nat", "upper end of its 95 % bootstrap interval over tokens"),
    "random_smaller": ("intervened", "1", "share of the random directions with a smaller KL at the same token"),
    "random_smaller_low": ("intervened", "1", "lower end of its 95 % bootstrap interval over tokens"),
    "random_smaller_high": ("intervened", "1", "upper end of its 95 % bootstrap interval over tokens"),
    "random_ratio": ("intervened", "1", "KL over that of random directions at the same tokens"),
    "weight_correlation": (
        "intervened",
        "1",
        "Spearman correlation over outcomes of the mean change and minus the logit weights",
    ),
    "direct_share": ("intervened", "1", "share of the squared change that lies along the logit weights"),
    "concentration": ("intervened", "1", "share of the absolute mean change on the tokens where it is largest"),
    "consistency": ("intervened", "1", "squared norm of the mean change over the mean squared norm of the changes"),
    "interval_share": ("intervened interval", "1", "share of its active tokens"),
    "interval_kl": ("intervened interval", "nat", "mean KL in the interval"),
    "interval_later_kl": ("intervened interval", "nat", "the same, summed over the tokens behind"),
    "interval_target_change": ("intervened interval", "nat", "mean change of the log-probability of the next token"),
    "interval_random_kl": ("intervened interval", "nat", "mean KL of random directions in the interval"),
    "sequence": ("intervened spot", "1", "sequence in the token store, -1: none"),
    "position": ("intervened spot", "1", "position in the sequence, -1: none"),
    "spot_interval": ("intervened spot", "1", "interval of the activation, 0 is the lowest, -1: none"),
    "activation": ("intervened spot", "activation", "activation that is taken away"),
    "spot_kl": ("intervened spot", "nat", "KL(clean || ablated)"),
    "spot_later_kl": ("intervened spot", "nat", "the same, summed over the tokens behind"),
    "spot_target_change": ("intervened spot", "nat", "change of the log-probability of the next token"),
    "random_kl": ("intervened draw", "nat", "KL of a random direction; draw i is at token i modulo their number"),
    "shown_place": ("shown", "1", "place of the feature's dictionary"),
    "shown_feature": ("shown", "feature", "feature that is shown"),
    "shown_tag": ("shown", "1", "tag of which it is the best feature; '' for none"),
    "shown_largest": ("shown", "activation", "its largest activation"),
    "shown_sequence": ("shown context", "1", "sequence in the token store, -1: none"),
    "shown_position": ("shown context", "1", "position of the token in the middle, -1: none"),
    "shown_text": ("shown context offset", "1", "token; '' outside of the sequence"),
    "shown_token": ("shown context offset", "token", "token, -1: outside of the sequence"),
    "shown_activation": ("shown context offset", "activation", "activation of the feature"),
    "shown_change": (
        "shown context offset",
        "nat",
        "change of the token's log-probability where the feature is 0 in the whole context",
    ),
    "shown_logit_weight": (
        "shown context offset",
        "logit",
        "the feature's logit weight of the token, less the mean over all tokens; NaN without a direct path",
    ),
    "offset": ("offset", "token", "tokens behind the token in the middle"),
    "estimate": ("estimate", "1", "the number, and the ends of its 95 % bootstrap interval over features"),
    "quartile": ("quartile", "1", "median, and lower and upper quartile"),
}  # fmt: skip
ONLY = {"of text": ("shown_*", "offset")}
USED = {
    "frequency": {
        "active_tokens": "feature",
        "max_activation": "feature",
        "mean_active": "feature",
        "activation_histogram": "feature bin",
    },
    "examples": {
        "activation": "feature example",
        "sequence": "feature example",
        "position": "feature example",
        "token": "feature example offset",
        "window_activation": "feature example offset",
        "offset": "offset",
    },
    "tags": {"tag": "tag", "best_feature": "tag", "f1": "tag", "f1_always_active": "tag", "found": "tag"},
}
"""Variables of the tables of a dictionary, with their dimensions."""
ABLATED, NEVER, NOWHERE = "ablated", "never active", "no context"


def measure(inputs: Inputs) -> xr.Dataset:
    """The ablations of all features that take part, in the neurons and the first SAE of each recipe, at every site.

    A feature is set to 0 at one token at a time. What is compared is the prediction there, with all other activations
    as the model has them, and up to `analysis.context_after` later ones, if attention follows the site. Of each feature
    there are `analysis.ablation_tokens` tokens, drawn from intervals of its activation; so many random directions of
    the norm of its decoder row are taken away at them, as much of each, as `analysis.ablation_directions` says.
    """
    store = TokenStore(inputs.path("tokens"))
    subject = load_subject(inputs.path("model"), inputs.device)
    cases = chosen_cases(inputs)
    left_out = {one.site: recorded_left_out(one.path("store")) for one in inputs.each("relatives")}
    asked = [_ask(one, inputs, subject, store, cases, left_out) for one in inputs.each("relatives")]
    states = _read(subject, store, asked)
    outcomes = _outcomes(subject, store)
    behind = inputs.params.context_after if store.is_text else 0
    weights, seed = weights_around(inputs), inputs.params.baseline_seed
    found, contexts = [], []
    for number, one in enumerate(asked):
        found.append(
            measure_effects(
                one.run(subject, store, states, outcomes, behind),
                one.spots,
                one.activation,
                one.decoder,
                partial(one.logit_weights, weights),
                outcomes,
                inputs.params.ablation_directions,
                [seed, number],
            )
        )
        if store.is_text:
            shown = one.site, one.dictionary, store, one.spots, one.examples, one.shown, one.tags, left_out
            contexts.append(shown_contexts(subject, *shown))
    text = words(inputs.path("tokenizer")) if store.is_text else None
    made = table(asked, found, contexts, text, weights, seed)
    return made.assign_attrs(
        concentrated_on=concentrated_on(outcomes), behind=behind, directions=inputs.params.ablation_directions
    )


@dataclass
class Asked:
    """A dictionary, and what is asked of it."""

    site: str
    name: str
    dictionary: Dictionary
    state: tuple[str, ...] | None
    """See `state_of`."""
    spots: Spots
    decoder: Float[torch.Tensor, "chosen output"]
    examples: xr.Dataset
    shown: list[int]
    tags: list[str]
    largest: Float[np.ndarray, " shown"]
    activation: Float[np.ndarray, "chosen spot"]
    """Of the features at their tokens, in the model that runs; 0 where the token is left out at the site that is
    edited, as nothing is taken away there."""
    left_out: Mapping[str, LeftOut]
    """By site, which tokens are left out there."""

    @property
    def written(self) -> str:
        """Where the activations are edited."""
        return self.dictionary.target or self.site

    def look(self, places: Places, values: dict[str, torch.Tensor]) -> None:
        """Take the activations of the features at those of their tokens that are among some, by site."""
        own = self.spots.places()
        here = np.flatnonzero(np.isin(own.key, places.key))
        if not len(here):
            return
        tokens = own[here].unique()
        with torch.inference_mode():
            at = np.searchsorted(places.key, tokens.key)
            encoded = self.dictionary.encode(values[self.site][at]).float()
            out = self.left_out[self.written].at(values[self.written][at], torch.from_numpy(tokens.position))
            f = encoded.masked_fill(out[:, None], 0.0).cpu().numpy()
        chosen, spot = (of[here] for of in np.nonzero(self.spots.known))
        of_token = np.searchsorted(tokens.key, own[here].key)
        self.activation[chosen, spot] = f[of_token, self.spots.feature[chosen]].clip(min=0)

    def run(
        self, subject: Subject, store: TokenStore, states: States, outcomes: int, behind: int
    ) -> Callable[[Removals], Iterator[Chunk]]:
        """How its removals are computed."""
        if self.state is None:
            return lambda removals: by_context(
                subject, self.written, self.dictionary, removals, store, outcomes, behind
            )
        return lambda removals: by_token(subject, self.written, self.dictionary, removals, states, outcomes)

    def logit_weights(self, weights: Directions, block: slice) -> Float[torch.Tensor, "chosen outcome"] | None:
        """Logit weights of some of the features; None without a direct path."""
        return weights.logit_weights(self.written, self.decoder[block].cpu())


def _ask(
    one: Inputs,
    inputs: Inputs,
    subject: Subject,
    store: TokenStore,
    cases: Sequence[Case],
    left_out: Mapping[str, LeftOut],
) -> Asked:
    dictionary = load_dictionary(one.path("weights"), subject.width(one.site), inputs.device)
    frequency, examples, tags_table = (_columns(one, name) for name in USED)
    params = inputs.params
    shown, tags = shown_features(frequency, tags_table)
    for case in cases:
        if case.place == one.place and case.feature not in shown:
            shown, tags = [*shown, case.feature], [*tags, case.tag]
    feature = chosen_features(frequency, params.intervened_features, shown)
    spots = choose_spots(feature, examples, frequency, store, params.ablation_tokens, params.baseline_seed)
    return Asked(
        one.site,
        one.place.dictionary,
        dictionary,
        state_of(subject, dictionary.target or one.site),
        spots,
        dictionary.decoder()[torch.from_numpy(feature)].to(subject.device),
        examples,
        shown,
        tags,
        frequency["max_activation"].to_numpy()[shown],
        np.full(spots.sequence.shape, np.nan),
        left_out,
    )


def _columns(one: Inputs, name: str) -> xr.Dataset:
    """What is used of a table; reading all of it would take as long as all ablations."""
    dimensions = USED[name]
    found = read_arrays(one.table_file(name), lambda column: column in dimensions)
    return xr.Dataset({column: (of.split(), found[column]) for column, of in dimensions.items()})


def _read(subject: Subject, store: TokenStore, asked: list[Asked]) -> States:
    """One pass over all contexts, in which every dictionary gets its activations."""
    every = [one.spots.places() for one in asked]
    places = Places(*(np.concatenate([getattr(one, name) for one in every]) for name in ("sequence", "position")))
    kept = list(dict.fromkeys(site for one in asked for site in one.state or ()))
    sites = list(dict.fromkeys(site for one in asked for site in (one.site, one.written)))

    def look(here: Places, values: dict[str, torch.Tensor]) -> None:
        for one in asked:
            one.look(here, values)

    return read_states(subject, store, places, sites, kept, look)


def _outcomes(subject: Subject, store: TokenStore) -> int:
    batch = store.batch(0, 1)
    return subject.log_probabilities(batch, at=torch.zeros(1, 1, dtype=torch.int64)).shape[-1]


def table(
    asked: list[Asked],
    effects: list[Effects],
    contexts: list[Contexts],
    text: Callable[[int], str] | None,
    weights: Directions,
    seed: int,
) -> xr.Dataset:
    """The table of all dictionaries; `contexts` are empty unless the model reads text."""
    features = [of_features(one.spots, found, seed) for one, found in zip(asked, effects, strict=True)]
    places = [of_dictionary(found, seed) for found in features]
    made: Numbers = {
        "site": np.array([one.site for one in asked], object),
        "dictionary": np.array([one.name for one in asked], object),
        "token_by_token": np.array([one.state is not None for one in asked], np.int8),
        "of_place": np.repeat(np.arange(len(asked)), [len(one.spots.feature) for one in asked]),
        "feature": np.concatenate([one.spots.feature for one in asked]),
        "state": np.concatenate([_states(one.spots) for one in asked]),
        "interval_share": np.concatenate([one.spots.share for one in asked]),
        "activation": np.concatenate([one.activation for one in asked]),
        "estimate": np.array(ESTIMATES, object),
        "quartile": np.array(["median", "lower", "upper"], object),
    }
    made |= {name: np.stack([of[name] for of in places]) for name in places[0]}
    made |= {name: np.concatenate([of[name] for of in features]) for name in features[0]}
    for name, of in (("sequence", "sequence"), ("position", "position"), ("spot_interval", "interval")):
        made[name] = np.concatenate([getattr(one.spots, of) for one in asked])
    for name in ("kl", "later_kl", "target_change"):
        made[f"spot_{name}"] = np.concatenate([getattr(found, name) for found in effects])
    made["random_kl"] = np.concatenate([found.random_kl for found in effects])
    if text is not None:
        made |= _shown(asked, contexts, text, weights)
    variables: dict[str, xr.Variable] = {}
    coordinates: dict[str, xr.Variable] = {}
    for name, values in made.items():
        dimensions, unit, words_of = VARIABLES[name]
        one = variable(tuple(dimensions.split()), _compact(values), words_of, unit)
        if values.dtype != object and values.size > 1000:
            one.encoding = dict(COMPRESSED)
        (coordinates if name in ("offset", "estimate", "quartile") else variables)[name] = one
    return labelled(variables, coordinates, {"intervals": INTERVALS, "above": ABOVE})


def _compact(values: np.ndarray) -> np.ndarray:
    return values.astype({"f": np.float32, "i": np.int32}.get(values.dtype.kind, values.dtype), copy=False)


def _states(spots: Spots) -> np.ndarray:
    states = np.where(spots.known.any(axis=1), ABLATED, np.where(spots.active, NOWHERE, NEVER))
    return states.astype(object)


def _shown(asked: list[Asked], contexts: list[Contexts], text: Callable[[int], str], weights: Directions) -> Numbers:
    token = np.concatenate([one.token for one in contexts])
    names = {number: text(number) for number in np.unique(token).tolist()}
    made = {
        "shown_place": np.repeat(np.arange(len(asked)), [len(one.feature) for one in contexts]),
        "shown_feature": np.concatenate([one.feature for one in contexts]),
        "shown_tag": np.array([tag for one in contexts for tag in one.tag], object),
        "shown_largest": np.concatenate([one.largest for one in asked]),
        "shown_token": token,
        "shown_text": np.array([names[number] for number in token.ravel().tolist()], object).reshape(token.shape),
        "offset": asked[0].examples["offset"].to_numpy(),
    }
    for name in ("sequence", "position", "activation", "change"):
        made[f"shown_{name}"] = np.concatenate([getattr(one, name) for one in contexts])
    pairs = zip(asked, contexts, strict=True)
    made["shown_logit_weight"] = np.concatenate([_promoted(one, shown, weights) for one, shown in pairs])
    return made


def _promoted(one: Asked, shown: Contexts, weights: Directions) -> Float[np.ndarray, "shown context offset"]:
    """The logit weights that shown features have for the tokens of their contexts, each less its mean."""
    found = np.full(shown.token.shape, np.nan)
    decoder = one.dictionary.decoder()[torch.from_numpy(shown.feature)].cpu()
    of_all = weights.logit_weights(one.written, decoder)
    if of_all is not None and found.size:
        centred = (of_all - of_all.mean(dim=1, keepdim=True)).numpy()
        known = shown.token >= 0
        feature = np.broadcast_to(np.arange(len(shown.feature))[:, None, None], found.shape)
        found[known] = centred[feature[known], shown.token[known]]
    return found
