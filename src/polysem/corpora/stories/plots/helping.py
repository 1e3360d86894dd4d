"""A small creature is in trouble."""

from polysem.corpora.stories.plot import Plot

PLOT = Plot(
    name="helping",
    setup=(
        (
            "One (day|morning|afternoon), {hero} was walking {to_place} with {his} {elder}.",
            "{Hero} was (on the way home|taking a walk|picking flowers) {at_place}.",
            "{Hero} and {friend} were <playing> {at_place}.",
        ),
    ),
    problem=(
        (
            'Suddenly, {he} heard a (weak|tiny|faint) voice. "Help! Help!"',
            "(Then|All at once), {he} heard somebody <crying> {wild_spot}.",
            "There was a rustling sound {wild_spot}. {Hero} stopped and listened.",
        ),
        (
            "It was {a_creature}! The poor {creature} (was stuck in a thorny bush|was caught in some sharp"
            " brambles). The thorns"
            " were holding it tightly. {Hero} (bent|pushed) the branches aside with a (long stick|forked twig).",
            "{A_creature} had fallen into a deep hole. The {creature} could not climb out. {Hero} (let"
            " down|lowered) a (strong"
            " rope|long branch|ladder made of sticks) and pulled it up.",
            "There sat {a_creature} with a hurt (leg|foot). The {creature} could not walk. {Hero} tied a (clean|soft)"
            " (bandage|cloth) around it.",
            "There was {a_creature}, wet and cold. The {creature} was shivering all over. {Hero} wrapped it in a warm"
            " (blanket|scarf|towel) and rubbed its back.",
            "{A_creature} lay in the dust, thirsty and weak. {Hero} brought a (cup|bowl) of cool water from"
            " the (well|stream),"
            " and the {creature} drank and drank.",
            "{A_creature} was tangled in (a fishing net|a piece of string|a ball of yarn). The {creature} was"
            " pulling and"
            " pulling, but the knot only got tighter. {Hero} untied the knots, one by one.",
            "{A_creature} was trapped under a heavy branch. The {creature} could only move its head. {Hero}"
            " lifted the branch"
            " with all {his} strength.",
        ),
        (
            "",
            '"Do not be afraid," {he} whispered. "I will not hurt you."',
            '"Hold still, little {creature}," {he} said (softly|gently). "I am your friend."',
            "{He} was <very> (careful|gentle|patient), and the {creature} kept (calm|still).",
        ),
    ),
    resolution=(
        (
            "Then {hero} (carried|took|brought) the {creature} back to its {creature_home}.",
            "Together they went to the {creature_home}, where the {creature}'s mother was waiting.",
            '"Where do you live?" asked {hero}. "In the {creature_home}," <said> the {creature}. So {he} took'
            " it there.",
        ),
        (
            '"<thanks>, {hero}! You saved me," said the {creature}.',
            'The {creature} nodded three times. "You are very kind, {hero}," it said.',
            'The {creature}\'s mother was crying tears of joy. "<thanks>!" she said.',
        ),
        (
            "A week later, {hero} dropped {his} {shaded_toy} into the (mud|water|tall grass). And who brought"
            " it back? It was the"
            " {creature}!",
            "The next day, {he} found {a_tasty_sweet} on the doorstep. It was a present from the {creature}!",
            "After that, the {creature} came to visit every (Sunday|week|morning), and they played with {the_toy}.",
        ),
        (
            "",
            "{Hero} was <very> <happy>! {He} had (made a new friend|done something good).",
            '{His} {elder} hugged {him}. "I am so proud of you," {elder_he} said.',
            "{Hero} went home <noises>. {He} felt warm inside and <very> proud!",
        ),
    ),
    morals=(
        "help those who are in trouble",
        "be kind to every creature, big or small",
        "help others when you can",
        "be gentle with animals",
    ),
)
