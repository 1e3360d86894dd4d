"""Passes over much data that several tables share: the survey of activations, embeddings, the comparison.

A pass gathers; what is shown of it is a table's business.
"""
