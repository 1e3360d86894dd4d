"""A race, and what matters more than winning."""

from random import Random

from polysem.corpora.stories.plot import Plot
from polysem.corpora.stories.template import Phrase, joined, labelled, plain, tagged
from polysem.corpora.wordlists import expressions

RACES = {
    "running race": ("running", "tripped over a root", "finish line"),
    "boat race": ("rowing", "lost an oar", "far shore"),
    "sack race": ("hopping", "got tangled in the sack", "big flag"),
    "egg and spoon race": ("balancing", "dropped the egg", "chalk line"),
    "sledge race": ("sliding", "crashed into a snowdrift", "bottom of the hill"),
    "swimming race": ("paddling", "got a cramp", "wooden jetty"),
    "cart race": ("steering", "lost a wheel", "last hay bale"),
    "climbing race": ("climbing", "hung on a twisted rope", "top of the tower"),
}
PRIZES = expressions("medal|cup|cake|crown|ribbon|basket of fruit|kite|book")


def race(random: Random) -> dict[str, Phrase]:
    """Slots `race`, `racing`, `accident`, `goal` and `prize` of one race."""
    name = random.choice(tuple(RACES))
    racing, accident, goal = RACES[name]
    prize = random.choice(PRIZES)
    shade = tagged(random.choice(("golden", "red", "blue", "silver", "shiny")), "colour")
    return {
        "race": labelled(name, "event"),
        "racing": tagged(racing, "action"),
        "accident": plain(accident),
        "goal": labelled(goal, "place"),
        "prize": tagged(prize, "object"),
        "a_prize": joined(Phrase("a "), shade, Phrase(" "), tagged(prize, "object")),
    }


PLOT = Plot(
    name="race",
    prepare=race,
    setup=(
        (
            "Every summer, there was a big {race} {at_place}. The winner got {a_prize}.",
            '"Tomorrow is the {race}!" said {friend}. "The first one gets {a_prize}."',
            "{Hero} wanted to win the {race} and take home the {prize}.",
        ),
        (
            "{Hero} was fast and strong. {Friend} was slow but steady.",
            "{Friend} had trained for three weeks. {Hero} had trained for only one.",
            '"I am the fastest of all!" {hero} boasted. {Friend} said nothing and smiled.',
        ),
    ),
    problem=(
        (
            "",
            '"Three, two, one, go!" {his} {elder} <cried>, and off they went.',
            "The whistle blew. Everyone cheered and waved their (flags|hats|scarves).",
        ),
        (
            "{Hero} was {racing} as fast as {he} could. {He} was first, and {friend} was second.",
            "Soon they were {racing} side by side, {hero} on the left and {friend} on the right.",
        ),
        (
            'Then, just before the {goal}, {friend} {accident}. "Ouch!" {friend_he} <cried>.',
            "Halfway to the {goal}, {friend} {accident} and could not go on.",
        ),
        (
            "",
            "{Hero} looked at the {goal}. Then {he} looked back at {friend}. What should {he} do?",
            "{Hero} could already see the {prize}. It was so near!",
        ),
    ),
    resolution=(
        (
            "{Hero} stopped, turned around and went back.",
            '"The {prize} can wait," thought {hero}, and {he} stopped.',
        ),
        (
            '"Are you hurt? Take my hand," {he} said. Together they went on, slowly, until they reached the {goal}.',
            "{He} put {friend}'s arm around {his} shoulder. Side by side, they came to the {goal}, the last of all.",
        ),
        (
            "",
            "The crowd was silent. Then everyone began clapping and cheering, louder than for the winner!",
            "Somebody else had won the {prize}. But the loudest cheers were for {hero} and {friend}!",
        ),
        (
            '"You won something better than {a_prize}," said {his} {elder}. {Hero} was <very> proud!',
            '"<thanks>! You are a true friend," said {friend}. {Hero} was <very> <happy>, even without the {prize}!',
            "In the evening, {friend} gave {him} a {prize} made of paper. {Hero} was <very> <happy>!",
        ),
    ),
    morals=(
        "remember that friends matter more than winning",
        "stop and help, even when you are in a hurry",
        "play fair",
        "be modest when you are strong",
    ),
)
