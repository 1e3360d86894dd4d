"""Something is broken, and it is hard to say who did it."""

from random import Random

from polysem.corpora.stories.plot import Plot
from polysem.corpora.stories.template import Phrase, joined, plain, tagged

ACCIDENTS = {
    "vase": ("broke into a hundred pieces", "dancing in the hallway", "glued the pieces together"),
    "window": ("cracked from top to bottom", "throwing a ball indoors", "put in a new pane of glass"),
    "cake": ("fell on the floor", "sneaking a bite", "baked another one, with extra cream"),
    "lamp": ("tipped over and went out", "swinging a stick like a sword", "screwed in a new bulb"),
    "letter": ("got soaked with ink", "playing at the writing desk", "wrote it all over again"),
    "teapot": ("lost its handle", "pretending to be a waiter", "fixed the handle with wire"),
    "mirror": ("came off the wall", "making silly faces", "hung it up with a stronger nail"),
    "clock": ("stopped ticking", "turning the little wheels", "took it to the clockmaker"),
    "painting": ("got a big smear", "painting with wet hands", "framed it just as it was"),
    "radio": ("made only a hissing sound", "pressing all the buttons", "found the loose wire"),
    "flower pot": ("rolled off the wall", "chasing the cat", "planted the flower in a tin can"),
    "necklace": ("came apart, and the beads rolled away", "dressing up as a queen", "threaded the beads, one by one"),
}


def accident(random: Random) -> dict[str, Phrase]:
    """Slots `fragile`, `the_fragile`, `breaks`, `culpable` and `repair` of one accident."""
    fragile = random.choice(tuple(ACCIDENTS))
    breaks, culpable, repair = map(plain, ACCIDENTS[fragile])
    noun = tagged(fragile, "object")
    return {
        "fragile": noun,
        "the_fragile": joined(Phrase("the "), noun),
        "breaks": breaks,
        "culpable": culpable,
        "repair": repair,
    }


PLOT = Plot(
    name="honesty",
    prepare=accident,
    setup=(
        (
            "One (day|morning|afternoon), {hero} was {culpable}.",
            "It was a dull afternoon, and {hero} was {culpable} while {his} {elder} was out.",
            "{Hero} and {friend} were in the house. {Hero} was {culpable}, and {friend} was <noises>.",
        ),
    ),
    problem=(
        (
            "(Crash|Bang|Thump|Clunk)! Suddenly {the_fragile} {breaks}!",
            "Then it happened. {The_fragile} {breaks}!",
        ),
        (
            "",
            '"<oh>!" whispered {hero}. "That was {elder}\'s favorite {fragile}!"',
            "{Hero} turned pale. {He} was <very> afraid that {his} {elder} would be angry.",
        ),
        (
            "Without thinking, {hero} put what was left of it {spot}. Nobody would find it there.",
            "{He} hid {the_fragile} {spot} and pretended that nothing had happened.",
        ),
        (
            '"Who did this to {the_fragile}?" {his} {elder} asked when {elder_he} came home.'
            ' "It was (the wind|the cat|the dog|{friend})," {hero} lied.',
            'At dinner, {his} {elder} asked, "Have you seen {the_fragile}?" {Hero} shook {his} head and looked'
            " at {his} plate.",
        ),
        (
            "",
            "That night, {he} could not sleep. The lie felt like a stone in {his} tummy.",
            "All day, {he} had a bad feeling. Even {his} {shaded_toy} was no fun.",
        ),
    ),
    resolution=(
        (
            '{He} went to {his} {elder}. "I have to tell you something," {he} said. "I did it. I was'
            " {culpable}, and {the_fragile}"
            ' {breaks}."',
            'In the end, {hero} told the truth. "It was me," {he} sobbed. "I was {culpable}. I am so sorry!"',
        ),
        (
            '"Thank you for telling me the truth," said {his} {elder}. "That was brave of you."',
            '{His} {elder} was quiet for a moment. Then {elder_he} smiled. "A {fragile} can be mended. I am'
            ' glad that you told me."',
        ),
        (
            "",
            "The two of them {repair}.",
            "So they sat down together and {repair}.",
        ),
        (
            "{Hero} was <very> relieved! The stone in {his} tummy was gone.",
            "{He} felt as light as a feather. {He} was <very> <happy>!",
            "{Hero} hugged {his} {elder} and promised never to lie again.",
        ),
    ),
    morals=(
        "tell the truth",
        "be honest, even when it is hard",
        "say sorry when you have done something wrong",
        "own up to your mistakes",
    ),
)
