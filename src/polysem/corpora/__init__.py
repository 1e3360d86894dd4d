"""Text and images with a train and an eval split: sources, readers, generated stories and their known truth.

Nothing here knows a tokenizer or a model.
"""
