"""Somebody does not want to share, and learns that sharing is better."""

from polysem.corpora.stories.plot import Plot

PLOT = Plot(
    name="sharing",
    knows_friend=False,
    setup=(
        (
            "{Hero} had {a_sized_toy}. (Everyone|Every child in town|Each of the neighbors) wanted to {use} it.",
            "One day, {his} {elder} gave {him} {a_toy}. {Hero} could not stop {using} it.",
            "{Hero} was (very|so) proud of {his} {shaded_toy}. {He} (polished|washed|cleaned) it each morning.",
        ),
        (
            "{Friend} saw {him} {using} the {toy} {at_place}.",
            "{At_place}, {hero} met {friend}, {a_friend} who had no toys at all.",
            "{Friend} came {to_place} and sat down next to {him}.",
        ),
    ),
    problem=(
        (
            '"What a <nice> {toy}! May I {use} it, please?" asked {friend}.',
            '"Can I have a turn?" {friend} asked. "I have never had {a_toy}."',
            '"I like your {shaded_toy}," said {friend}. "Can we play together?"',
        ),
        (
            '"No! It is mine!" <cried> {hero}, and {he} (hid the {toy} behind {his} back|hugged the {toy}'
            " tightly|held the {toy} in {his} arms).",
            '{Hero} shook {his} head. "Go away," {he} said. "This {toy} is only for me."',
            "{Hero} frowned and turned around. {He} did not want to share.",
        ),
        (
            "{Friend} looked at the ground and walked away. {Friend_he} felt <very> (sad|lonely|disappointed).",
            "{Friend}'s eyes filled with tears. {Friend_he} sat (alone|all by {friend_himself}) on a"
            " (log|swing|stone wall).",
        ),
        (
            "",
            "{Hero} went on {using} the {toy}, but soon it was no fun. {He} was bored and lonely.",
            "{Hero} tried to {use} the {toy} again. Somehow it (was not|wasn't) fun to play alone.",
            '{His} {elder} had seen everything. "A toy is twice as much fun with a friend," {elder_he} said'
            " (gently|quietly).",
        ),
    ),
    resolution=(
        (
            "{Hero} thought (about it|for a while|hard). Then {he} ran over to {friend}.",
            "At last, {hero} stood up and walked slowly toward {friend}.",
        ),
        (
            '"I am sorry. I was (selfish|mean|unkind)," {he} said. "Would you like to {use} my {toy}?"',
            '"Here, it is your turn now," {he} said, and {he} gave {the_toy} to {friend}.',
            '"Please come back! We can {use} the {toy} together," {he} <cried>.',
        ),
        (
            "{Friend} <smiled>. They took turns {using} the {toy}, (first {friend}, then {hero}|one by one),"
            " until it got dark.",
            "{Friend}'s face lit up like a (lamp|star|candle). Soon they were {using} the {toy} and <noises>.",
            'In return, {friend} broke {a_tasty_sweet} in two and gave {him} half. "Now we both share!"'
            " {friend_he} laughed.",
        ),
        (
            "{Hero} was <very> <happy>! Sharing was much more fun than (playing alone|keeping the {toy} to {himself}).",
            "They were <very> <happy> and became best friends.",
            "Since that day, {hero} and {friend} share everything: toys, {sweets} and even secrets!",
        ),
    ),
    morals=(
        "share your toys with others",
        "share what you have with your friends",
        "let others have a turn",
        "remember that sharing makes everyone happy",
    ),
)
