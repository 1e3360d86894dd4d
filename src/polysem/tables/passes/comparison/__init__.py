"""Pieces of the comparison of dictionaries."""
