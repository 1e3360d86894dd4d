"""Text of a data set of the Hugging Face hub: the keys of the params file, and how the corpus is made."""
