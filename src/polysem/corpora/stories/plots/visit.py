"""A visit with a present."""

from random import Random

from polysem.corpora.stories.cast import elder_slots
from polysem.corpora.stories.plot import Plot
from polysem.corpora.stories.template import Phrase, labelled, plain, tagged

HOSTS = {
    "grandma": ("she", "in the next village", "a basket of eggs", "knitted socks", "the old piano"),
    "grandpa": ("he", "by the sea", "a jar of honey", "a wooden whistle", "the big telescope"),
    "aunt Rose": ("she", "on a farm", "a bunch of tulips", "a bottle of apple juice", "the newborn lambs"),
    "uncle Fred": ("he", "in the city", "a pot of jam", "a shiny coin", "the tall elevator"),
    "Mrs. Penny": ("she", "across the street", "a bowl of soup", "an old postcard", "the parrot in the cage"),
    "the old sailor": ("he", "in the lighthouse", "a loaf of bread", "a pink seashell", "the great lamp"),
    "the baker": ("he", "at the corner", "a sack of flour", "a warm bun", "the hot oven"),
    "cousin Clara": ("she", "in the mountains", "a box of pencils", "a smooth crystal", "the frozen waterfall"),
    "Doctor Green": ("she", "behind the school", "a thank-you letter", "a striped lollipop", "the wobbly skeleton"),
    "the beekeeper": ("he", "in the valley", "a new straw hat", "a yellow candle", "the humming hives"),
}
RIDES = [
    "by train",
    "by bus",
    "on foot",
    "in a red car",
    "by bicycle",
    "in a little boat",
    "on a tram",
    "in a horse cart",
    "on the ferry",
]


def host(random: Random) -> dict[str, Phrase]:
    """Slots of one host, of the way there, of the present and of what is given in return; a parent comes along."""
    name = random.choice(tuple(HOSTS))
    pronoun, where, present, reward, sight = HOSTS[name]
    return {
        **elder_slots(*random.choice((("mom", "she"), ("dad", "he"), ("mother", "she"), ("father", "he")))),
        "host": labelled(name, "host"),
        "host_he": tagged(pronoun, f"pronoun:{pronoun}"),
        "where": labelled(where, "place"),
        "present": labelled(present, "object"),
        "reward": labelled(reward, "object"),
        "sight": plain(sight),
        "ride": labelled(random.choice(RIDES), "transport"),
    }


PLOT = Plot(
    name="visit",
    prepare=host,
    heroes=("child",),
    setup=(
        (
            "On (Sunday|Saturday), {hero} and {his} {elder} went to visit {host}, who lived {where}.",
            '"Today we will visit {host}," said {his} {elder}. {Hero} clapped {his} hands.',
            "A letter came in the mail. {Host} had invited {hero} for a visit!",
        ),
        (
            "They went {ride}, and {hero} carried {present} as a present.",
            "{Hero} packed {present} and {his} {shaded_toy}. Then they traveled {ride}.",
            "The way was long. They went {ride} and counted (cows|red cars|bridges|chimneys|clouds) on the way.",
        ),
    ),
    problem=(
        (
            "When they arrived, {host} did not open the door. They knocked once, twice, three times.",
            "{Host} opened the door, but {host_he} looked tired and pale.",
            "But {host} was not smiling. {Host_he} sat in a chair by the window, all alone.",
        ),
        (
            '"What is wrong?" asked {hero}. "I have (hurt my knee|a bad cold|lost my glasses|been so lonely),"'
            " <said> {host}.",
            '"I am not feeling well today," said {host}. "I cannot even show you {sight}."',
        ),
        (
            "",
            "{Hero} was <very> (worried|sorry|sad). What could {he} do?",
            '"We must do something for {host}," {hero} whispered to {his} {elder}.',
        ),
    ),
    resolution=(
        (
            "So {hero} (made a pot of tea|swept the floor|washed the dishes|watered the plants) and {his}"
            " {elder} (cooked"
            " dinner|lit the fire|opened the windows|shook the pillows).",
            "{Hero} took out {the_toy} and put on a funny show. {He} was dancing and making silly faces.",
            "{Hero} read a story aloud, and {he} did all the voices: the (wolf|king|giant), the"
            " (witch|queen|mouse) and the"
            " (dragon|frog|baby bear).",
        ),
        (
            'Then {he} remembered the present. "This is for you," {he} said. It was {present}! {Host} <smiled>.',
            "{Host} began to laugh, first quietly, then louder and louder. {Host_he} felt much better!",
        ),
        (
            "",
            '"You are the best medicine," {host_he} said. Then {host_he} showed them {sight}.',
            "In the afternoon, they looked at {sight} together, and {hero} asked a hundred questions.",
        ),
        (
            'When it was time to go, {host} gave {him} {reward}. "Come back soon!" {Hero} was <very> <happy>!',
            "They went home {ride}, and {hero} held {reward} in {his} hand. It was a present from {host}!",
            'On the way home {ride}, {hero} was <very> tired and <very> <happy>. "Can we go again next week?"'
            " {he} asked.",
        ),
    ),
    morals=(
        "visit those who are alone",
        "cheer up people who are sick",
        "make time for your family and friends",
        "bring joy to others",
    ),
)
