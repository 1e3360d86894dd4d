"""The index of a model's features: what a run makes so that one of them is read at once, or found by a token.

It stands on tables and computes nothing that they do not hold. Nothing here imports torch.
"""
