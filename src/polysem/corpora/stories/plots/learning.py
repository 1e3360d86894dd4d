"""A skill that does not come at the first try."""

from random import Random

from polysem.corpora.stories.plot import Plot
from polysem.corpora.stories.template import Phrase, labelled, plain

SKILLS = {
    "ride a bike": ("riding a bike", "fell off the bike", "look straight ahead and keep pedaling", "legs"),
    "swim": ("swimming", "swallowed a lot of water", "kick your legs and breathe slowly", "legs"),
    "whistle": ("whistling", "only blew air and spit", "make your lips round like a cherry", "lips"),
    "tie a bow": ("tying a bow", "made a terrible knot", "make two loops like rabbit ears", "fingers"),
    "skate": ("skating", "slipped and landed on the ice", "bend your knees and glide", "feet"),
    "juggle": ("juggling", "dropped all the balls", "throw them up slowly, one after another", "hands"),
    "read": ("reading", "mixed up the letters", "say each letter aloud and then the whole word", "eyes"),
    "jump rope": ("jumping rope", "tripped over the rope", "count the beat and jump on three", "feet"),
    "draw a horse": (
        "drawing a horse",
        "drew something like a potato",
        "start with a circle and four lines",
        "fingers",
    ),
    "play the piano": ("playing the piano", "hit the wrong keys", "play one hand at a time", "fingers"),
    "do a cartwheel": ("doing a cartwheel", "fell over sideways", "put one hand down after the other", "arms"),
    "catch a ball": ("catching a ball", "let the ball slip through", "keep your eyes on the ball", "hands"),
    "climb the rope": ("climbing the rope", "slid back to the floor", "hold on with your feet", "arms"),
    "write a name": ("writing a name", "got the letters upside down", "go slowly and follow the dots", "fingers"),
    "dance": ("dancing", "stepped on somebody's toes", "listen to the music", "feet"),
    "count to a hundred": ("counting", "got lost after twenty", "count in tens", "fingers"),
}


def skill(random: Random) -> dict[str, Phrase]:
    """Slots `skill`, `practising`, `failure`, `advice` and `part` of one skill."""
    name = random.choice(tuple(SKILLS))
    practising, failure, advice, part = SKILLS[name]
    return {
        "skill": labelled(name, "skill"),
        "practising": plain(practising),
        "failure": plain(failure),
        "advice": plain(advice),
        "part": Phrase(part),
    }


PLOT = Plot(
    name="learning",
    prepare=skill,
    heroes=("child", "child", "animal"),
    setup=(
        (
            "{Hero} wanted to learn how to {skill}.",
            "More than anything, {hero} wished that {he} could {skill}.",
            "All of {his} friends could {skill}, but {hero} could not.",
        ),
        (
            "",
            "{Friend} was very good at {practising}. {Hero} watched {friend_him} and (sighed|stared|clapped).",
            '"It looks so easy," {he} thought. "I will try it today."',
            "{He} went {to_place} early in the morning, where nobody could see {him}.",
        ),
    ),
    problem=(
        (
            "{He} tried once, but {he} {failure}. {He} tried (twice|again), and {he} {failure} again!",
            "On the first try, {he} {failure}. On the second try, it was even worse.",
            "{He} took a deep breath and began. But {he} {failure}!",
        ),
        (
            "",
            '"I will never learn it!" {hero} <cried>. {He} was <very> (angry|disappointed|upset).',
            "{His} cheeks turned red. {He} wanted to give up.",
            "Some (big kids|crows|older children) laughed at {him}. {Hero} was <very> <sad>.",
        ),
        (
            '{His} {elder} sat down beside {him}. "When I was little, I {failure} too," {elder_he} said.',
            '"Nobody can {skill} on the first day," said {friend}. "It took me three weeks!"',
        ),
    ),
    resolution=(
        (
            '"Here is how it goes: {advice}," said {his} {elder}. "And do not forget to smile."',
            '"Here is my secret," {friend} whispered. "You must {advice}."',
        ),
        (
            "So {hero} practiced on Monday. {He} practiced on (Tuesday and Wednesday|Tuesday, with sore"
            " {part}). Each day, it went"
            " a little better.",
            "{Hero} tried ten times, and then ten times more. {His} {part} were tired, but {he} did not stop.",
            "Every afternoon, {he} practiced {at_place}. Slowly, {his} {part} (learned|understood) what to do.",
        ),
        (
            'And one day, it worked! "Look at me! I can {skill}!" {hero} <cried>.',
            'Then, on a <nice> morning, it happened. {Hero} was {practising}! "I did it!" {he} <cried>.',
        ),
        (
            "{Friend} clapped {friend_his} hands and cheered. {Hero} was <very> proud!",
            '"I knew that you could {skill}," said {his} {elder}. {Hero} was <very> <happy>!',
            "{He} was so excited that {he} could not stop {practising} until bedtime!",
        ),
    ),
    morals=(
        "keep trying and never give up",
        "practice a little every day",
        "be patient with yourself",
        "try again when something is hard",
    ),
)
