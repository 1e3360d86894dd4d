"""Somebody lonely, somebody odd, and how they become friends."""

from random import Random

from polysem.corpora.stories.plot import Plot
from polysem.corpora.stories.template import Phrase, plain

ODDITIES = {
    "spoke another language": ("could not understand a word", "drew pictures in the sand"),
    "had spots all over": ("had never seen so many spots", "painted a few spots on everyone"),
    "was very shy": ("did not say a single word", "waited and hummed a quiet tune"),
    "was much taller than the others": ("looked like a tree", "asked for help with the highest apples"),
    "wore thick glasses": ("stared with enormous eyes", "looked at a beetle through the glasses"),
    "walked with a crutch": ("could not run as fast", "made up a game that one plays sitting down"),
    "had a very loud voice": ("scared all the birds away", "formed a choir"),
    "had moved here from far away": ("did not know anybody", "showed the best hiding places"),
    "stuttered a little": ("needed time for each word", "listened until the end"),
    "smelled of onions": ("carried a bag full of onions", "cooked a big onion soup"),
}


def oddity(random: Random) -> dict[str, Phrase]:
    """Slots `odd`, `impression` and `bridge`: what is different about somebody, and what brings people together."""
    odd = random.choice(tuple(ODDITIES))
    impression, bridge = ODDITIES[odd]
    return {"odd": plain(odd), "impression": plain(impression), "bridge": plain(bridge)}


PLOT = Plot(
    name="new-friend",
    prepare=oddity,
    knows_friend=False,
    setup=(
        (
            "{Hero} had {a_toy}, but {he} had nobody to play with. {He} felt lonely.",
            "Every day, {hero} sat {at_place} and watched the others play. {He} wished for a friend.",
            "{Hero} was <playing> {at_place} with {his} {shaded_toy}, all alone.",
        ),
        (
            "One day, {a_friend} came {to_place}. {Friend_his} name was {friend}, and {friend_he} {odd}.",
            "Then somebody new arrived: {friend}, {a_friend} who {odd}.",
        ),
    ),
    problem=(
        (
            "{Friend} {impression}. The others (whispered|pointed|laughed|turned away).",
            '"Look, how strange!" the others said, because {friend} {impression}.',
        ),
        (
            "{Friend} hung {friend_his} head and sat down {wild_spot}. {Friend_he} looked <very> (lonely|sad|unhappy).",
            '"Nobody likes me," {friend} mumbled, and {friend_he} turned to leave.',
        ),
        (
            "",
            "{Hero} was a bit shy, too. Should {he} say hello?",
            "{Hero} knew how it feels to be alone.",
            '"Go on, be friendly," said {his} {elder}. "A smile costs nothing."',
        ),
    ),
    resolution=(
        (
            '{He} took a deep breath. "Hello, I am {hero}. What is your name?" "I am {friend}," came the answer.',
            '"Hi! Do you want to {use} my {toy} with me?" asked {hero}. {Friend} looked up in surprise.',
        ),
        (
            "Then {hero} {bridge}. {Friend} began to smile.",
            "{Hero} had an idea. {He} {bridge}, and the ice was broken.",
        ),
        (
            "",
            "They played {at_place} all (afternoon|day), {using} {the_toy} and <noises>.",
            "It turned out that they both loved {sweets} and (jumping into puddles|telling jokes|drawing"
            " dragons|looking at clouds|collecting stones).",
        ),
        (
            "Soon the others came and asked if they could join. Now nobody was lonely!",
            '"You are my best friend," said {friend}. {Hero} was <very> <happy>!',
            "{Hero} was <very> <happy>! {He} had found a friend for life.",
        ),
    ),
    morals=(
        "be friendly to those who are new",
        "never judge others by how they look",
        "say hello first",
        "remember that being different is wonderful",
    ),
)
