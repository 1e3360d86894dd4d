"""Documents that are no stories, a module per kind; each has `write(random) -> str`."""
