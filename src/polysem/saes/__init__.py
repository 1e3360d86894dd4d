"""Sparse autoencoders and the dictionaries that stand beside them."""
