"""Figures: the steps that draw them, and folders that say of what they are.

`of_dictionary` and `of_site` hold one module per figure and nothing else; what figures share is in `parts`.
"""
