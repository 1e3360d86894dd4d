"""Activations made of known features, and how many of these an SAE finds (S1.X1).

What a toy is made of stands in `params.toys`; its tables are tables like all others.
"""
