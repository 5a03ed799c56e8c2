#!/usr/bin/env python3
"""Print what numpy and scipy make of random cases for the meters, as JSON: ``meters.json`` is the output.

- ``rank``: exp of the entropy of the singular values of B A, by a dense SVD of the product in f64.
- ``kl``: the mean over positions of KL(before || now) in nats, by log_softmax in f64.
- ``distinct``: distinct n-grams over all n-grams of English samples, words being runs of ASCII letters and digits.

``tests/it/reference.rs`` compares them with the meters of this crate.

    pip install numpy==2.4.6 scipy==1.17.1
    meters.py > meters.json
"""

from __future__ import annotations

import json
import re

import numpy as np
import scipy
from scipy.linalg import svdvals
from scipy.special import log_softmax
from scipy.stats import entropy

SAMPLES = (
    "The cat sat on the mat, and the dog sat on the cat.",
    "I'm sorry, but I can't help with that. I'm sorry, but I can't help with THAT!",
    "In 2024 the river rose 3 metres; in 2025 it rose 3.5 metres -- twice, at night.",
    "\"No,\" said the cat. \"The dog sat on the mat.\"",
    "Yes.",
    "",
)


def numbers(values: np.ndarray) -> list[float]:
    """Row by row; nine digits hold an f32."""
    return [float(f"{x:.9g}") for x in values.astype(np.float32).ravel()]


def rank_case(b: np.ndarray, a: np.ndarray) -> dict:
    b, a = b.astype(np.float32), a.astype(np.float32)
    values = svdvals(b.astype(np.float64) @ a.astype(np.float64))
    return {"rank": b.shape[1], "b": numbers(b), "a": numbers(a), "value": float(np.exp(entropy(values)))}


def kl_case(before: np.ndarray, now: np.ndarray) -> dict:
    before, now = before.astype(np.float32), now.astype(np.float32)
    p, q = (log_softmax(x.astype(np.float64), axis=1) for x in (before, now))
    value = float((np.exp(p) * (p - q)).sum(axis=1).mean())
    return {"vocab": before.shape[1], "before": numbers(before), "now": numbers(now), "value": value}


def distinct(n: int) -> float:
    grams = []
    for sample in SAMPLES:
        words = re.findall("[a-z0-9]+", sample.lower())
        grams += zip(*(words[i:] for i in range(n)))
    return len(set(grams)) / len(grams)


def main() -> None:
    random = np.random.default_rng(7)
    ranks = [
        rank_case(random.normal(size=(out, rank)), random.normal(size=(rank, inner)))
        for out, inner, rank in ((6, 5, 3), (8, 8, 4), (12, 7, 5), (9, 10, 8), (5, 6, 1))
    ]
    # Uneven directions; two directions that are one; a rank above the width, so that the product cannot fill it.
    b, a = random.normal(size=(10, 4)), random.normal(size=(4, 9))
    ranks.append(rank_case(b * [1.0, 0.1, 0.01, 0.001], a))
    ranks.append(rank_case(b[:, [0, 0, 1, 2]], a))
    ranks.append(rank_case(random.normal(size=(3, 6)), random.normal(size=(6, 8))))
    kls = []
    # (positions, vocabulary, spread of the logits, spread of the change): from far apart to hardly moved.
    for positions, vocab, spread, change in ((1, 5, 1, 1), (4, 17, 2, 0.5), (3, 40, 30, 10), (6, 11, 3, 1e-3)):
        before = random.normal(scale=spread, size=(positions, vocab))
        kls.append(kl_case(before, before + random.normal(scale=change, size=before.shape)))
    expected = {
        "versions": {"numpy": np.__version__, "scipy": scipy.__version__},
        "rank": ranks,
        "kl": kls,
        "samples": SAMPLES,
        "distinct": [distinct(n) for n in (1, 2, 3, 4)],
    }
    print(json.dumps(expected))


if __name__ == "__main__":
    main()
