"""Activations of sites on tokens: the step that extracts them into Zarr stores, one pass for several sites, and reading
their rows.

What runs a model belongs to `models`, what counts over rows to `tables`.
"""
