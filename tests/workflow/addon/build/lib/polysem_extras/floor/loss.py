"""Squared error and an L1 penalty."""

from polysem.saes.losses import PENALTY, BaseLoss, pre_activations, reconstructing, sizes


class Loss(BaseLoss):
    """Features are the pre-activations above the floor."""

    TERMS = BaseLoss.TERMS | {"penalty": PENALTY}

    def __init__(self, recipe):
        self._recipe = recipe

    def __call__(self, x, target, weights):
        """See `BaseLoss`."""
        pre = pre_activations(x, weights)
        f = pre * (pre > self._recipe.floor)
        penalty = self._recipe.l1 * sizes(f, weights).sum(-1).mean()
        return reconstructing(f, target, weights, penalty=penalty)
