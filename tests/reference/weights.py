#!/usr/bin/env python3
"""Print what numpy, scipy and opacus make of random cases for the meters of weights and gradients, as JSON.

``weights.json`` is the output; ``tests/it/meters/weights.rs`` compares it with the meters of this crate.

- ``stable_rank``: squared singular values of the dense product B A, their sum over the largest.
- ``movement``: Frobenius norms of dense matrices, in extended precision, because B'A' - BA cancels.
- ``batches``: per-sample gradients of the summed cross entropy of a linear layer, over all tokens of the batch, by
  opacus, checked against the formula (softmax - one hot) x; then tr Sigma as the trace of numpy's covariance, |G|^2 as
  the mean inner product of two different samples, and shares with Adam's preconditioner from the definition.
- ``normal``: per-sample gradients drawn from a normal distribution whose mean and variances are given.

    pip install numpy==2.4.6 scipy==1.17.1 torch==2.15.0 opacus==1.6.0
    weights.py > weights.json
"""

from __future__ import annotations

import json

import numpy as np
import opacus
import scipy
import torch
from opacus.grad_sample import GradSampleModule
from scipy.linalg import svdvals


def single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).astype(np.float64)


def numbers(values: np.ndarray) -> list[float]:
    """Row by row; nine digits hold an f32."""
    return [float(f"{x:.9g}") for x in np.asarray(values).astype(np.float32).ravel()]


def stable_rank_case(b: np.ndarray, a: np.ndarray) -> dict:
    b, a = single(b), single(a)
    squares = svdvals(b @ a) ** 2
    value = float(squares.sum() / squares.max()) if squares.max() > 0 else 0.0
    return {"rank": b.shape[1], "b": numbers(b), "a": numbers(a), "value": value}


def module(random: np.random.Generator, out: int, inner: int, rank: int, size: float) -> dict:
    b, a = single(random.normal(size=(out, rank))), single(random.normal(size=(rank, inner)))
    b2 = single(b * (1 + size * random.normal(size=b.shape)))
    a2 = single(a * (1 + size * random.normal(size=a.shape)))
    base = single(random.normal(size=(out, inner)))
    scale = 2.0 / rank
    b_, a_, b2_, a2_, w = (x.astype(np.longdouble) for x in (b, a, b2, a2, base))
    change = scale * (b2_ @ a2_ - b_ @ a_)
    weight = w + scale * (b_ @ a_)
    return {
        "rank": rank, "scale": scale, "base": numbers(base),
        "b": numbers(b), "a": numbers(a), "b2": numbers(b2), "a2": numbers(a2),
        "change": float((change**2).sum()), "weight": float((weight**2).sum()),
    }  # fmt: skip


def movement_case(random: np.random.Generator, size: float) -> dict:
    modules = [module(random, 12, 9, 3, size), module(random, 6, 10, 2, size)]
    changes, weights = (sum(m[key] for m in modules) for key in ("change", "weight"))
    return {"modules": modules, "value": float(np.sqrt(changes) / np.sqrt(weights))}


def per_sample(weight: np.ndarray, rows: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """(softmax - one hot) x, summed over the tokens of each row, over all tokens."""
    tokens = sum(len(answers) for _, answers in rows)
    parts = []
    for inputs, answers in rows:
        logits = inputs @ weight.T
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(len(answers)), answers] -= 1
        parts.append((p.T @ inputs).ravel() / tokens)
    return np.array(parts)


def opacus_parts(weight: np.ndarray, rows: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    tokens, longest = sum(len(y) for _, y in rows), max(len(y) for _, y in rows)
    x = torch.zeros(len(rows), longest, weight.shape[1], dtype=torch.float64)
    y = torch.full((len(rows), longest), -100)
    for i, (inputs, answers) in enumerate(rows):
        x[i, : len(answers)], y[i, : len(answers)] = torch.tensor(inputs), torch.tensor(answers)
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
    layer.weight.data = torch.tensor(weight)
    model = GradSampleModule(layer, loss_reduction="sum")
    loss = torch.nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten(), ignore_index=-100, reduction="sum")
    (loss / tokens).backward()
    return layer.weight.grad_sample.flatten(1).numpy()


def noise_of(parts: np.ndarray) -> dict:
    g = parts * len(parts)
    inner = g @ g.T
    pairs = inner[~np.eye(len(g), dtype=bool)]
    return {"trace": float(np.trace(np.cov(g, rowvar=False, ddof=1))), "square": float(pairs.mean())}


def batch_case(random: np.random.Generator, size: int, spread: float) -> dict:
    classes, width = 5, 4
    weight = random.normal(scale=spread, size=(classes, width))
    rows = []
    for _ in range(size):
        length = int(random.integers(1, 7))
        rows.append((random.normal(size=(length, width)), random.integers(0, classes, size=length)))
    explicit, theirs = per_sample(weight, rows), opacus_parts(weight, rows)
    assert np.abs(explicit - theirs).max() < 1e-14
    parts = single(theirs)
    # Moments after a few steps: this batch's gradient in what came before.
    eps, v = 1e-8, single(0.01 * parts.sum(axis=0) ** 2 + random.uniform(1e-6, 1e-2, size=parts.shape[1]))
    p = 1 / (np.sqrt(v) + eps)
    stepped = parts * p
    lengths = np.linalg.norm(stepped, axis=1)
    groups = random.integers(0, 3, size=size)
    update = stepped.sum(axis=0)
    amplified = {
        int(group): float((stepped[groups == group].sum(axis=0) @ update / (update @ update)) / (groups == group).mean())
        for group in np.unique(groups)
    }
    return {
        "parts": [numbers(part) for part in parts], "second": numbers(v), "eps": eps,
        "groups": groups.tolist(), **noise_of(parts),
        "top_share": float((lengths / lengths.sum()).max()),
        "by_group": list(amplified.values()), "amplification": max(amplified.values()),
    }  # fmt: skip


def normal_case(random: np.random.Generator) -> dict:
    """24 batches of 8 gradients of 6 entries: g ~ N(mean, diag(deviation^2))."""
    mean, deviation = np.array([1.0, -0.5, 0.25, 0.0, 0.5, 2.0]), np.array([1.0, 2.0, 0.5, 1.5, 1.0, 0.25])
    batches, size = 24, 8
    parts = single((mean + deviation * random.normal(size=(batches, size, 6))) / size)
    found = [noise_of(batch) for batch in parts]
    trace, square = float((deviation**2).sum()), float((mean**2).sum())
    # The variance of a sample variance is 2 s^4/(n - 1); of |G|^2 to first order 4 G' S G / n + 2 tr(S^2)/(n (n - 1)).
    errors = (
        2 * (deviation**4).sum() / (size - 1),
        4 * (mean**2 * deviation**2).sum() / size + 2 * (deviation**4).sum() / (size * (size - 1)),
    )
    return {
        "batches": [[numbers(part) for part in batch] for batch in parts],
        "traces": sum(x["trace"] for x in found), "squares": sum(x["square"] for x in found),
        "trace": trace, "square": square,
        "errors": [float(np.sqrt(error / batches)) for error in errors],
    }  # fmt: skip


def main() -> None:
    random = np.random.default_rng(11)
    ranks = [
        stable_rank_case(random.normal(size=(out, rank)), random.normal(size=(rank, inner)))
        for out, inner, rank in ((6, 5, 3), (12, 7, 5), (9, 10, 8), (5, 6, 1), (3, 8, 6))
    ]
    b, a = random.normal(size=(10, 4)), random.normal(size=(4, 9))
    ranks += [stable_rank_case(b * [1.0, 0.1, 0.01, 0.001], a), stable_rank_case(0 * b, a)]
    q = [np.linalg.qr(random.normal(size=(n, 4)))[0] for n in (10, 9)]
    ranks.append(stable_rank_case(q[0], q[1].T))
    expected = {
        "versions": {
            "numpy": np.__version__, "scipy": scipy.__version__,
            "torch": torch.__version__.split("+")[0], "opacus": opacus.__version__,
        },
        "stable_rank": ranks,
        "movement": [movement_case(random, size) for size in (1.0, 1e-3, 1e-7)],
        "batches": [batch_case(random, *of) for of in ((2, 1.0), (5, 0.3), (12, 1.0), (16, 3.0))],
        "normal": normal_case(random),
    }  # fmt: skip
    print(json.dumps(expected))


if __name__ == "__main__":
    main()
