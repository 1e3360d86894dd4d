"""BatchTopK: the largest pre-activations of a whole batch stay, k per token on average (Bussmann et al. 2024)."""
