"""ReLU with a fixed threshold and an L1 penalty."""
