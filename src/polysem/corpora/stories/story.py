"""A whole story: an opening, a plot and mostly a moral, told in one world of words."""

from random import Random

from polysem.corpora.stories.cast import cast
from polysem.corpora.stories.plot import Beat, Plot
from polysem.corpora.stories.plots import PLOTS
from polysem.corpora.stories.scenes import HOMES, WEATHERS, WILD_HOMES, scene
from polysem.corpora.stories.template import World, compiled, plain, write
from polysem.corpora.stories.things import things
from polysem.corpora.tagged import TaggedText, Writer

OPENINGS: Beat = (
    "Once upon a time, there was {a_hero} named {hero}.",
    "Once upon a time, there was {a_hero} named {hero} who lived {dwelling}.",
    "Once upon a time, {dwelling}, there lived {a_hero}. {His} name was {hero}.",
    "Once there was {a_hero} called {hero}. {He} lived {dwelling} with {his} {elder}.",
    "Long ago, {a_hero} named {hero} lived {dwelling}.",
    "{Hero} was {a_hero}. {He} lived {dwelling}.",
    "This is the story of {hero}, {a_hero} who lived {dwelling}.",
    "{Dwelling}, there lived {a_hero} named {hero}.",
    "There once was {a_hero} named {hero}.",
    "{A_hero} named {hero} lived {dwelling}.",
    "Do you know {hero}? {Hero} is {a_hero} from our (village|street|town). One day, this happened to {him}:",
)
FRIENDSHIPS: Beat = (
    "{He} had a friend called {friend}.",
    "{He} and {friend} were best friends.",
    "{His} best friend was {a_friend} named {friend}.",
    "{Friend}, {a_friend}, lived next door.",
    "{Friend}, {a_friend} with {other_a_toy}, was {his} best friend.",
    "{Friend}, {a_friend}, was {his} best friend.",
)
LIKINGS: Beat = (
    "{He} liked <playing> and <playing>.",
    "{He} loved {sweets} and {using} {his} {shaded_toy}.",
    "{He} was always <noises>.",
    "{He} had (big brown|bright green|shiny black|dark brown|clear blue) eyes and a (friendly smile|loud"
    " laugh|quick mind).",
    "{He} was never in a bad mood, and everyone liked {him}.",
    "Every morning, {he} was <playing> and <playing> {at_place}.",
)
WEATHER_LEADS: Beat = (
    "",
    "",
    " (and it smelled of (grass|pancakes|flowers|smoke))",
    " (and the birds were (singing|quiet))",
    " (when {hero} woke up|when {hero} opened {his} eyes)",
)
MORALS: Beat = (
    "The moral of the story is to always {moral}.",
    "The moral of the story is: always {moral}.",
    "The moral of this story is to {moral}.",
    "And so {hero} learned to {moral}.",
    "{Hero} learned that it is (good|important|best) to {moral}.",
    "So remember, dear reader: {moral}!",
    "That day, {hero} learned an important lesson: {moral}.",
    "And if you ever meet {hero}, {he} will tell you to {moral}.",
)
CLOSINGS: Beat = (
    "They lived happily ever after.",
    "And that is the end of the story.",
    "The end.",
    "And they all laughed.",
    "It was a <great> day.",
    "In the evening, {he} {used} {his} {shaded_toy}, and {friend} {other_used} {friend_his} {other_shaded_toy}.",
    '"{Hero_sound}!" said {hero}, and everybody laughed.',
    "And then they all ate {a_tasty_sweet}.",
    "What a (day|day that was)!",
)
SHARE_WITH_FRIEND = 0.6
SHARE_WITH_LIKING = 0.25
SHARE_WITH_WEATHER = 0.3
SHARE_WITH_MORAL = 0.7
SHARE_IN_PARAGRAPHS = 0.6


def tell_story(random: Random) -> TaggedText:
    """One story of about 80 to 180 words; who and what it is about stays the same to its end."""
    plot = random.choice(PLOTS)
    world = _world(plot, random)
    writer = Writer()
    gap = "\n\n" if random.random() < SHARE_IN_PARAGRAPHS else " "
    writer.open("kind:story")
    writer.open(f"plot:{plot.name}")
    with_moral = random.random() < SHARE_WITH_MORAL
    _part("opening", _opening(plot, world, random), world, random, writer)
    for tag, beats in (("setup", plot.setup), ("problem", plot.problem), ("resolution", plot.resolution)):
        writer.add(gap if tag != "setup" else " ")
        _part(tag, [random.choice(beat) for beat in beats], world, random, writer)
    writer.add(gap)
    if with_moral:
        _part("moral", [random.choice(MORALS)], world, random, writer)
    else:
        _part("closing", [random.choice(CLOSINGS)], world, random, writer)
    writer.close()
    writer.close()
    return writer.finish()


def _world(plot: Plot, random: Random) -> World:
    is_animal = random.choice(plot.heroes) == "animal"
    return {
        **cast(random, is_animal),
        **things(random),
        **scene(random, plot.weathers),
        "dwelling": plain(random.choice(WILD_HOMES if is_animal else HOMES)),
        "moral": plain(random.choice(plot.morals)),
        **(plot.prepare(random) if plot.prepare else {}),
    }


def _opening(plot: Plot, world: World, random: Random) -> list[str]:
    sentences = [random.choice(OPENINGS)]
    if sentences[0].endswith(":"):
        return sentences
    if plot.knows_friend and random.random() < SHARE_WITH_FRIEND:
        sentences.append(random.choice(FRIENDSHIPS))
    if random.random() < SHARE_WITH_LIKING:
        sentences.append(random.choice(LIKINGS))
    if random.random() < SHARE_WITH_WEATHER:
        sentences.append(WEATHERS[world["weather"].text] + random.choice(WEATHER_LEADS) + ".")
    return sentences


def _part(tag: str, templates: list[str], world: World, random: Random, writer: Writer) -> None:
    writer.open(tag)
    for index, template in enumerate(filter(None, templates)):
        if index:
            writer.add(" ")
        write(compiled(template), world, random, writer)
    writer.close()
