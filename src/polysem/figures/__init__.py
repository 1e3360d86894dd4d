"""Figures: one module each, drawn from tables, with no reading or computing of its own."""
