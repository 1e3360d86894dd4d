"""Polysemantic neurons and sparse autoencoders: every figure of four documents out of one DAG."""
