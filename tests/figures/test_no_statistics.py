"""No figure computes statistics: a figure reads variables of tables, transforms axes and draws.

What a number says of data belongs into a table, where it has a name, a unit and a test, and Python can read it. Which
limits an axis has, how many bars a histogram, and how many of what is drawn a label counts, is drawing.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FIGURES = Path(__file__).parents[2] / "src/polysem/figures"
MODULES = [
    file.relative_to(FIGURES).as_posix()
    for room in ("of_dictionary", "of_site", "of_model", "of_toy", "parts")
    for file in sorted((FIGURES / room).glob("*.py"))
]
FUNCTIONS = {
    "average", "bincount", "corr", "corrcoef", "correlate", "cov", "cumprod", "cumsum", "dot", "einsum", "inner",
    "matmul", "mean", "median", "nanmean", "nanmedian", "nanpercentile", "nanquantile", "nanstd", "nansum", "nanvar",
    "outer", "percentile", "prod", "quantile", "rank", "rankdata", "std", "sum", "tensordot", "var",
}  # fmt: skip
"""Functions and methods that make a number of many, or products of them."""
PACKAGES = {"linalg", "np.random", "numpy.random", "scipy", "sklearn", "statistics", "stats", "statsmodels"}
"""What offers statistics or draws at random, wherever it stands in the name of what is called or imported."""
DRAWING = {
    ("of_dictionary/decoder_cosines.py", "counts.sum"): "the bars of a stored histogram in % of their sum",
    (
        "of_dictionary/decoder_cosines.py",
        "geometry['decoder_cosine_pairs'].sel(kind=kind).to_numpy().reshape(-1, together).sum",
    ): "bins of a stored histogram drawn as one bar",
    ("of_dictionary/encoder_decoder_cosine.py", "random.sum"): "a stored histogram as high as that beside it",
    ("of_dictionary/features_per_neuron.py", "edges[last:last + 2].mean"): "the middle of a bar, for a mark above it",
    ("of_dictionary/frequency_bias_product.py", "np.quantile"): "limits of an axis that no tail moves",
    ("of_dictionary/tag_activations.py", "mass.sum"): "the bars of a stored histogram in % of their sum",
    ("of_dictionary/tag_activations.py", "values[:, :first + 1].sum"): "bins below the axis drawn with its first one",
    ("of_site/splitting_tree.py", "scipy.cluster"): "the places of the branches of a stored linkage",
    ("of_site/splitting_tree.py", "hierarchy.dendrogram"): "the places of the branches of a stored linkage",
    ("of_dictionary/ultra_low_singular_values.py", "share.cumsum"): "the staircase of stored shares",
    ("parts/clipped_range.py", "np.quantile"): "limits of an axis that no tail moves",
    ("parts/dendrogram_panel.py", "np.mean"): "the middle of several branches, or of several lines of text",
    ("parts/token_line.py", "np.cumsum"): "where tokens end in the text of a line",
}
"""Calls that only look like statistics, each with what they draw."""


def statistics(text: str) -> Iterator[str]:
    """What a source calls or imports of statistical functions, and `@` for products of matrices, as it is written.

    `int(….sum())` is not among them: that is how labels count what is drawn. Nor is `theme.dot`, a legend's entry.
    """
    tree = ast.parse(text)
    counts = {
        node.args[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "int" and node.args
    }
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _offers(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {alias.asname or alias.name for alias in node.names if _offers(f"{node.module}.{alias.name}")}
            imported |= names
            yield from [node.module] * bool(names)
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.MatMult):
            yield "@"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            of, _, function = called.rpartition(".")
            is_count = function == "sum" and node in counts
            is_statistic = bool(of) and function in FUNCTIONS and of != "theme" and not is_count
            if is_statistic or _offers(of) or called.split(".")[0] in imported:
                yield called


def _offers(name: str) -> bool:
    """Whether a dotted name is of statistics."""
    return bool(PACKAGES & {name, name.rpartition(".")[0], *name.split(".")})


@pytest.fixture(scope="module")
def found() -> set[tuple[str, str]]:
    """Which module calls what."""
    return {
        (module, called) for module in MODULES for called in statistics((FIGURES / module).read_text(encoding="utf-8"))
    }


def test_no_figure_computes_statistics(found):
    wrong = sorted(found - DRAWING.keys())
    assert not wrong, f"these belong into a table (src/polysem/tables), where they have a name and a unit: {wrong}"


def test_every_exception_has_a_reason_and_still_occurs(found):
    assert not DRAWING.keys() - found
    assert all(len(reason.split()) > 3 for reason in DRAWING.values())


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("np.median(values)", ["np.median"]),
        ("table['share'].mean('feature')", ["table['share'].mean"]),
        ("values[known].std()", ["values[known].std"]),
        ("np.linalg.norm(rows, axis=1)", ["np.linalg.norm"]),
        ("np.random.default_rng(0).choice(9)", ["np.random.default_rng(0).choice", "np.random.default_rng"]),
        ("from scipy import stats\nstats.spearmanr(a, b)", ["scipy", "stats.spearmanr"]),
        ("from scipy.stats import norm\nnorm(a)", ["scipy.stats", "norm"]),
        ("from numpy.linalg import svd", ["numpy.linalg"]),
        ("import scipy.stats", ["scipy.stats"]),
        ("unit @ unit.T", ["@"]),
        ("unit @= rows", ["@"]),
        ("100 * counts / counts.sum()", ["counts.sum"]),
        ("int((values > 0).mean())", ["(values > 0).mean"]),
        ("int((values > 0).sum())", []),
        ("random.min()", []),
        ("theme.dot('rare', 'rare')", []),
        ("np.histogram(values, edges)", []),
        ("sorted(values, key=abs)", []),
    ],
)
def test_what_is_taken_for_statistics(text, called):
    assert sorted(statistics(text)) == sorted(called)
