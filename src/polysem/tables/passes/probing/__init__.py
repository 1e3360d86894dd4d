"""Probes: how well some features, or all activations of a site, tell whether a token carries a tag."""
