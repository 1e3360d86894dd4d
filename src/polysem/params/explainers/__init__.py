"""Kinds of language models that explain features, a module per source."""
