"""Sources of imported models, each a module of its own that is found by its name."""
