"""The page of results in `docs/`: what a run found is recorded in a small JSON file, and tables are made from that."""
