"""A noise at night, and what it really was."""

from random import Random

from polysem.corpora.stories.plot import Plot
from polysem.corpora.stories.template import Phrase, plain, tagged

NOISES = {
    "scratch, scratch": ("a hungry kitten", "scratching at the door", "kitten"),
    "tap, tap, tap": ("a thin branch of the apple tree", "tapping on the window", "branch"),
    "hoo, hoo": ("an owl with round eyes", "sitting on the roof", "owl"),
    "drip, drip, drip": ("the tap in the bathroom", "dripping into the sink", "tap"),
    "creak, creak": ("the old garden gate", "swinging in the wind", "gate"),
    "squeak, squeak": ("a tiny mouse", "nibbling on a piece of cheese", "mouse"),
    "thump, thump": ("a loose shutter", "banging against the wall", "shutter"),
    "rustle, rustle": ("a prickly hedgehog", "looking for worms in the leaves", "hedgehog"),
    "snore, snore": ("the sleepy dog", "snoring under the bed", "dog"),
}


def noise(random: Random) -> dict[str, Phrase]:
    """Slots `noise`, `cause`, `doing` and `culprit` of one of the noises."""
    sound = random.choice(tuple(NOISES))
    cause, doing, culprit = NOISES[sound]
    return {
        "noise": tagged(sound, "sound"),
        "cause": plain(cause),
        "doing": plain(doing),
        "culprit": plain(culprit),
    }


PLOT = Plot(
    name="scared",
    prepare=noise,
    setup=(
        (
            "One night, {hero} was lying in bed with {his} {shaded_toy}.",
            "It was late and the moon was hiding. {Hero} could not sleep.",
            "After supper, {his} {elder} read {him} a story, kissed {him} goodnight and put out the lamp.",
        ),
        (
            "",
            "The room was (very|so|completely) dark (and quiet|and still).",
            "(Shadows were creeping along the wall|Long shadows stood in the corners|The curtains were moving).",
        ),
    ),
    problem=(
        (
            'Suddenly, there was a (strange|funny|spooky|loud) noise. "{Noise}!"',
            'Then {he} heard it. "{Noise}!" it went. "{Noise}!"',
            '"{Noise}!" Something was (out there|in the dark|very near).',
        ),
        (
            "{Hero} was <very> <scared>! {He} pulled the blanket over {his} head.",
            "{His} heart was beating (fast|like a drum) and {his} knees were shaking. {He} was <very> <scared>!",
            "{He} hugged the {toy} and held {his} breath. {He} was <very> <scared>!",
        ),
        (
            '"Is it a (monster|ghost|dragon|giant|witch)?" {he} whispered.',
            '"{Elder}! Please come here!" {he} <cried>. "There is a (monster|ghost|dragon|wolf)!"',
            "{He} wanted to (run away|hide in the wardrobe|call for help), but {he} did not dare to move.",
        ),
    ),
    resolution=(
        (
            "{His} {elder} came in with a (lantern|candle|little lamp) and sat on the edge of the bed."
            ' "Let\'s look together," {elder_he} said.',
            'But then {hero} took a deep breath. "I can be brave," {he} told {himself}, and {he} tiptoed (to'
            " the door|through"
            " the dark|across the cold floor).",
            '"Shall we find out what it is?" asked {his} {elder}. {Hero} nodded and held {elder_his} hand.',
        ),
        (
            '"{Noise}!" it went again. {Hero} (looked up|leaned closer|opened {his} eyes) and saw {cause}, {doing}.',
            "And what did they see? It was only {cause}, {doing}!",
            'They followed the sound. There was {cause}, {doing}. "{Noise}!"',
        ),
        (
            '"So it was just the {culprit}!" {hero} <smiled>. {He} was not <scared> anymore.',
            '{Hero} began to laugh. "Silly {culprit}! You gave me a fright!" {he} said. {He} felt <very> relieved!',
            '"It is not a monster at all," {hero} laughed. "It is only the {culprit}!" {He} was proud and brave!',
        ),
        (
            "",
            "{He} climbed back into bed, closed {his} eyes and dreamed of (stars|clouds|sheep|sailing ships)"
            " until morning.",
            "Soon {he} was sleeping (soundly|peacefully), with the {toy} in {his} arms.",
            '"Good night, {culprit}," {he} whispered, and {he} fell asleep with a smile.',
        ),
    ),
    morals=(
        "be brave and find out the truth",
        "look twice before you are afraid",
        "talk about it when you are scared",
        "face your fears",
    ),
)
