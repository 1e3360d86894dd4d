"""Everybody seems to have forgotten a birthday."""

from random import Random

from polysem.corpora.stories.plot import Plot
from polysem.corpora.stories.template import Phrase, plain, tagged
from polysem.corpora.wordlists import expressions, words

AGES = words("four five six seven eight nine")
EXCUSES = {
    "I have to clean my room": "a broom",
    "I am helping my grandma": "a big pot",
    "I must feed the chickens": "a bag of corn",
    "I have a lot of homework": "a pile of books",
    "I am going to the dentist": "a toothbrush",
    "I need to wash the dog": "a bar of soap",
    "I am looking for my sock": "one sock",
    "I have to practice the violin": "a black case",
}
DECORATIONS = expressions("balloons|paper stars|candles|garlands|flags|lanterns|streamers|paper flowers")


def party(random: Random) -> dict[str, Phrase]:
    """Slots of an age, an excuse that the friend makes, and how the party looks."""
    excuse = random.choice(tuple(EXCUSES))
    return {
        "age": tagged(random.choice(AGES), "number"),
        "excuse": plain(excuse),
        "clue": plain(EXCUSES[excuse]),
        "decoration": tagged(random.choice(DECORATIONS), "object"),
    }


PLOT = Plot(
    name="surprise",
    prepare=party,
    setup=(
        (
            "Today was {hero}'s birthday. {He} was turning {age}!",
            '{Hero} jumped out of bed. "Today I am {age} years old!" {he} sang.',
            "On the calendar, {hero} had drawn a big {shade} circle around today. It was {his} birthday, and"
            " {he} was {age} now.",
        ),
        (
            "What {he} wished for most was {a_toy}.",
            "{He} had told everyone that {he} wanted {a_toy}.",
            "Would there be a present? Perhaps even {a_toy}?",
        ),
    ),
    problem=(
        (
            "",
            '"Good morning," said {his} {elder} and went on (sweeping|reading|peeling potatoes). Nothing more.',
            "There was no cake on the table. {His} {elder} was (in a hurry|not even home|talking on the phone).",
        ),
        (
            '{He} ran to {friend}. "Do you want to play?" "Sorry, {excuse}," <said> {friend}, who was carrying {clue}.',
            '{Friend} was walking by with {clue}. "I have no time today," {friend_he} said. "{Excuse}."',
        ),
        (
            '"Nobody remembers my birthday," thought {hero}. {He} was <very> (sad|disappointed|lonely).',
            "{Hero} walked {to_place} and sat down {wild_spot}. A tear rolled down {his} nose. {He} was <very> <sad>.",
        ),
    ),
    resolution=(
        (
            "When it got dark, {he} went home. There was no light in the window. {He} opened the door"
            " and could not believe {his} eyes.",
            'Late in the afternoon, {his} {elder} called. "{Hero}, can you come here for a minute?" {He}'
            " opened the door slowly.",
        ),
        (
            '"Surprise!" everyone <cried>. There were {shade} {decoration} all over the room!',
            '"Happy birthday, {hero}!" they <cried>. The room was full of {shade} {decoration}!',
        ),
        (
            "",
            '"I am sorry that I told you, {excuse}," laughed {friend}. "I was hanging up the {decoration}!"',
            "{Friend} was there, too. {Friend_he} had put {clue} in the corner and was <noises>.",
        ),
        (
            "There was a cake with {age} candles. {Hero} blew out all {age}, and then {he} opened {his}"
            " present. It was {a_toy}!",
            'On the table lay a big box. Inside was {a_toy}! "Just what I wanted!" {he} <cried>.',
        ),
        (
            "{Hero} was <very> <happy>! (No one|Nobody) had forgotten {him}.",
            "They danced and ate {sweets} until late at night. {Hero} was <very> <happy>!",
        ),
    ),
    morals=(
        "trust your friends",
        "remember that good surprises need a little secret",
        "make others feel special on their birthday",
    ),
)
