"""`models:` — language models and image classifiers, their sites, the settings they run under; a module per source."""
