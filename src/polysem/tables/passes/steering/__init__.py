"""How features are steered: which ones, from which prompts, beside which baselines, and how it is scored."""
