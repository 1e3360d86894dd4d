"""Corpora: text or images with a train and an eval split, from one of several sources."""
