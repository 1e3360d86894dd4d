"""Figures of a model, in which its sites stand together: one module each, which reads tables of the model alone."""
