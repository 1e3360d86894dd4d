"""Stories of a generator that knows the truth: the keys of the params file, and how the corpus is made."""
