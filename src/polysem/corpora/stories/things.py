"""What is in a story: toys with what one does with them, food, presents, hiding places."""

from functools import cache
from random import Random

from polysem.corpora.stories.cast import article
from polysem.corpora.stories.template import Phrase, World, joined, labelled, tagged
from polysem.corpora.wordlists import expressions, words

TOYS: dict[str, tuple[str, str, str]] = {
    "ball": ("bounce", "bouncing", "bounced"),
    "kite": ("fly", "flying", "flew"),
    "drum": ("tap on", "tapping on", "tapped on"),
    "toy car": ("race", "racing", "raced"),
    "toy train": ("push", "pushing", "pushed"),
    "toy boat": ("sail", "sailing", "sailed"),
    "doll": ("hug", "hugging", "hugged"),
    "teddy bear": ("cuddle", "cuddling", "cuddled"),
    "whistle": ("blow", "blowing", "blew"),
    "scooter": ("ride", "riding", "rode"),
    "wagon": ("pull", "pulling", "pulled"),
    "spinning top": ("spin", "spinning", "spun"),
    "puppet": ("dance with", "dancing with", "danced with"),
    "flute": ("play", "playing", "played"),
    "hat": ("wear", "wearing", "wore"),
    "scarf": ("wear", "wearing", "wore"),
    "cape": ("wave", "waving", "waved"),
    "marble": ("roll", "rolling", "rolled"),
    "balloon": ("toss", "tossing", "tossed"),
    "skipping rope": ("jump with", "jumping with", "jumped with"),
    "yo-yo": ("swing", "swinging", "swung"),
    "bell": ("ring", "ringing", "rang"),
    "robot": ("wind up", "winding up", "wound up"),
    "picture book": ("read", "reading", "read"),
    "magnet": ("play with", "playing with", "played with"),
    "bucket": ("fill", "filling", "filled"),
    "paper plane": ("throw", "throwing", "threw"),
    "rocket": ("launch", "launching", "launched"),
    "frisbee": ("throw", "throwing", "threw"),
    "tricycle": ("ride", "riding", "rode"),
}
COLOURS = words("red blue green yellow orange purple pink white black brown silver golden")
SIZES = words("big little tiny shiny soft old new round pretty special")
SWEETS = words(
    "cookie cake muffin pie sandwich pancake apple pear peach banana orange plum melon lollipop bun waffle"
    " donut pretzel"
)
PLURALS = {"sandwich": "sandwiches", "peach": "peaches"}
FLAVOURS = words("sweet warm fresh juicy yummy crunchy tasty soft big ripe")
SPOTS = expressions(
    "under the bed|behind the sofa|in the basket|in the box|under the table|behind the door|on the shelf|under the rug|"
    "in the drawer|behind the curtain|under a pillow|in the cupboard|on top of the wardrobe|in the laundry pile"
)
WILD_SPOTS = expressions(
    "under a bush|behind a big rock|in the tall grass|under a pile of leaves|next to the old tree|beside the pond|"
    "in a hollow log|between two roots|under the wooden bench|near the stone wall|in the flower bed|behind the fence"
)
CREATURES = {
    "bird": "nest",
    "kitten": "basket",
    "puppy": "kennel",
    "duckling": "pond",
    "squirrel": "tree",
    "butterfly": "flower",
    "ladybug": "leaf",
    "hedgehog": "pile of leaves",
    "lamb": "barn",
    "turtle": "pond",
    "mouse": "hole",
    "frog": "pond",
    "snail": "wall",
    "fawn": "forest",
}


@cache
def toy_slots(toy: str, colour: str, size: str) -> World:
    """Slots `toy` ("ball"), `a_toy` and `the_toy` with its colour, `a_sized_toy`, and `use`, `using`, `used`."""
    noun, shade = tagged(toy, "object"), tagged(colour, "colour")
    use, using, used = TOYS[toy]
    action = using.split()[0]
    return {
        "toy": noun,
        "a_toy": joined(Phrase(f"{article(colour)} "), shade, Phrase(" "), noun),
        "the_toy": joined(Phrase("the "), shade, Phrase(" "), noun),
        "shaded_toy": joined(shade, Phrase(" "), noun),
        "a_sized_toy": joined(Phrase(f"{article(size)} {size} "), shade, Phrase(" "), noun),
        "shade": shade,
        "use": Phrase(use),
        "using": Phrase(using, ((0, len(action), "action"),)),
        "used": Phrase(used),
    }


@cache
def food_slots(food: str, flavour: str) -> World:
    """Slots `sweet` ("cookie"), `a_tasty_sweet` ("a warm cookie"), `sweets` and `flavour`."""
    noun = tagged(food, "food")
    return {
        "sweet": noun,
        "a_tasty_sweet": joined(Phrase(f"{article(flavour)} {flavour} "), noun),
        "sweets": tagged(PLURALS.get(food, f"{food}s"), "food"),
        "flavour": Phrase(flavour),
    }


@cache
def creature_slots(creature: str) -> World:
    """Slots `creature`, `a_creature` and `creature_home`."""
    noun = tagged(creature, "animal")
    return {
        "creature": noun,
        "a_creature": joined(Phrase(f"{article(creature)} "), noun),
        "creature_home": tagged(CREATURES[creature], "place"),
    }


def things(random: Random) -> dict[str, Phrase]:
    """Slots of a toy and another one, a sweet, a hiding place indoors and one outdoors, and a creature in need."""
    toy, other = random.sample(tuple(TOYS), 2)
    colour, other_colour = random.sample(COLOURS, 2)
    second = toy_slots(other, other_colour, random.choice(SIZES))
    return {
        **toy_slots(toy, colour, random.choice(SIZES)),
        **{f"other_{slot}": phrase for slot, phrase in second.items()},
        **food_slots(random.choice(SWEETS), random.choice(FLAVOURS)),
        **creature_slots(random.choice(tuple(CREATURES))),
        "spot": labelled(random.choice(SPOTS), "spot"),
        "wild_spot": labelled(random.choice(WILD_SPOTS), "spot"),
    }
