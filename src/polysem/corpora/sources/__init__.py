"""Where corpora come from, each a folder of its own that is found by its name.

A folder has `section.py`, the keys under `corpora:`, which imports nothing heavy, and `make.py` with
`make(params) -> pyarrow.Table`.
"""
