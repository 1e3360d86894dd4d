"""Numbers in words: the keys, and how the corpus is made."""
