"""A warning that is not heeded."""

from random import Random

from polysem.corpora.stories.plot import Plot
from polysem.corpora.stories.template import Phrase, plain

WARNINGS = {
    "touch the hot stove": ("touching the stove", "burned a finger", "held the finger under cold water"),
    "go near the deep river": (
        "throwing pebbles into the river",
        "slipped into the water",
        "pulled out a dripping bundle",
    ),
    "climb the tall tree": ("climbing the tree", "got stuck on a high branch", "fetched the long ladder"),
    "open the beehive": ("poking the beehive with a stick", "got three stings", "put some cool mud on the stings"),
    "eat the red berries": ("eating the berries", "got a terrible tummy ache", "made some mint tea"),
    "play with the scissors": ("cutting paper with the scissors", "got a cut", "put on a bandage"),
    "walk on the thin ice": ("sliding on the ice", "broke through up to the knees", "lit a warm fire"),
    "run on the slippery stairs": (
        "running down the stairs",
        "fell and got a big bump",
        "put a cold spoon on the bump",
    ),
    "leave the garden gate open": (
        "playing with the gate",
        "let all the chickens out",
        "caught the chickens, one by one",
    ),
    "feed the big goose": ("feeding the goose", "got a nasty bite", "chased the goose away"),
    "jump on the old bed": ("jumping on the bed", "fell right through it", "brought a hammer and some nails"),
    "go into the dark cave": ("walking into the cave", "lost the way in the dark", "came with a lantern"),
}


def warning(random: Random) -> dict[str, Phrase]:
    """Slots `forbidden`, `doing_it`, `harm` and `rescue` of one warning."""
    forbidden = random.choice(tuple(WARNINGS))
    doing_it, harm, rescue = map(plain, WARNINGS[forbidden])
    return {"forbidden": plain(forbidden), "doing_it": doing_it, "harm": harm, "rescue": rescue}


PLOT = Plot(
    name="disobeying",
    prepare=warning,
    setup=(
        (
            '{His} {elder} always said, "{Hero}, do not {forbidden}. It is dangerous!"',
            'Before {elder_he} went out, {his} {elder} warned {him}. "You must never {forbidden}," {elder_he} said.',
            'There was one rule in the house. "Do not {forbidden}!" {His} {elder} said it every single day.',
        ),
        (
            "",
            '"I promise," <said> {hero}, but {he} was not really listening.',
            '{Hero} nodded. "<ok>, {elder}," {he} said, but {he} was <very> curious.',
        ),
    ),
    problem=(
        (
            "One (day|afternoon), {hero} was alone and bored with {his} {shaded_toy}.",
            "As soon as nobody was looking, {hero} sneaked out with {friend}.",
            "One morning, while {his} {elder} was (sleeping|cooking|working|sweeping the floor), {he} had an idea.",
        ),
        (
            '"Just this once," {he} thought. "Nobody will know." Soon {hero} was {doing_it}.',
            "{He} forgot (the promise|what {his} {elder} had said) and began {doing_it}.",
            '"You should not {forbidden}," {friend} warned. But {hero} laughed and was already {doing_it}.',
        ),
        (
            'All at once, {he} {harm}! "Ouch! Help!" {hero} <cried>.',
            "It was fun for a minute. Then {hero} {harm}! {He} was <very> <scared>!",
            "(Crash|Bang|Splash)! {Hero} {harm}. {He} began to cry.",
        ),
    ),
    resolution=(
        (
            "{His} {elder} heard {him} and came running. {Elder_he} {rescue}.",
            "Luckily, {his} {elder} was not far away. {Elder_he} {rescue} and dried {his} tears.",
            "{Friend} ran to get help. {His} {elder} came <quickly> and {rescue}.",
        ),
        (
            '"I am sorry, {elder}," {he} sobbed. "You told me not to {forbidden}, and I did it anyway."',
            '"I should have listened to you," {hero} whispered. {He} was <very> ashamed.',
        ),
        (
            "",
            '"I am not angry," {elder_he} said and hugged {him}. "But rules are there to keep you safe."',
            '{Elder_he} sighed and smiled. "I was so worried about you," {elder_he} said.',
        ),
        (
            "{Hero} felt much better. From that day on, {he} did not {forbidden} again!",
            "{Hero} promised it again, and this time {he} kept {his} word.",
            "After a cup of warm milk, {he} was happy again. But {he} never forgot that day!",
        ),
    ),
    morals=(
        "listen to those who love you",
        "keep your promises",
        "follow the rules, because they keep you safe",
        "listen when somebody warns you",
    ),
)
