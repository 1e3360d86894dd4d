"""Sparse autoencoders and the dictionaries beside them: architectures, formats, sources of rows, the trainer.

What language models and classifiers train with, too, is in `training`.
"""
