"""What plain words mean wherever they stand in a story, and the macros of the templates."""

import re

from polysem.corpora.tagged import Span
from polysem.corpora.wordlists import words

WORDS: dict[str, str] = {
    "feeling": (
        "happy glad proud excited cheerful joyful delighted thankful grateful merry pleased sad sorry upset lonely"
        " worried unhappy gloomy scared afraid frightened nervous shy angry cross grumpy jealous ashamed surprised"
        " amazed curious tired sleepy hungry thirsty bored calm brave safe hopeful disappointed embarrassed relieved"
        " joy fear happiness sadness"
    ),
    "number": "two three four five six seven eight nine ten eleven twelve twenty hundred first second third",
    "colour": "red blue green yellow orange purple pink white black brown grey gold silver golden",
    "family": (
        "mom mommy mother dad daddy father grandma grandpa grandmother grandfather sister brother aunt uncle cousin"
        " family baby parents"
    ),
    "time": (
        "day days morning afternoon evening night noon today tomorrow yesterday tonight week weeks month summer winter"
        " spring autumn saturday sunday monday tuesday wednesday birthday minute minutes hour bedtime lunchtime"
    ),
    "weather": (
        "sun sunny rain rainy rained raining wind windy cloud clouds cloudy snow snowy snowed snowing storm stormy"
        " thunder lightning rainbow fog foggy raindrops snowflakes sunshine puddle puddles"
    ),
    "animal": (
        "dog dogs cat cats bird birds fish frog frogs duck ducks rabbit rabbits bee bees butterfly butterflies squirrel"
        " squirrels mouse mice cow cows pig pigs sheep hen hens horse horses kitten puppy ant ants worm worms owl fox"
        " chick chicks goat goats snail snails spider animals animal ladybug cricket crickets"
    ),
    "place": (
        "park garden forest river beach hill farm barn pond lake yard library market shop school kitchen house home"
        " room bedroom attic cellar meadow village town street path bridge playground zoo field woods hallway"
        " classroom shed cave nest porch"
    ),
    "food": (
        "apple apples cake cakes cookie cookies bread soup milk honey berries berry pie jam cheese carrots carrot"
        " pancakes sandwich sandwiches lunch dinner breakfast supper snack picnic tea juice cocoa flour sugar"
        " butter eggs"
    ),
    "object": (
        "box basket bag table chair bed blanket pillow window door lamp shelf drawer cupboard rug sofa toy toys book"
        " books cup bowl spoon plate rope ladder bucket brush paint paper glue string button ribbon boots umbrella"
        " lantern candle key pot pan net stick sticks stone stones letter card present jar tent hammer nails bandage"
        " towel pocket vase"
    ),
    "sound": "woof meow tweet quack ribbit moo oink boom bang splash creak crash whoosh squeak buzz thump drip crack",
    "negation": (
        "not never nothing nobody nowhere don't didn't couldn't can't wouldn't wasn't isn't doesn't won't shouldn't"
        " weren't aren't haven't hadn't"
    ),
    "pronoun:she": "she her hers herself",
    "pronoun:he": "he him his himself",
    "pronoun:they": "they them their theirs themselves",
    "pronoun:I": "i me my mine myself i'm i'll i've",
    "pronoun:you": "you your yours yourself you're you'll",
    "pronoun:we": "we us our ours let's we'll",
    "pronoun:it": "it its itself it's",
    "politeness": "please thanks hello hi goodbye welcome",
    "question": "what where why who how",
}

PHRASES: dict[str, str | None] = {
    "one day": "time",
    "every day": "time",
    "once upon a time": "time",
    "no one": "negation",
    "one by one": "number",
    "one more": "number",
    "thank you": "politeness",
    "excuse me": "politeness",
    "one of": "number",
    "in front": None,
    "how to": None,
}
"""Expressions that are tagged as a whole, or not at all."""

NOT_ACTIONS = frozenset(
    words(
        "anything bring ceiling everything evening feeling king lightning morning nothing pudding ring sing something"
        " spring sting string swing thing wing interesting exciting boring surprising amazing during darling missing"
    )
)
"""Words that end in -ing and name no action."""

TAG_OF: dict[str, str] = {word: tag for tag, listed in WORDS.items() for word in words(listed)}

_WORD = re.compile("|".join([*sorted(map(re.escape, PHRASES), key=len, reverse=True), r"[a-z]+(?:'[a-z]+)?"]), re.I)

MACROS: dict[str, str] = {
    "happy": "(happy|glad|cheerful|delighted|joyful|pleased|merry|happy)",
    "sad": "(sad|upset|unhappy|gloomy|sad)",
    "scared": "(scared|afraid|frightened|nervous)",
    "very": "(very|so|really|very)",
    "said": "(said|answered|replied|said)",
    "big": "(big|huge|large|great)",
    "little": "(little|small|tiny|little)",
    "nice": "(nice|lovely|pretty|beautiful|wonderful)",
    "quickly": "(quickly|at once|right away|in a hurry)",
    "cried": "(cried|shouted|called|yelled)",
    "smiled": "(smiled|grinned|laughed|beamed|giggled)",
    "looked": "(looked|searched|peeked|checked)",
    "walked": "(walked|skipped|hurried|marched|wandered|ran|hopped)",
    "great": "(great|wonderful|fantastic|perfect|splendid)",
    "thanks": "(Thank you|Thank you so much|Thanks|Oh, thank you)",
    "ok": "(Okay|All right|Yes|Of course|Sure)",
    "yay": "(Hooray|Yay|Wow|Hurray|Yippee)",
    "oh": "(Oh no|Oh dear|Oh my|Uh-oh)",
    "playing": (
        "(playing|running|jumping|dancing|singing|laughing|skipping|hopping|climbing|swinging|digging|splashing|sliding"
        ")"
    ),
    "noises": "(laughing|giggling|smiling|singing|humming|whistling|clapping|cheering)",
    "crying": "(crying|sobbing|weeping|sniffling|crying)",
    "inside": "(into the kitchen|into the living room|up to the bedroom|into the house|down the hallway)",
    "furniture": "(bed|sofa|table|rug|big chair|bookshelf|cupboard|blanket|pillow)",
}


def spans_of(text: str) -> tuple[Span, ...]:
    """Tags of the words in `text` that the lexicon knows, and of verbs in -ing."""
    spans: list[Span] = []
    for match in _WORD.finditer(text):
        word = match.group().lower()
        tag = PHRASES[word] if word in PHRASES else TAG_OF.get(word)
        if tag is None and word.endswith("ing") and word not in NOT_ACTIONS:
            tag = "action"
        if tag is not None:
            spans.append((match.start(), match.end(), tag))
    return tuple(spans)
