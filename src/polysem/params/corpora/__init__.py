"""`corpora:` — text or images with a train and an eval split; a module per source."""
