"""SAE architectures, each a folder of its own that is found by its name.

A folder has `recipe.py`, the keys under `saes:`, which imports no torch; `loss.py` with the class `Loss`, which is made
from a recipe and gives the loss of a batch (`polysem.saes.losses` says what it offers, and has the parts);
`function.py` with the activation function of the finished SAE; and, if it is to be fast, `fast.py` with `gradients`,
which are those of the loss without a graph (`polysem.saes.gradients` has the parts). Where there is no `fast.py`,
autograd differentiates the loss.
"""
