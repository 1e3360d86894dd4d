"""The plots of the stories. A new one is a module with a `PLOT` and a line here."""

from polysem.corpora.stories.plot import Plot
from polysem.corpora.stories.plots import (
    counting,
    disobeying,
    greedy,
    helping,
    honesty,
    learning,
    lost_toy,
    making,
    new_friend,
    patience,
    race,
    scared,
    sharing,
    spoiled_plan,
    surprise,
    visit,
)

PLOTS: tuple[Plot, ...] = tuple(
    module.PLOT
    for module in (
        lost_toy,
        sharing,
        scared,
        helping,
        learning,
        disobeying,
        making,
        spoiled_plan,
        visit,
        counting,
        new_friend,
        honesty,
        patience,
        race,
        greedy,
        surprise,
    )
)
