"""A seed, and how long it takes."""

from random import Random

from polysem.corpora.stories.cast import article
from polysem.corpora.stories.plot import Plot
from polysem.corpora.stories.template import Phrase, joined, tagged
from polysem.corpora.wordlists import words

PLANTS = {
    "sunflower": ("yellow", "as tall as the house", "seeds for the birds"),
    "pumpkin": ("orange", "as big as a wheel", "a big pot of soup"),
    "rose": ("red", "as soft as velvet", "petals for a sweet perfume"),
    "bean": ("green", "as long as a ladder", "dinner for everyone"),
    "tulip": ("pink", "as smooth as silk", "a bouquet for the table"),
    "lavender": ("purple", "as fragrant as soap", "little bags for the wardrobe"),
    "tomato": ("red", "as round as a ball", "sauce for the noodles"),
    "bluebell": ("blue", "as dainty as a bell", "a crown of flowers"),
    "lily": ("white", "as bright as snow", "a gift for the neighbours"),
    "cucumber": ("green", "as cool as ice", "sandwiches for the picnic"),
    "watermelon": ("green", "as heavy as a stone", "slices for the whole street"),
    "poppy": ("orange", "as thin as paper", "a painting for the wall"),
}


def plant(random: Random) -> dict[str, Phrase]:
    """Slots `plant`, `plant_colour`, `likeness` and `harvest` of one plant, and a number of days."""
    name = random.choice(tuple(PLANTS))
    colour, likeness, harvest = PLANTS[name]
    shade = tagged(colour, "colour")
    return {
        "plant": tagged(name, "plant"),
        "plant_colour": shade,
        "a_plant_colour": joined(Phrase(f"{article(colour)} "), shade),
        "likeness": Phrase(likeness),
        "harvest": Phrase(harvest),
        "days": tagged(random.choice(words("three four five six seven eight nine ten twelve")), "number"),
    }


PLOT = Plot(
    name="patience",
    prepare=plant,
    setup=(
        (
            '{His} {elder} gave {hero} a tiny {plant} seed. "If you take care of it, it will grow," {elder_he} said.',
            '{Hero} found a little seed {at_place}. "That is a {plant} seed," {his} {elder} explained.',
            "At the market, {hero} bought a seed for one penny. On the bag stood {a_plant_colour} {plant}.",
        ),
        (
            "{Hero} dug a hole {wild_spot}, put the seed in and covered it with (earth|soil).",
            "{Hero} filled a pot with soil, pushed the seed in with {his} thumb and gave it water.",
        ),
    ),
    problem=(
        (
            "{He} waited for an hour. Nothing happened. {He} waited until bedtime. Still nothing!",
            "The next morning, {he} ran out to look. There was only brown earth.",
            "{Days} days went by, and there was not even a leaf.",
        ),
        (
            "",
            '"Grow, seed, grow!" {he} <cried> and stamped {his} foot. But the {plant} did not hurry.',
            '{Hero} was <very> (disappointed|bored|cross). "This seed is broken," {he} grumbled.',
            '{He} wanted to dig it up again. "Wait!" said {friend}. "It is sleeping."',
        ),
        (
            "",
            '"Good things take time," said {his} {elder}. "Give it water, give it light, and wait."',
            '"Do you know how long a tree needs?" asked {friend}. "A hundred years! A {plant} is much faster."',
        ),
    ),
    resolution=(
        (
            "So {hero} watered it every morning. {He} pulled out the weeds and chased away the snails.",
            "{Hero} sang to it when the sun was shining, and {he} covered it when the nights were cold.",
        ),
        (
            'After {days} days, a green tip came out of the ground! "It is alive!" {hero} <cried>.',
            "And then, after {days} more days, there was a tiny green sprout! {Hero} danced around it.",
        ),
        (
            "It grew and grew. In the summer, there was a <nice> {plant_colour} {plant}, {likeness}!",
            "Leaf by leaf it climbed up. At last, there it was: {a_plant_colour} {plant}, {likeness}!",
        ),
        (
            "There was enough for {harvest}. {Hero} was <very> proud!",
            'They made {harvest}. "It was worth the wait," said {hero}. {He} was <very> <happy>!',
            "{Friend} got one, too, and they used it for {harvest}. Everyone was <very> <happy>!",
        ),
    ),
    morals=(
        "be patient, because good things take time",
        "take care of what you plant",
        "water your dreams every day",
        "wait calmly for what you wish for",
    ),
)
