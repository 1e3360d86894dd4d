"""Too much of a good thing."""

from polysem.corpora.stories.plot import Plot

PLOT = Plot(
    name="greedy",
    setup=(
        (
            "{Hero} loved {sweets} more than any other food. {He} could eat them for breakfast, lunch and dinner.",
            "One day, {his} {elder} baked twelve {flavour} {sweets}. The whole house smelled <nice>.",
            "There was a party {at_place}, and on the long table stood a mountain of {sweets}.",
        ),
        (
            '"You may have one," said {his} {elder}. "The others are for the guests."',
            '"One for each of us," said {friend}, "and please wait until everyone is here."',
        ),
    ),
    problem=(
        (
            "{Hero} ate {a_tasty_sweet}. It was so good that {he} took a second one, and then a third.",
            "{He} nibbled at the first. Then {he} grabbed another, and another, and another.",
        ),
        (
            "",
            '"Nobody will notice," {he} mumbled with a full mouth. (Four, five, six|Five, six, seven|Six,'
            " seven, eight)! Soon"
            " the plate was empty.",
            "{He} stuffed the {sweets} into {his} pockets, crept away and ate them {wild_spot}, every crumb.",
        ),
        (
            'Then {his} tummy began to (hurt|grumble|ache|swell). "Oww!" {he} moaned. {He} felt <very>'
            " (sick|ill|awful).",
            "{His} tummy was as round as a balloon. {He} could not walk, and {he} could not even {use} {his}"
            " {shaded_toy}.",
        ),
        (
            'When {friend} came, there was nothing left. "Where are the {sweets}?" {friend_he} asked in a <sad> voice.',
            "The guests looked at the empty plate. {Friend} had not had a single {sweet}. {Friend_he} was"
            " <very> (sad|disappointed).",
        ),
    ),
    resolution=(
        (
            "",
            '"I ate them all," {hero} confessed. "I am sorry. I was <very> greedy."',
            "{Hero} blushed. {He} had crumbs on {his} chin, and everybody could see it.",
        ),
        (
            '{His} {elder} gave {him} a cup of tea and put {him} on the sofa. "Rest, and then we will bake again."',
            '"Oh, {hero}," sighed {his} {elder}. "One {sweet} is a treat. Twelve are a tummy ache."',
        ),
        (
            "The next day, {hero} baked a new tray of {sweets} and brought them to {friend} and the other guests.",
            "In the morning, {he} felt better. {He} made {flavour} {sweets} for everyone and gave the biggest"
            " one to {friend}.",
        ),
        (
            'How many did {he} eat {himself}? "Just one," {he} said, and it tasted better than ever! {He} was'
            " <very> <happy>!",
            "{Friend} broke {friend_his} {sweet} in two and gave {him} half. They were <very> <happy>!",
            "{Hero} was <very> <happy>! It was fun to see the others eat.",
        ),
    ),
    morals=(
        "leave some for the others",
        "stop when you have had enough",
        "remember that too much of a good thing is bad for you",
        "think of others before you take more",
    ),
)
