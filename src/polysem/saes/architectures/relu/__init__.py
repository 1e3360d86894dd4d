"""ReLU with a sparsity penalty, the SAE of *Towards Monosemanticity* (S1.M1)."""
