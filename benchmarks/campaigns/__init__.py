"""Campaigns of `benchmarks/robustness.py`."""
