#!/usr/bin/env python3
"""Print what numpy, scipy, netcal and mpmath make of random cases for the meters on logits, as JSON:
``information.json`` is the output.

- ``js``: the mean over positions of the Jensen-Shannon divergence in nats. ``scipy``: the square of
  ``scipy.spatial.distance.jensenshannon``, which returns the root. ``exact``: from the definition in 50 digits (mpmath).
- ``tail``: ``numpy.quantile(method="inverted_cdf")``, which is the nearest rank, of the first n of ``drifts``.
- ``spread``: ``numpy.std(ddof=1)`` of the same, and its jackknife error.
- ``confidence``: top1, entropy (``scipy.stats.entropy``) and cross-entropy (``log_softmax``).
- ``ece``: by numpy, and by ``netcal.metrics.ECE(15)``; ``null`` by inverting the characteristic function of the number of
  right answers in each bin (Hong 2013), which is exact; ``error`` the jackknife of the difference, null and all.
- ``gap``: difference of means and the root of the sum of squared errors (``scipy.stats.sem``).
- ``moved``: the total variation (from ``scipy.special.rel_entr`` the KL) of random and of two-point distributions, and
  the bound on it.

``tests/it/meters/information.rs`` compares them with the meters of this crate.

    pip install numpy==2.4.6 scipy==1.17.1 netcal==1.4.0 mpmath==1.3.0
    information.py > information.json
"""

from __future__ import annotations

import importlib.metadata
import json

import mpmath
import numpy as np
from netcal.metrics import ECE
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax, rel_entr, softmax
from scipy.stats import entropy, sem

BINS = 15
PACKAGES = ("numpy", "scipy", "netcal", "mpmath")


def numbers(values: np.ndarray) -> list[float]:
    """Row by row; nine digits hold an f32."""
    return [float(f"{x:.9g}") for x in values.astype(np.float32).ravel()]


def single(values: np.ndarray) -> np.ndarray:
    """What an f32 keeps, as f64."""
    return values.astype(np.float32).astype(np.float64)


def exact_js(before: np.ndarray, now: np.ndarray) -> float:
    mpmath.mp.dps = 50

    def probabilities(row):
        weights = [mpmath.exp(mpmath.mpf(float(x))) for x in row]
        return [x / mpmath.fsum(weights) for x in weights]

    total = mpmath.mpf(0)
    for x, y in zip(before, now):
        for p, q in zip(probabilities(x), probabilities(y)):
            m = (p + q) / 2
            total += (p * mpmath.log(p / m) + q * mpmath.log(q / m)) / 2
    return float(total / len(before))


def js_case(before: np.ndarray, now: np.ndarray) -> dict:
    before, now = single(before), single(now)
    with np.errstate(invalid="ignore"):
        roots = jensenshannon(softmax(before, axis=1), softmax(now, axis=1), axis=1)
    # scipy's difference of entropies can fall below zero, of which the root is no number.
    value = float((np.nan_to_num(roots) ** 2).mean())
    return {
        "vocab": before.shape[1],
        "before": numbers(before),
        "now": numbers(now),
        "scipy": value,
        "exact": exact_js(before, now),
    }


def spread_case(values: np.ndarray) -> dict:
    n = len(values)
    left = np.array([np.std(np.delete(values, i), ddof=1) for i in range(n)])
    error = np.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum())
    return {"n": n, "value": float(np.std(values, ddof=1)), "error": float(error)}


def confidence_case(random: np.random.Generator, vocab: int, lengths: tuple[int, ...], scale: float) -> dict:
    prompts = [single(random.normal(scale=scale, size=(n, vocab))) for n in lengths]
    following = [random.integers(vocab, size=n) for n in lengths]
    top1 = [softmax(x, axis=1).max(axis=1).mean() for x in prompts]
    entropies = [entropy(softmax(x, axis=1), axis=1).mean() for x in prompts]
    losses = [-log_softmax(x, axis=1)[np.arange(len(t)), t].mean() for x, t in zip(prompts, following)]
    return {
        "vocab": vocab,
        "prompts": [numbers(x) for x in prompts],
        "next": [t.tolist() for t in following],
        "top1": float(np.mean(top1)),
        "top1_error": float(sem(top1)),
        "entropy": float(np.mean(entropies)),
        "entropy_error": float(sem(entropies)),
        "losses": [float(x) for x in losses],
    }


def ece_of(confidence: np.ndarray, right: np.ndarray) -> float:
    edges = np.linspace(0, 1, BINS + 1)
    total = 0.0
    for low, high in zip(edges, edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return float(total)


def deviation(p: np.ndarray) -> float:
    """E|S - ES| of a Poisson-binomial number, by the discrete Fourier transform of its characteristic function."""
    n = len(p)
    points = np.exp(2j * np.pi * np.arange(n + 1) / (n + 1))
    characteristic = np.prod(1 - p[None, :] + p[None, :] * points[:, None], axis=1)
    masses = np.real(np.fft.fft(characteristic)) / (n + 1)
    return float((np.abs(np.arange(n + 1) - p.sum()) * masses).sum())


def null_of(confidence: np.ndarray) -> float:
    edges = np.linspace(0, 1, BINS + 1)
    bins = [confidence[(confidence > low) & (confidence <= high)] for low, high in zip(edges, edges[1:])]
    return sum(deviation(p) for p in bins if len(p)) / len(confidence)


def ece_case(random: np.random.Generator, vocab: int, lengths: tuple[int, ...], scale: float, heat: float) -> dict:
    """Tokens are drawn from the softmax of the logits over `heat`: 1 is calibrated, more is overconfident."""
    prompts = [single(random.normal(scale=scale, size=(n, vocab))) for n in lengths]
    following = [
        np.array([random.choice(vocab, p=row) for row in softmax(x / heat, axis=1)], dtype=int) for x in prompts
    ]
    owner = np.repeat(np.arange(len(lengths)), lengths)
    probabilities = softmax(np.concatenate(prompts), axis=1)
    labels = np.concatenate(following)
    confidence, right = probabilities.max(axis=1), (probabilities.argmax(axis=1) == labels).astype(float)

    def excess(keep: np.ndarray) -> float:
        return ece_of(confidence[keep], right[keep]) - null_of(confidence[keep])

    n = len(lengths)
    left = np.array([excess(owner != i) for i in range(n)])
    return {
        "vocab": vocab,
        "prompts": [{"logits": numbers(x), "next": t.tolist()} for x, t in zip(prompts, following)],
        "numpy": ece_of(confidence, right),
        "netcal": float(ECE(BINS).measure(probabilities, labels)),
        "null": null_of(confidence),
        "error": float(np.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum())),
    }


def gap_case(held_out: np.ndarray, training: np.ndarray) -> dict:
    return {
        "held_out": held_out.tolist(),
        "training": training.tolist(),
        "value": float(held_out.mean() - training.mean()),
        "error": float(np.sqrt(sem(held_out) ** 2 + sem(training) ** 2)),
    }


def moved_case(p: np.ndarray, q: np.ndarray) -> dict:
    kl = rel_entr(p, q).sum()
    bound = min(np.sqrt(kl / 2), np.sqrt(1 - np.exp(-kl)))
    return {"kl": float(kl), "variation": float(np.abs(p - q).sum() / 2), "bound": float(bound)}


def main() -> None:
    random = np.random.default_rng(11)
    divergences = []
    # (positions, vocabulary, spread of the logits, spread of the change): from far apart to hardly moved.
    for positions, vocab, spread, change in (
        (2, 30, 2, 10),
        (1, 5, 1, 1),
        (4, 17, 2, 0.5),
        (3, 40, 30, 10),
        (6, 11, 3, 1e-2),
        (5, 24, 3, 1e-3),
        (3, 50, 2, 1e-4),
        (4, 20, 1, 3e-6),
        (4, 20, 1, 5e-7),
    ):
        before = random.normal(scale=spread, size=(positions, vocab))
        divergences.append(js_case(before, before + random.normal(scale=change, size=before.shape)))
    drifts = np.exp(random.normal(-4, 1.5, size=256))
    two = [(np.array([0.5, 0.5]), np.array([0.5 + t, 0.5 - t])) for t in (0.01, 0.1, 0.3, 0.49)]
    far = [(random.dirichlet(np.full(6, 0.3)), random.dirichlet(np.full(6, 0.3))) for _ in range(8)]
    expected = {
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "js": divergences,
        "drifts": drifts.tolist(),
        "tail": [
            {"n": n, "value": float(np.quantile(drifts[:n], 0.99, method="inverted_cdf"))}
            for n in (1, 2, 7, 64, 99, 100, 101, 128, 199, 200, 201, 256)
        ],
        "spread": [spread_case(drifts[:n]) for n in (3, 10, 64, 256)],
        "confidence": [
            confidence_case(random, vocab, lengths, scale)
            for vocab, lengths, scale in ((2, (1, 3), 1), (9, (4, 2, 5), 2), (40, (3, 3), 8), (12, (2, 6, 1), 40))
        ],
        "ece": [
            ece_case(random, 3, (20,) * 30, 2, 3.0),
            ece_case(random, 6, (3, 9, 14, 5) * 5, 3, 2.0),
            ece_case(random, 4, (12,) * 25, 4, 1.0),
        ],
        "gap": [
            gap_case(random.normal(2.5, 0.4, size=30), random.normal(2.1, 0.3, size=50)),
            gap_case(random.normal(2, 0.2, size=2), random.normal(3, 0.2, size=3)),
        ],
        "moved": [moved_case(p, q) for p, q in two + far],
    }
    print(json.dumps(expected))


if __name__ == "__main__":
    main()
