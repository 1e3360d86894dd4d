"""Text from local files: the keys of the params file, and how the corpus is made."""
