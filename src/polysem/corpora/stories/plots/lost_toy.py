"""A toy is lost and found again."""

from polysem.corpora.stories.plot import Plot

PLOT = Plot(
    name="lost-toy",
    setup=(
        (
            "{Hero} had {a_toy}. {He} loved to {use} it (every day|all day long|before breakfast|after school).",
            "For {his} birthday, {hero} got {a_toy} from {his} {elder}. It was (the best present ever|{his}"
            " favorite toy).",
            "{Hero}'s favorite toy was {a_toy}. {He} took it everywhere, even {to_place}.",
            "{His} {elder} had given {him} {a_sized_toy}. {Hero} (treasured|adored|loved) it more than anything.",
        ),
        (
            "One (morning|afternoon|day), {hero} was <playing> {at_place} with the {toy}.",
            "One day, {he} took the {toy} {to_place} and played until (noon|lunchtime|the evening).",
            "{He} was {using} the {toy} {at_place} when {friend} came by to (chat|say hello|tell a joke).",
        ),
    ),
    problem=(
        (
            "But when it was time to go home, {the_toy} was gone!",
            "Then {hero} looked down. The {toy} was not there!",
            "Later, {he} wanted to {use} the {toy} again, but {he} could not find it (anywhere|at all).",
            "Suddenly, {hero} noticed that {his} hands were empty. Where was {the_toy}?",
        ),
        (
            "",
            '"<oh>! My {toy} is (lost|missing|gone)!" <cried> {hero}. {He} felt <very> <sad>.',
            '{Hero} began to cry. "Where is my {toy}?" {he} (asked|sobbed|whispered).',
            "{His} heart sank and (a tear rolled down {his} cheek|{his} lip began to tremble).",
        ),
        (
            "{He} <looked> (under|behind) the (bench|bushes|swings|steps), but it was not there. {He} <looked>"
            " (near|beside)"
            " the (gate|well|big rock|mailbox), but it was not there either.",
            "First {he} <looked> in the (grass|sand|mud). Then {he} <looked> (behind the trees|in every"
            " corner). Nothing!",
            "{He} asked (the baker|the mail carrier|a farmer|an old man on a bench), but (no one|nobody) had"
            " seen {a_toy}.",
        ),
    ),
    resolution=(
        (
            '"Do not worry," said {friend}. "I will help you look. Two pairs of eyes are better than one pair!"',
            '{Friend} saw {him} <crying>. "What is wrong?" {friend_he} asked. "Let\'s search together!"',
            '{His} {elder} took {his} hand. "Let us think. Where did you last {use} it?" {elder_he} asked'
            " (softly|kindly).",
        ),
        (
            "They searched (slowly|carefully|high and low), step by step. At last, (something {shade}|a bit of"
            " {shade}) was"
            " (peeking out|shining|poking out) {wild_spot}.",
            "They walked back the same way. {Wild_spot}, {friend} (spotted|noticed|saw) something {shade}.",
            "{Hero} remembered! {He} had put it down {wild_spot} to tie {his} (shoe|scarf).",
        ),
        (
            'It was {the_toy}! "<yay>! I found it!" {hero} <cried>. {He} was <very> <happy>!',
            '"Look, there it is!" {hero} <cried>. {He} hugged the {toy} tightly and jumped for joy.',
            "{Hero} picked up {the_toy} and wiped off the (dust|dirt|mud|sand). {He} was <very> relieved!",
        ),
        (
            "",
            "From then on, {he} always put the {toy} {spot} before (bed|dinner|going out).",
            "That evening, {he} kept the {toy} {spot}, where it was safe.",
            '"<thanks> for helping me," {he} told {friend}. Then they took turns {using} it until the stars came out.',
        ),
    ),
    morals=(
        "take good care of your things",
        "look carefully and never give up",
        "put your toys back where they belong",
        "ask for help when you lose something",
    ),
)
