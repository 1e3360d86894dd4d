"""S1.X1: activations made of known features, and how many of these an SAE finds."""
