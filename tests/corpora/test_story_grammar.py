import re
from collections import Counter
from random import Random

import pytest

from polysem.corpora.stories.cast import cast
from polysem.corpora.stories.plots import PLOTS
from polysem.corpora.stories.plots.counting import NUMBERS
from polysem.corpora.stories.story import CLOSINGS, FRIENDSHIPS, LIKINGS, MORALS, OPENINGS, tell_story
from polysem.corpora.stories.template import Choice, Nodes, Phrase, compiled, tagged, write
from polysem.corpora.tagged import Writer

STORIES = [tell_story(Random(seed)) for seed in range(1500)]


def read(template: str, world: dict[str, Phrase] | None = None, seed: int = 0):
    writer = Writer()
    write(compiled(template), world or {}, Random(seed), writer)
    return writer.finish()


def named(document, tag: str) -> list[str]:
    return [document.text[start:end] for start, end, name in document.spans if name == tag]


def test_a_choice_takes_each_alternative_sometimes():
    seen = Counter(read("(a|b (c|d)|)", seed=seed).text for seed in range(300))
    assert set(seen) == {"a", "b c", "b d", ""}
    assert all(60 < seen[text] < 140 for text in ("a", ""))


def test_a_slot_is_filled_with_its_tags_and_capital():
    world = {"toy": tagged("ball", "object")}
    document = read("{Toy} and {toy}", world)
    assert document.text == "Ball and ball"
    assert document.spans == [(0, 4, "object"), (9, 13, "object")]


def test_speech_is_tagged_with_its_quotation_marks():
    document = read('Tom said, "I am happy."')
    assert named(document, "dialogue") == ['"I am happy."']
    assert named(document, "pronoun:I") == ["I"]


def test_marked_words_get_the_tag_they_are_marked_with():
    document = read("near [the old well:landmark] today")
    assert document.text == "near the old well today"
    assert document.spans == [(5, 17, "landmark"), (18, 23, "time")]


@pytest.mark.parametrize("template", ['"open', "(a|b", "a|b", "a)", "{a", "[words]"])
def test_a_template_with_unmatched_signs_is_refused(template):
    with pytest.raises(ValueError):
        compiled(template)


def test_an_unclosed_span_is_refused():
    writer = Writer()
    writer.open("moral")
    with pytest.raises(ValueError, match="moral"):
        writer.finish()


def all_templates() -> list[str]:
    shared = [*OPENINGS, *FRIENDSHIPS, *LIKINGS, *MORALS, *CLOSINGS]
    told = [beats for plot in PLOTS for part in (plot.setup, plot.problem, plot.resolution) for beats in part]
    return [*shared, *(template for beats in told for template in beats)]


def longest(nodes: Nodes) -> int:
    return max(
        [len(nodes), *(longest(option) for node in nodes if isinstance(node, Choice) for option in node.options)]
    )


def test_every_template_compiles_to_something_unless_it_is_empty():
    for template in all_templates():
        assert (longest(compiled(template)) > 0) == bool(template)


def test_stories_have_80_to_260_words_and_typically_120_to_200():
    lengths = sorted(len(story.text.split()) for story in STORIES)
    assert lengths[0] >= 80
    assert lengths[-1] <= 260
    assert lengths[len(lengths) // 20] >= 120 and lengths[-len(lengths) // 20] <= 200


def test_no_sign_of_the_template_language_is_left_in_a_story():
    for story in STORIES:
        assert not re.search(r"[{}<>()|\[\]]|  | [.,!?]|\ba [aeio]\w|\ban (?!hour)[^aeiou\W]", story.text), story.text


def test_sentences_begin_with_capitals_and_end_with_marks():
    for story in STORIES:
        for paragraph in story.text.split("\n\n"):
            assert re.match(r'"?[A-Z]', paragraph), paragraph
            assert re.search(r'[.!?:]"?$', paragraph), paragraph


def test_spans_are_sorted_non_empty_and_inside_the_text():
    for text, spans in STORIES:
        assert [start for start, _, _ in spans] == sorted(start for start, _, _ in spans)
        assert all(0 <= start < end <= len(text) for start, end, _ in spans)
        assert len(set(spans)) == len(spans)


def test_spans_nest_or_are_disjoint():
    for _, spans in STORIES:
        open_ends: list[int] = []
        for start, end, _ in spans:
            while open_ends and open_ends[-1] <= start:
                open_ends.pop()
            assert not open_ends or end <= open_ends[-1]
            open_ends.append(end)


@pytest.mark.parametrize(
    ("words", "tag"),
    [
        ("she|her|herself", "pronoun:she"),
        ("he|him|his|himself", "pronoun:he"),
        ("happy|sad|proud|scared|lonely", "feeling"),
        ("red|yellow|purple|pink", "colour"),
        ("running|jumping|laughing|searching|sobbing", "action"),
        ("two|three|seven", "number"),
        ("rain|sunny|rainbow|thunder", "weather"),
    ],
)
def test_every_such_word_is_tagged_wherever_it_stands(words, tag):
    allowed = {tag, "name"}  # Sunny is a name, too
    found = 0
    for text, spans in STORIES:
        for match in re.finditer(rf"\b(?:{words})\b", text, re.IGNORECASE):
            covering = {name for start, end, name in spans if start <= match.start() and match.end() <= end}
            assert covering & allowed, (match.group(), text)
            found += tag in covering
    assert found > 30


def test_quotation_marks_and_dialogue_spans_are_the_same_thing():
    for story in STORIES:
        assert named(story, "dialogue") == re.findall(r'"[^"]*"', story.text)


def test_hero_and_friend_keep_one_name_each_and_differ():
    for story in STORIES:
        heroes, friends = set(named(story, "character:hero")), set(named(story, "character:friend"))
        assert len(heroes) == 1
        assert len(friends) <= 1
        assert not heroes & friends


def test_a_girl_is_she_and_a_boy_is_he():
    worlds = [cast(Random(seed), hero_is_animal=False) for seed in range(200)]
    forms = {(world["a_hero"].text.split()[-1], world["he"].text, world["his"].text) for world in worlds}
    assert forms == {("girl", "she", "her"), ("boy", "he", "his")}


def test_the_colour_of_the_lost_toy_comes_back_where_it_is_found():
    checked = 0
    for story in STORIES:
        if named(story, "plot:lost-toy"):
            setup, resolution = named(story, "setup")[0], named(story, "resolution")[0]
            colour = next(c for c in named(story, "colour") if c in setup)
            checked += colour in resolution
    assert checked > 60


def test_the_moral_is_one_of_the_plot_that_was_told():
    checked = 0
    for story in STORIES:
        plot = next(plot for plot in PLOTS if named(story, f"plot:{plot.name}"))
        for moral in named(story, "moral"):
            assert any(ending in moral for ending in plot.morals)
            checked += 1
    assert 0.6 < checked / len(STORIES) < 0.8


def test_the_sums_of_the_counting_plot_are_right():
    numbers = {word: value for value, word in enumerate(NUMBERS)}
    checked = 0
    for story in STORIES:
        for first, sign, second, result in re.findall(
            r"(\w+) (take away|and|plus) (\w+) (?:is|make) (\w+)", story.text
        ):
            a, b, c = (numbers[word.lower()] for word in (first, second, result))
            assert (a - b if sign == "take away" else a + b) == c
            checked += 1
    assert checked > 60


def test_all_plots_are_told_about_equally_often():
    counts = Counter(name for story in STORIES for _, _, name in story.spans if name.startswith("plot:"))
    assert len(counts) == len(PLOTS) >= 16
    assert min(counts.values()) > len(STORIES) / len(PLOTS) / 2


def test_the_vocabulary_has_more_than_1200_words():
    assert len({word for story in STORIES for word in re.findall(r"[a-z']+", story.text.lower())}) > 1200
