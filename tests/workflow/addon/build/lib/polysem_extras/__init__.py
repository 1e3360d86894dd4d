"""One addition of each kind, as another package makes it."""
