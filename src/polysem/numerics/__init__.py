"""Pure functions on arrays that more than one room needs, or that stand for themselves, and what has torch give the
same numbers every time.

They know no files, models, dictionaries or tables; each is tested against a slow reference.
"""
