"""Sources of training rows, each a module named as `activations:` of a recipe names it.

A module has `open_rows(recipe, where, device)`, which gives a `polysem.saes.row_source.RowSource`; `where` holds the
paths that it reads.
"""
