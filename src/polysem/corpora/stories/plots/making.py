"""Something is made, goes a little wrong, and turns out well."""

from random import Random

from polysem.corpora.stories.cast import article
from polysem.corpora.stories.plot import Plot
from polysem.corpora.stories.template import Phrase, joined, labelled, plain, tagged

PROJECTS = {
    "a birdhouse": (
        "some boards, a hammer and nails",
        "hammering",
        "the roof was crooked",
        "the birds moved in at once",
    ),
    "a chocolate cake": ("flour, eggs, sugar and cocoa", "stirring", "the cake was flat", "it tasted like heaven"),
    "a snowman": ("snow, a carrot and two buttons", "rolling snow", "the head fell off", "it smiled at everyone"),
    "a sandcastle": ("a bucket, a shovel and shells", "digging", "a wave washed away the tower", "it had five towers"),
    "a tree house": ("planks, a rope and a saw", "sawing", "the ladder was too short", "one could see the whole town"),
    "a pot of soup": ("carrots, beans and a big pot", "chopping", "it was far too salty", "everyone asked for more"),
    "a paper boat": ("paper, glue and a tiny flag", "folding", "the boat sank", "it sailed across the whole pond"),
    "a puppet theater": (
        "a large box, cloth and string",
        "sewing",
        "the curtain tore",
        "the audience laughed and cheered",
    ),
    "a clay pot": ("clay, water and a wheel", "shaping", "it cracked in the oven", "it held three sunflowers"),
    "a warm scarf": ("wool and two long needles", "knitting", "there was a hole in the middle", "it was soft and cozy"),
    "a birthday card": ("paper, crayons and glitter", "drawing", "the ink was smudged", "it sparkled in the light"),
    "a wooden raft": ("logs and a strong rope", "tying knots", "it tipped over", "it floated like a duck"),
    "a flower crown": ("daisies and long grass", "braiding", "the stems broke", "it looked fit for a queen"),
    "a loaf of bread": (
        "flour, yeast and warm water",
        "kneading",
        "the dough was sticky",
        "the crust was crisp and brown",
    ),
}
MIXTURES = {
    ("red", "yellow"): "orange",
    ("blue", "yellow"): "green",
    ("red", "blue"): "purple",
    ("red", "white"): "pink",
    ("black", "white"): "grey",
}


def project(random: Random) -> dict[str, Phrase]:
    """Slots of one project, and of two colours with what they make when mixed."""
    name = random.choice(tuple(PROJECTS))
    materials, working, mishap, praise = map(plain, PROJECTS[name])
    pair = random.choice(tuple(MIXTURES))
    first, second = random.sample(pair, 2)
    mixture = tagged(MIXTURES[pair], "colour")
    first_word, noun = name.split(" ", 1)
    return {
        "project": joined(Phrase(f"{first_word} "), labelled(noun, "project")),
        "the_project": joined(Phrase("the "), labelled(noun, "project")),
        "materials": materials,
        "working": working,
        "mishap": mishap,
        "praise": praise,
        "first_colour": tagged(first, "colour"),
        "second_colour": tagged(second, "colour"),
        "mixture": mixture,
        "a_mixture": joined(Phrase(f"{article(mixture.text)} "), mixture),
    }


PLOT = Plot(
    name="making",
    prepare=project,
    setup=(
        (
            '"Today I want to make {project}," {hero} said to {friend}.',
            "It was {his} {elder}'s birthday. {Hero} decided to make {project} for {elder_him}.",
            "{Hero} saw {project} at the market. {He} wanted to make one, too.",
        ),
        (
            "They got {materials}, and put everything on the table.",
            "First, {he} needed {materials}. {He} found them in the (shed|cellar|cupboard|attic).",
        ),
    ),
    problem=(
        (
            "{Hero} started {working}, and {friend} was <noises> beside {him}.",
            "All morning long, they were {working} and <noises>.",
            "{He} worked (hard|for hours|very carefully), {working} and humming a (tune|song).",
        ),
        (
            'But <oh>, {mishap}! "It is (ruined|spoiled)!" <cried> {hero}.',
            "Then something went wrong: {mishap}. {Hero} was <very> (upset|disappointed|cross).",
            '"Look, {mishap}!" said {friend}. {Hero} almost began to cry.',
        ),
        (
            "",
            '"Everybody makes mistakes," said {his} {elder}. "Let\'s see what we can do."',
            '"We can fix it," said {friend}. "I have an idea!"',
        ),
    ),
    resolution=(
        (
            "They started again, and this time they were (slower|more careful). Step by step, {the_project}"
            " got better.",
            "{Friend} held it (still|with both hands) while {hero} (mended|repaired|fixed) it.",
        ),
        (
            "",
            "To make it pretty, they mixed {first_colour} and {second_colour} paint. It turned {mixture}! They painted"
            " (a big {mixture} star|three {mixture} dots|{a_mixture} heart) on a sign.",
            '"What happens if I mix {first_colour} and {second_colour}?" {hero} wondered. "It makes'
            ' {mixture}!" So they painted'
            " {a_mixture} banner for it.",
            "At the end, {hero} tied {a_mixture} ribbon around a little sign with both their names.",
        ),
        (
            'At last, {the_project} was (ready|finished|done), and {praise}. "<yay>!" they <cried>.',
            "In the evening, everyone came to see {the_project}. {Praise}!",
        ),
        (
            "{Hero} was <very> proud! It was the best (day|weekend|afternoon) ever.",
            '"You two make a <great> team," said {his} {elder}. They were <very> <happy>!',
            '"<thanks>, {friend}. I could not have done it without you," said {hero}. {He} was <very> <happy>!',
        ),
    ),
    morals=(
        "work together and help each other",
        "learn from your mistakes",
        "finish what you have started",
        "fix what is broken instead of giving up",
    ),
)
