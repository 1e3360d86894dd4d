"""Explainers that need no model: a module each with `explain`, which makes an executable rule of shown examples."""
