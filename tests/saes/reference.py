"""Slow, independent losses of all architectures in plain autograd, straight from their papers; float64."""

import torch


def pre_activations(x, weights):
    return (x - weights["b_dec"]) @ weights["W_enc"].T + weights["b_enc"]


def reconstruct(f, weights):
    return f @ weights["W_dec"] + weights["b_dec"]


def squared_error(x, f, weights):
    return (reconstruct(f, weights) - x).square().sum(-1).mean()


def sizes(f, weights, recipe):
    return f * weights["W_dec"].norm(dim=1) if recipe.decoder_norm == "free" else f


def relu(x, weights, recipe):
    f = pre_activations(x, weights).relu()
    size = sizes(f, weights, recipe)
    if recipe.penalty in ("sqrt", "hoyer_sqrt"):
        paid = torch.where(size <= 0, 0.0, torch.where(size < 1, (size.clamp_min(1e-30) + 1e-9).sqrt(), size))
    else:
        paid = size
    penalty = recipe.l1 * paid.sum(-1).mean()
    if recipe.hoyer is not None:
        penalty = penalty + recipe.hoyer * (size.sum(-1) ** 2 / (size.square().sum(-1) + 1e-9)).mean()
    return squared_error(x, f, weights) + penalty


def topk(x, weights, recipe):
    pre = pre_activations(x, weights)
    least = pre.sort(dim=-1, descending=True).values[:, recipe.k - 1 : recipe.k]
    f = torch.where(pre >= least, pre, 0.0).relu()
    return squared_error(x, f, weights)


def batchtopk(x, weights, recipe):
    pre = pre_activations(x, weights)
    least = pre.flatten().sort(descending=True).values[recipe.k * len(x) - 1]
    f = torch.where(pre >= least, pre, 0.0).relu()
    return squared_error(x, f, weights)


class Jump(torch.autograd.Function):
    """z where z > θ, with the straight-through derivative by θ, and its negative by z where both move."""

    @staticmethod
    def forward(ctx, z, theta, bandwidth, both):
        ctx.save_for_backward(z, theta)
        ctx.bandwidth, ctx.both = bandwidth, both
        return z * (z > theta)

    @staticmethod
    def backward(ctx, grad):
        z, theta = ctx.saved_tensors
        kernel = ((z - theta).abs() < ctx.bandwidth / 2) & (z > 0)
        moved = theta / ctx.bandwidth * kernel * grad
        return grad * (z > theta) + ctx.both * moved, -moved.sum(0), None, None


class Step(torch.autograd.Function):
    """1 where z > θ, with the straight-through derivative by θ, and its negative by z where both move."""

    @staticmethod
    def forward(ctx, z, theta, bandwidth, both):
        ctx.save_for_backward(z, theta)
        ctx.bandwidth, ctx.both = bandwidth, both
        return (z > theta).to(z.dtype)

    @staticmethod
    def backward(ctx, grad):
        z, theta = ctx.saved_tensors
        kernel = ((z - theta).abs() < ctx.bandwidth / 2) & (z > 0)
        moved = 1 / ctx.bandwidth * kernel * grad
        return ctx.both * moved if ctx.both else None, -moved.sum(0), None, None


def jumprelu(x, weights, recipe):
    pre, theta = pre_activations(x, weights), weights["threshold"]
    both = recipe.penalty_moves == "all"
    f = Jump.apply(pre, theta, recipe.bandwidth, both)
    active = Step.apply(pre, theta, recipe.bandwidth, both)
    return squared_error(x, f, weights) + recipe.l0 * active.sum(-1).mean()


def gated(x, weights, recipe):
    projection = (x - weights["b_dec"]) @ weights["W_enc"].T
    gate = projection + weights["b_enc"]
    f = (gate > 0) * (projection * weights["r_mag"].exp() + weights["b_mag"]).relu()
    frozen = {"W_dec": weights["W_dec"].detach(), "b_dec": weights["b_dec"].detach()}
    paid = recipe.l1 * sizes(gate.relu(), weights, recipe).sum(-1).mean()
    return squared_error(x, f, weights) + paid + squared_error(x, gate.relu(), frozen)
