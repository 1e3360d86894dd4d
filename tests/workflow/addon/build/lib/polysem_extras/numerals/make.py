"""`source: numerals`: sums in words."""

from polysem.corpora.splits import split_by_hash
from polysem_extras.numerals.section import NumeralsCorpus

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def make(params):
    """Columns `text` and `split`."""
    corpus = NumeralsCorpus.model_validate(params)
    texts = (" plus ".join(WORDS[int(digit)] for digit in str(number)) for number in range(corpus.documents))
    return split_by_hash(texts, 0.1, None, "numerals")
