"""Where and when a story happens."""

from random import Random

from polysem.corpora.stories.template import Phrase, joined, tagged
from polysem.corpora.wordlists import expressions, words

PLACES = {
    "park": "in the", "garden": "in the", "forest": "in the", "meadow": "in the", "beach": "at the", "lake": "at the",
    "playground": "at the", "farm": "on the", "hill": "on the", "river": "by the", "pond": "by the", "yard": "in the",
    "field": "in the", "orchard": "in the", "village square": "in the", "old bridge": "near the", "valley": "in the",
    "windmill": "near the", "harbour": "at the",
}  # fmt: skip
WEATHERS = {
    "sunny": "(The sun was (shining|warm and bright)|The sky was blue and the sun was out|It was a"
    " (warm|bright) and sunny"
    " (day|morning))",
    "windy": "(The wind was blowing|It was a windy (day|morning)|The wind made the (leaves|trees) dance)",
    "rainy": "(It was a rainy (day|morning)|Rain was falling on the roof|The rain went drip, drip, drip)",
    "snowy": "(It was a (cold|white) and snowy (day|morning)|Soft snow was falling|Snow covered the trees)",
    "foggy": "(It was a grey and foggy morning|Fog was hiding the trees)",
    "cloudy": "(It was a cloudy (day|morning)|Big clouds were floating in the sky)",
    "stormy": "(A storm was coming|Dark clouds were rolling in and the wind was howling)",
}
MOODS = words("sunny windy cloudy rainy snowy foggy")
HOMES = expressions(
    "in a little house near the woods|in a small village|in a big town|in a yellow house on a hill|at the"
    " end of a quiet"
    " street|in a cottage by the sea|on a farm with many animals|next to a baker's shop|in a tall house with"
    " a blue door"
)
WILD_HOMES = expressions(
    "in a cozy burrow|in a hollow tree|in a big green forest|under an old oak tree|near a clear stream|in a snug den|"
    "by a quiet pond|on the edge of a meadow|at the foot of a tall mountain"
)


def scene(random: Random, weathers: tuple[str, ...] | None = None) -> dict[str, Phrase]:
    """Slots `place`, `at_place`, `to_place` and `weather` (a key of `WEATHERS`)."""
    place = random.choice(tuple(PLACES))
    noun = tagged(place, "place")
    return {
        "place": noun,
        "at_place": joined(Phrase(f"{PLACES[place]} "), noun),
        "to_place": joined(Phrase("to the "), noun),
        "weather": tagged(random.choice(weathers or MOODS), "weather"),
    }
