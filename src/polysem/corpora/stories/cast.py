"""Who is in a story: children and animals with their pronouns, and grown-ups."""

from functools import cache
from random import Random
from typing import NamedTuple

from polysem.corpora.stories.template import Phrase, World, joined, tagged
from polysem.corpora.wordlists import words

GIRLS = words(
    "Lily Mia Sara Anna Lucy Emma Zoe Ruby Nora Ella Clara Amy Rosie Maya Tina Sue Jane Hana Ivy Leah Kim"
    " Daisy Nina Eva"
    " Molly Grace Ada Olive Poppy Fay Iris Priya Aisha Yuki Carmen Greta"
)
BOYS = words(
    "Tom Ben Max Sam Tim Leo Jack Noah Finn Oscar Luke Adam Omar Ravi Hugo Peter Dan Billy Nick Jonas Ali Theo"
    " Felix Toby"
    " Mark Henry Joe Kenji Mateo Paul Simon Ned Victor Otis Emil Bruno"
)
ANIMAL_NAMES = words(
    "Pip Momo Fluffy Biscuit Pepper Nibbles Dot Coco Sunny Whiskers Button Hazel Mango Waffles Tumble Bramble"
    " Patch Socks"
    " Bubbles Ziggy Tango Clover Pebble Muffin Rusty Snowy Pumpkin Twig"
)
ANIMALS = {
    "rabbit": "Hop, hop",
    "mouse": "Squeak",
    "bear": "Grrr",
    "fox": "Yip",
    "duck": "Quack",
    "squirrel": "Chip, chip",
    "hedgehog": "Sniff, sniff",
    "frog": "Ribbit",
    "kitten": "Meow",
    "puppy": "Woof",
    "owl": "Hoo, hoo",
    "turtle": "Hum",
    "pig": "Oink",
    "goat": "Maa",
    "lamb": "Baa",
    "monkey": "Ooh, ooh",
    "elephant": "Toot",
    "lion": "Roar",
    "penguin": "Honk",
    "beaver": "Slap, slap",
    "badger": "Snuff",
    "deer": "Tap, tap",
}
ANIMAL_MANNERS = words("little small tiny young fluffy clever quiet funny gentle")
CHILD_MANNERS = words("little little young small kind clever curious cheerful brave quiet friendly")
WOMEN = ("mom", "mother", "grandma", "aunt", "teacher", "mom", "grandmother", "neighbour")
MEN = ("dad", "father", "grandpa", "uncle", "teacher", "dad", "grandfather", "neighbour")
FAMILY = frozenset(WOMEN + MEN) - {"teacher", "neighbour"}

PRONOUNS = {"she": ("she", "her", "her", "herself"), "he": ("he", "him", "his", "himself")}


class Character(NamedTuple):
    """Somebody with a name; `kind` is `girl`, `boy` or an animal."""

    name: str
    kind: str
    pronoun: str


def child(random: Random) -> Character:
    """A girl or a boy."""
    if random.random() < 0.5:
        return Character(random.choice(GIRLS), "girl", "she")
    return Character(random.choice(BOYS), "boy", "he")


def animal(random: Random) -> Character:
    """An animal that talks."""
    return Character(random.choice(ANIMAL_NAMES), random.choice(tuple(ANIMALS)), random.choice(("she", "he")))


def article(word: str) -> str:
    """`a` or `an`, by the first letter; the vocabulary has no silent h and no sounded u."""
    return "an" if word[0] in "aeiou" else "a"


def kind_phrase(kind: str) -> Phrase:
    """The word for what somebody is; tagged if it is an animal."""
    return Phrase(kind) if kind in ("girl", "boy") else tagged(kind, "animal")


@cache
def pronouns(pronoun: str, prefix: str) -> World:
    """Slots `he`, `him`, `his` and `himself`, spelled with the pronoun of somebody, under a prefix."""
    forms = zip(("he", "him", "his", "himself"), PRONOUNS[pronoun], strict=True)
    return {f"{prefix}{slot}": tagged(form, f"pronoun:{pronoun}") for slot, form in forms}


@cache
def character_slots(character: Character, role: str, manner: str) -> World:
    """Slots `{role}`, `a_{role}` ("a little girl"), `{role}_sound` and the pronouns; the hero's have no prefix."""
    kind = kind_phrase(character.kind)
    return {
        role: tagged(character.name, "name", f"character:{role}"),
        f"a_{role}": joined(Phrase(f"{article(manner)} {manner} "), kind),
        f"{role}_sound": tagged(ANIMALS.get(character.kind, "Ha, ha"), "sound"),
        **pronouns(character.pronoun, "" if role == "hero" else f"{role}_"),
    }


@cache
def elder_slots(word: str, pronoun: str) -> World:
    """Slots `elder` ("mom", said of somebody's) and the pronouns with the prefix `elder_`."""
    return {
        "elder": tagged(word, "family") if word in FAMILY else tagged(word, "person"),
        **pronouns(pronoun, "elder_"),
    }


def cast(random: Random, hero_is_animal: bool) -> dict[str, Phrase]:
    """Slots of a hero, a friend with another name and a grown-up."""
    make = animal if hero_is_animal else child
    hero = make(random)
    friend = animal(random) if hero_is_animal or random.random() < 0.15 else child(random)
    while friend.name == hero.name or (friend.kind == hero.kind and hero_is_animal):
        friend = make(random)
    women_first = random.random() < 0.55
    elder = random.choice(WOMEN[:3] if hero_is_animal else WOMEN) if women_first else random.choice(MEN)
    if hero_is_animal and elder not in FAMILY:
        elder = "dad"
    return {
        **character_slots(hero, "hero", random.choice(_manners(hero))),
        **character_slots(friend, "friend", random.choice(_manners(friend))),
        **elder_slots(elder, "she" if women_first else "he"),
    }


def _manners(character: Character) -> tuple[str, ...]:
    return CHILD_MANNERS if character.kind in ("girl", "boy") else ANIMAL_MANNERS
