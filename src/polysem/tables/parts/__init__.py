"""What several tables share, and pieces of a table that stand for themselves.

Nothing here is a table, and nothing reads much data.
"""
