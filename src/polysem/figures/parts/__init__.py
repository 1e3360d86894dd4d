"""What several figures share: the theme, axes, trees, shaded tokens, names of features.

Nothing here is a figure, and nothing computes statistics.
"""
