"""Findings of the front page: which numbers they name, and when they say nothing."""

import pytest

from polysem.layout.place import Place
from polysem.report.chapters import Run
from polysem.report.findings import findings
from polysem.report.gallery import Picture, Shown

SITE = Place("toy", "mlp")
NEURONS = {"features": 512}


def run_of(numbers, pictures=None, sites=("mlp",)):
    origins = [Place("toy", site, name) for site in sites for name in numbers]
    recipes = {name: {"of": name.partition("_seed=")[0], "seed": name.partition("_seed=")[2]} for name in numbers}
    return Run(origins, pictures or {}, {"toy": dict.fromkeys(sites, numbers)}, [], {"saes": recipes})


def lines(run, question):
    (found,) = [one for one in findings(run) if one.question.startswith(question)]
    return [(line.place, line.words) for line in found.lines]


def test_of_the_saes_that_which_finds_most_tags_stands_beside_the_neurons():
    numbers = {
        "neurons": {"tags": 63.0, "tags_found": 14.0, "tag_mean_best_f1": 0.334},
        "l1": {"tags": 63.0, "tags_found": 20.0, "tag_mean_best_f1": 0.5},
        "topk": {"tags": 63.0, "tags_found": 22.0, "tag_mean_best_f1": 0.412},
    }
    assert lines(run_of(numbers), "What do SAEs find") == [
        (
            SITE.of("topk"),
            "features of topk find 22 of 63 tags, neurons 14; the best one for a tag has a mean F1 of 0.41, the best "
            "neuron 0.33",
        )
    ]
    assert findings(run_of({name: of | {"tags": 0.0} for name, of in numbers.items()})) == []
    (found,) = findings(run_of(numbers | {"l1": numbers["l1"] | {"tags_found": 22.0}}))
    assert found.lines[0].place == SITE.of("l1"), "of those that find as many the one that tells them better"


def test_the_most_polysemantic_neuron_is_that_of_the_largest_share_not_of_the_largest_sae():
    numbers = {
        "neurons": NEURONS,
        "small": {"features": 1024, "most_polysemantic_neuron": 7, "most_polysemantic_neuron_features": 60},
        "large": {"features": 4096, "most_polysemantic_neuron": 9, "most_polysemantic_neuron_features": 61},
    }
    words = "neuron 7 is the strongest one of 60 of the 1,024 features of small; a neuron is that of 2 on average"
    assert lines(run_of(numbers), "How polysemantic") == [(SITE.of("small"), words)]


def test_the_loss_kept_is_that_of_the_best_and_the_worst_sae():
    numbers = {
        "neurons": {"loss_recovered_zero": 1.0, "L0": 99.0},
        "a": {"loss_recovered_zero": 0.912, "L0": 16.04},
        "b": {"loss_recovered_zero": 0.9966, "L0": 32.0},
    }
    words = "b keeps 99.7 % with 32 active features, a 91 % with 16"
    assert lines(run_of(numbers), "How much of the loss") == [(SITE.of("b"), words)]
    alone = {name: numbers[name] for name in ("neurons", "a")}
    assert lines(run_of(alone), "How much of the loss") == [(SITE.of("a"), "a keeps 91 % with 16 active features")]


def test_recipes_are_compared_where_as_many_features_have_an_l0_within_a_tenth():
    numbers = {
        "neurons": {"features": 512, "L0": 30.0, "explained_variance": 1.0},
        "a": {"features": 1024, "L0": 30.0, "explained_variance": 0.8},
        "b": {"features": 1024, "L0": 32.9, "explained_variance": 0.85},
        "c": {"features": 1024, "L0": 33.1, "explained_variance": 0.9},  # within a tenth of b alone
        "d": {"features": 2048, "L0": 31.0, "explained_variance": 0.95},  # of more features
    }
    words = "of 1,024 features, 30 to 32.9 active: b 85 %, a 80 % of the variance"
    assert lines(run_of(numbers), "Which recipe") == [(SITE.of("b"), words)]
    apart = numbers | {"b": numbers["b"] | {"L0": 40.0}}
    assert not [one for one in findings(run_of(apart)) if one.question.startswith("Which recipe")]
    seeds = {"a_seed=0": numbers["a"], "a_seed=1": numbers["b"]}
    assert not [one for one in findings(run_of(seeds)) if one.question.startswith("Which recipe")], "one recipe"


def test_of_many_recipes_the_best_three_and_the_worst_are_named():
    numbers = {f"s{n}": {"features": 64, "L0": 8.0, "explained_variance": 0.9 - n / 100} for n in range(6)}
    words = "of 64 features, 8 active: s0 90 %, s1 89 %, s2 88 %, …, s5 85 % of the variance"
    assert lines(run_of(numbers), "Which recipe") == [(SITE.of("s0"), words)]


def test_causal_features_stand_beside_causal_neurons():
    share = "ablation_above_random_share"
    numbers = {"neurons": {share: 0.038}, "a": {share: 0.521}, "b": {share: None}}
    words = "52 % of the features of a do, and 4 % of the neurons"
    assert lines(run_of(numbers), "What is causal") == [(SITE.of("a"), words)]
    assert findings(run_of({"a": {share: 0.5}})) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"never_active_share": 0.27}, "27 % of the features of a are active on no token"),
        ({"ultra_low_share": 0.3}, "30 % of those of a are ultra-low"),
        ({"tail_law": "undecided"}, "the law of rare features is undecided for 1 of 2 dictionaries"),
    ],
)
def test_what_failed_is_said_where_it_is_much(changes, words):
    fine = {"never_active_share": 0.04, "ultra_low_share": 0.0, "tail_law": "exponential"}
    numbers = {"neurons": {"tail_law": "power law", "never_active_share": 0.9}, "a": fine}
    assert findings(run_of(numbers)) == []
    assert lines(run_of(numbers | {"a": fine | changes}), "What did not work") == [(SITE.of("a"), words)]


def test_four_sites_are_named_and_the_others_counted_and_the_figure_is_that_of_the_first():
    numbers = {"neurons": NEURONS, "a": {"loss_recovered_zero": 0.9, "L0": 16.0}}
    sites = [f"layer{number}" for number in range(6)]
    shown = Shown("loss_recovered", Place("toy", "layer0"), None)
    missing = Shown("loss_recovered", Place("toy", "layer0"), None, reason="none")
    for drawn, figure in ((shown, shown), (missing, None)):
        pictures = {"loss_recovered": Picture("loss_recovered", ("S0.F6",), "Loss", (), {drawn.origin: drawn})}
        (found,) = findings(run_of(numbers, pictures, sites))
        assert [line.place.site for line in found.lines] == sites[:4]
        assert (found.more, found.figure) == (2, figure)
