"""The betting martingales of confseq on fixed streams, for tests/it/meters/certainty.rs.

    git clone https://github.com/gostevehoward/confseq && git -C confseq checkout 70b1ef30aef08ad459815ea87fc25248f8b15178
    pip install numpy==1.26.4 scipy==1.15.3 matplotlib==3.11.2 multiprocess==0.70.19
    PYTHONPATH=confseq/src python tests/reference/certainty.py > tests/reference/certainty.json

The two modules that are used are pure Python: the compiled parts of the package (and Boost) are not needed.

`lambda_aKelly` is the aGRAPA bet with one imagined observation; here it reads 0, with variance 0. `betting_mart` multiplies
the capital. Both are for means of values in [0, 1], so the values and the bound are divided by the top. No bet on the other
side is ever made (the capital of a side waits while its bet would be negative), and no bet risks more than 0.9 of the capital.

Compared to 1e-9 in the logarithm of the capital.
"""

import json

import numpy as np
from confseq.betting import betting_mart
from confseq.betting_strategies import lambda_aKelly

MOST = 0.9


def bets(sign):
    def bet(x, m):
        with np.errstate(divide="ignore", invalid="ignore"):
            found = sign * lambda_aKelly(x, m, prior_mean=0.0, prior_variance=0.0, fake_obs=1, trunc_scale=MOST)
        return np.maximum(found, 0.0)

    return bet


def stream(name, values, bound, top):
    # Few digits, so that the file is small; the rounded values are what is tested.
    values = np.round(values, 5)
    x, m = values / top, bound / top
    above = betting_mart(x, m, lambdas_fn_positive=bets(1.0), theta=1, trunc_scale=MOST)
    below = betting_mart(x, m, lambdas_fn_negative=bets(-1.0), theta=0, trunc_scale=MOST)
    return {
        "name": name,
        "top": top,
        "bound": bound,
        "values": values.tolist(),
        "below": [round(v, 13) for v in np.log(below).tolist()],
        "above": [round(v, 13) for v in np.log(above).tolist()],
    }


def main():
    rng = np.random.default_rng(20)
    exponential = lambda mean, top, n: np.minimum(rng.exponential(mean, n), top)
    streams = [
        stream("well inside", exponential(0.005, 0.1, 100), 0.02, 0.1),
        stream("inside", exponential(0.01, 0.1, 100), 0.02, 0.1),
        stream("at the bound", exponential(0.02, 0.1, 100), 0.02, 0.1),
        stream("outside", exponential(0.05, 0.1, 100), 0.02, 0.1),
        stream("rare flips", (rng.random(150) < 0.02).astype(float), 0.1, 1.0),
        stream("many flips", (rng.random(100) < 0.3).astype(float), 0.1, 1.0),
        stream("a high bound", 0.1 * rng.random(80), 0.07, 0.1),
        stream("zeros", np.zeros(60), 0.02, 0.1),
    ]
    print(json.dumps({"streams": streams}))


main()
