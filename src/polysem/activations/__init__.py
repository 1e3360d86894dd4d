"""Activation stores: extraction and reading."""
