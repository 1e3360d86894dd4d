"""S2.F11: norms of decoder rows."""

from polysem.figures.parts import theme

READS = ("weight_norms",)
PARAMS = ()
CATALOGUE = "S2.F11"
TITLE = "Norms of decoder rows"
CAPTION = """\
How long decoder rows are.
"""


@theme.styled
def draw(weight_norms, analysis):
    """A histogram."""
    figure = theme.sheet()
    axes = figure.subplots()
    norms = weight_norms["norm"].to_numpy()
    axes.hist(norms, bins=20, range=(0, 1.1 * norms.max()), color=theme.COLOURS["bulk"])
    axes.set(xlabel="norm of the decoder row", ylabel="features")
    theme.frame(figure, weight_norms, title=TITLE, catalogue=CATALOGUE)
    return figure
