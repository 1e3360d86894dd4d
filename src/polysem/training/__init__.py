"""What trains, for language models, classifiers and SAEs: optimiser, schedule, order of rows, checkpoints.

What is peculiar to SAEs is in `saes`.
"""
