"""Things are gathered, given away and counted."""

from random import Random

from polysem.corpora.stories.plot import Plot
from polysem.corpora.stories.template import Phrase, labelled, tagged
from polysem.corpora.wordlists import words

NUMBERS = words("zero one two three four five six seven eight nine ten eleven twelve")
TREASURES = {
    "shell": ("shells", "in the sand"),
    "acorn": ("acorns", "under the oak tree"),
    "apple": ("apples", "on the apple tree"),
    "flower": ("flowers", "along the path"),
    "pebble": ("pebbles", "by the stream"),
    "feather": ("feathers", "near the duck pond"),
    "egg": ("eggs", "in the hen house"),
    "button": ("buttons", "in grandma's sewing box"),
    "coin": ("coins", "under the old bridge"),
    "chestnut": ("chestnuts", "on the wet ground"),
    "pinecone": ("pinecones", "at the edge of the woods"),
    "mushroom": ("mushrooms", "between the ferns"),
    "strawberry": ("strawberries", "in the strawberry patch"),
}


def amounts(random: Random) -> dict[str, Phrase]:
    """Slots of something to count: `start` less `given` is `left`, and `found` more make `total`."""
    single = random.choice(tuple(TREASURES))
    plural, where = TREASURES[single]
    start = random.randrange(5, 10)
    given = random.randrange(2, start - 1)
    left = start - given
    found = random.randrange(2, 13 - left)
    counts = {"start": start, "given": given, "left": left, "found": found, "total": left + found}
    listing = ", ".join(NUMBERS[1 : start + 1])
    spans = tuple((listing.index(word), listing.index(word) + len(word), "number") for word in NUMBERS[1 : start + 1])
    return {
        "treasures": tagged(plural, "object"),
        "grounds": labelled(where, "spot"),
        "listing": Phrase(listing, spans),
        **{name: tagged(NUMBERS[count], "number") for name, count in counts.items()},
    }


PLOT = Plot(
    name="counting",
    prepare=amounts,
    setup=(
        (
            "{Hero} loved to collect {treasures}. {He} found them {grounds}.",
            "{Hero} was learning to count. So {his} {elder} sent {him} out to find {treasures} {grounds}.",
            "One morning, {hero} took a basket and went looking for {treasures} {grounds}.",
        ),
        (
            '{He} counted them aloud. "{Listing}!" {He} had {start} {treasures} in the basket.',
            '"{Listing}. I have {start} {treasures}!" {he} (counted|said|sang).',
        ),
    ),
    problem=(
        (
            "Then {friend} came along. {Friend_he} had no {treasures}, and {friend_he} looked <sad>.",
            '"You have so many {treasures}, and I have none," said {friend} in a <sad> voice.',
            "On the way home, {he} met {friend}, who was <crying>. {Friend} had lost all {friend_his} {treasures}.",
        ),
        (
            "{Hero} took {given} {treasures} out of the basket and gave them to {friend}.",
            '"Do not be sad. Here are {given} {treasures} for you," said {hero}.',
        ),
        (
            'Now {he} had only {left} {treasures}. "{Start} take away {given} is {left}," {he} whispered.',
            '{He} looked into the basket. "{Start} minus {given}," {he} thought. "Now I have {left}." Was that enough?',
        ),
    ),
    resolution=(
        (
            "",
            '"<thanks>!" {friend} <smiled>. "I know a secret spot. Come with me!"',
            '"You are <very> kind," said {friend}. "Let me show you something."',
        ),
        (
            "{Friend} led {him} {wild_spot}, and there they found {found} more {treasures}!",
            "They searched {wild_spot}. {Found} more {treasures} were waiting there!",
        ),
        (
            '{Hero} counted again. "{Left} and {found} make {total}! I have {total} {treasures}!"',
            '"{Left} plus {found} is {total}," {hero} <cried>. "Now I have {total} {treasures}!"',
        ),
        (
            "{He} was <very> <happy>! {He} put the {total} {treasures} {spot} and told {his} {elder} all about it.",
            '"You can count and you can share," said {his} {elder}. {Hero} was <very> proud!',
            "The two friends went home <noises>, and they made a <nice> necklace out of string and {treasures}.",
        ),
    ),
    morals=(
        "give to others, for it comes back to you",
        "be generous",
        "count your blessings and share them",
        "help a friend who has less than you",
    ),
)
