"""Polysemantic neurons and sparse autoencoders: every figure of five documents out of one DAG."""
