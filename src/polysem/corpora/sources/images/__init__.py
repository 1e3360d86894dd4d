"""Images with labels: the keys of the params file, and how the corpus is made."""
