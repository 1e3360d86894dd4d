"""Pages of `docs/` that are made of what the workflow has: its commands and its figures.

`python -m polysem.workflow.reference` writes them; tests keep them in step. Nothing of a run imports this folder.
"""
