"""The weather spoils a plan, and something else is just as good."""

from random import Random

from polysem.corpora.stories.plot import Plot
from polysem.corpora.stories.template import Phrase, labelled, plain, tagged

PLANS = {
    "have a picnic": ("a picnic", "a blanket and sandwiches", "had the picnic on the living room floor"),
    "go swimming": ("swimming", "towels and goggles", "splashed in the bathtub like whales"),
    "fly kites": ("kites", "kites and a long string", "made tiny paper kites and hung them from the lamp"),
    "go camping": ("camping", "a tent and sleeping bags", "built a tent out of chairs and blankets"),
    "play soccer": ("soccer", "a ball and two caps", "played soccer with a rolled-up sock in the hallway"),
    "pick strawberries": ("strawberries", "two baskets and sun hats", "made jam tarts and painted strawberries"),
    "ride bikes": ("bikes", "helmets and water bottles", "turned the chairs into racing bikes"),
    "go fishing": ("fishing", "rods and a net", "went fishing for socks from the top of the sofa"),
    "see the parade": ("the parade", "flags and paper hats", "marched around the table with pots and pans"),
    "look at the stars": ("the stars", "a telescope and a map", "stuck paper stars all over the ceiling"),
}
SPOILERS = {
    "rain": ("Drip, drop, it began to rain", "raining", "The rain was pouring down"),
    "thunder": ("Boom! There was a loud clap of thunder", "thundering", "Lightning was flashing in the sky"),
    "snow": ("Big white snowflakes began to fall", "snowing", "Soon the path was covered with snow"),
    "wind": ("The wind began to howl", "storming", "Leaves and hats were flying through the air"),
    "hail": ("Little balls of ice came down, tick, tack, tick", "hailing", "The hail was hopping on the street"),
    "fog": ("A thick fog came creeping in", "getting darker", "They could not even see the fence"),
}


def plan(random: Random) -> dict[str, Phrase]:
    """Slots of a plan, of the weather that spoils it and of what is done instead."""
    name = random.choice(tuple(PLANS))
    short, luggage, instead = map(plain, PLANS[name])
    spoiler = random.choice(tuple(SPOILERS))
    begins, going_on, gets_worse = map(plain, SPOILERS[spoiler])
    return {
        "plan": labelled(name, "plan"),
        "short_plan": short,
        "luggage": luggage,
        "instead": instead,
        "spoiler": tagged(spoiler, "weather"),
        "begins": begins,
        "going_on": going_on,
        "gets_worse": gets_worse,
    }


PLOT = Plot(
    name="spoiled-plan",
    prepare=plan,
    weathers=("sunny", "windy", "cloudy"),
    setup=(
        (
            "{Hero} and {friend} wanted to {plan} {at_place}.",
            '"Tomorrow we will {plan}," {his} {elder} had promised. {Hero} could hardly sleep.',
            "All week long, {hero} had been waiting to {plan} with {friend}.",
        ),
        (
            "",
            "They packed {luggage}, and {hero} took {his} {shaded_toy}, too.",
            "In the morning, {luggage} were ready by the door.",
        ),
    ),
    problem=(
        (
            "But just as they were leaving, the sky turned (grey|black|dark). {Begins}!",
            "They had walked only ten steps when a cold wind came up. {Begins}!",
            "Then {hero} looked out of the window. {Begins}!",
        ),
        (
            '{Gets_worse}. "Quick, run back inside!" <cried> {his} {elder}.',
            '{Gets_worse}. "We cannot {plan} now," sighed {friend}.',
        ),
        (
            '"It is not fair! Silly {spoiler}!" {hero} grumbled. {He} was <very> (disappointed|cross|angry|sad).',
            "{Hero} pressed {his} nose against the cold glass. {He} was <very> (disappointed|gloomy|sad|upset).",
            '"I wanted {short_plan}!" {hero} wailed, and {he} threw the {toy} into the corner.',
        ),
    ),
    resolution=(
        (
            '{His} {elder} thought for a moment. "Who says that we need good weather?" {elder_he} asked with a wink.',
            '"I know what we can do!" {friend} said and {friend_his} eyes were sparkling.',
            "Then {hero} saw {luggage} lying on the floor, and {he} had a <great> idea.",
        ),
        (
            "So they stayed inside and {instead}.",
            "They pushed the table aside, and then they {instead}!",
        ),
        (
            "",
            "Outside it was {going_on}, but inside they were <noises> and eating {flavour} {sweets}.",
            "The {spoiler} did not bother them at all. They were <noises> until their tummies hurt.",
        ),
        (
            '"This was even better than {short_plan} outside!" {hero} said. {He} was <very> <happy>!',
            "When the {spoiler} was over, a rainbow stood in the sky. But nobody noticed, because they were"
            " having so much fun!",
            '"I hope there is {spoiler} tomorrow, too!" {hero} laughed. Everyone was <very> <happy>!',
        ),
    ),
    morals=(
        "make the best of every day",
        "look for a new plan when the old one fails",
        "stay cheerful when things go wrong",
        "use your imagination",
    ),
)
