"""Small wrong edits of the source: which there are, and which tests see them; `benchmarks/mutants.py` runs them."""
