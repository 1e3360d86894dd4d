"""Figures: the steps that draw them, and folders that say of what they are.

`of_dictionary`, `of_site`, `of_model` and `of_toy` hold one module per figure and nothing else; what figures share is
in `parts`.
A figure reads variables of tables, transforms axes and draws. It computes no statistics: what is a sum, a mean, a
quantile, a correlation or a baseline stands in a table, where Python can read it, too.
"""
