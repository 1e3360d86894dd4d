"""Activations of sites on tokens: the step that extracts them into Zarr stores, and reading their rows.

What runs a model belongs to `models`, what counts over rows to `tables`.
"""
