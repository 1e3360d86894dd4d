"""Logistic regression with an L2 penalty, of one or many targets on the same columns, in float64."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.special import expit

TOLERANCE = 1e-6
"""Largest derivative of the mean loss, by weights of columns with a spread of 1, at which a fit is done."""
STEPS = 100
"""Newton steps, at most; a dozen suffice, as the loss is convex and a step that does not lower it is halved."""
HALVINGS = 40
DIRECT = 32
"""Columns up to which the equations of a step are solved one target after the other; with more, for all targets
together by conjugate gradients, so that each product of matrices serves all of them."""
INNER, INNER_STEPS = 1e-1, 200
"""Share of the squared residual that conjugate gradients leave, and their steps, at most."""
CURVATURE = 0.03
"""Curvature of the loss that their preconditioner takes for all rows and targets; it is p (1 - p), 0.25 at most."""
ROUNDING = 1e-12
"""Share of the largest value of a column below which its standard deviation is that of rounding."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Logistic:
    """Log-odds that are linear in the columns, [target] for each row."""

    weight: Float[np.ndarray, "column target"]
    bias: Float[np.ndarray, " target"]

    def log_odds(self, x: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "row target"]:
        """Of each row and target; above 0 where the target is likelier than not."""
        return x @ self.weight + self.bias


def fit(
    x: Float[np.ndarray, "row column"],
    y: Bool[np.ndarray, "row target"],
    row_weight: Float[np.ndarray, " row"],
    penalty: float,
) -> Logistic:
    """For each target the weights that minimise the weighted mean of log(1 + exp(∓ log-odds)) plus half of `penalty`
    times the sum of the squared weights of the columns, each divided by its standard deviation; the bias is free.

    A column that is constant gets the weight 0. Raises ValueError if a target is in no row or in all of them (of those
    with a weight), or for a penalty that is not above 0, and FloatingPointError if the minimum is not found.
    """
    share: Numbers = np.asarray(row_weight, np.float64) / row_weight.sum()
    rate = share @ y
    if penalty <= 0 or not ((rate > 0) & (rate < 1)).all():
        raise ValueError("a logistic regression needs a penalty above 0, and rows with each target and without it")
    centre = share @ x
    deviation = np.sqrt(share @ (x - centre) ** 2)
    varies = deviation > ROUNDING * np.abs(x).max(0)
    scale = np.where(varies, deviation, 1.0)
    z = np.concatenate([np.where(varies, (x - centre) / scale, 0.0), np.ones((len(x), 1))], axis=1)
    found = _minimum(z, y.astype(np.float64), share[:, None], np.append(np.full(x.shape[1], penalty), 0.0), rate)
    weight = found[:-1] / scale[:, None]
    return Logistic(weight, found[-1] - centre @ weight)


def _minimum(z: Numbers, y: Numbers, share: Numbers, penalties: Numbers, rate: Numbers) -> Numbers:
    """Newton's method from the log-odds of the rates on, [column, target]."""
    at = np.zeros((z.shape[1], y.shape[1]))
    at[-1] = np.log(rate / (1 - rate))
    ridge = penalties[:, None]
    smoothed: Numbers | None = None
    if z.shape[1] > DIRECT:
        bent = CURVATURE * (z.T @ (share * z)) + _last_free(penalties)
        smoothed = np.asarray(np.linalg.inv(bent), np.float64)

    def losses(coefficients: Numbers) -> tuple[Numbers, Numbers]:
        odds = z @ coefficients
        fitted = (share * (np.logaddexp(0, odds) - y * odds)).sum(0)
        return fitted + 0.5 * (ridge * coefficients**2).sum(0), odds

    loss, odds = losses(at)
    for _ in range(STEPS):
        p = expit(odds)
        slope = z.T @ (share * (p - y)) + ridge * at
        if np.abs(slope).max(initial=0) <= TOLERANCE:
            return at
        curvature = share * p * (1 - p)
        if smoothed is None:
            step = _solved(z, curvature, penalties, -slope)
        else:
            step = _conjugate_gradients(z, curvature, ridge, -slope, smoothed)
        part, downhill = np.ones(y.shape[1]), (slope * step).sum(0)
        for _ in range(HALVINGS):
            tried, odds = losses(at + part * step)
            above = tried > loss + 1e-4 * part * downhill + 1e-13
            if not above.any():
                break
            part = np.where(above, part / 2, part)
        at, loss = at + part * step, tried
    raise FloatingPointError(f"logistic regression: the minimum was not found in {STEPS} steps")


def _last_free(penalties: Numbers) -> Numbers:
    """The penalties as a matrix, with a little of one for the bias."""
    return np.diag(np.where(penalties > 0, penalties, penalties.max() * 1e-6))


def _solved(z: Numbers, curvature: Numbers, penalties: Numbers, right: Numbers) -> Numbers:
    each = [
        np.linalg.solve(z.T @ (own[:, None] * z) + np.diag(penalties), side)
        for own, side in zip(curvature.T, right.T, strict=True)
    ]
    return np.stack(each, axis=1)


def _conjugate_gradients(z: Numbers, curvature: Numbers, ridge: Numbers, right: Numbers, smoothed: Numbers) -> Numbers:
    """The step of each target, near enough for the next one."""
    step, rest = np.zeros_like(right), right
    direction = near = smoothed @ rest
    size = begun = (rest * near).sum(0)
    for _ in range(INNER_STEPS):
        bent = z.T @ (curvature * (z @ direction)) + ridge * direction
        length = size / np.maximum((direction * bent).sum(0), np.finfo(float).tiny)
        step = step + length * direction
        rest = rest - length * bent
        near = smoothed @ rest
        before, size = size, (rest * near).sum(0)
        if (size <= INNER * begun).all():
            break
        direction = near + size / np.maximum(before, np.finfo(float).tiny) * direction
    return step
