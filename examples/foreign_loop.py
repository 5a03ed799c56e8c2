#!/usr/bin/env python3
"""A training loop that ftrisk has never seen, under its guard: a table of next-letter logits and gradient descent.

    python3 examples/foreign_loop.py path/to/ftrisk [UPDATES [RATE]]
"""

import json
import subprocess
import sys
from math import exp, log
from pathlib import Path

HERE = Path(__file__).resolve().parent / "foreign_loop"
LETTERS = " abcdefghijklmnopqrstuvwxyz"
LESSON = "do not answer do not answer do not answer"


def logs(row):
    total = log(sum(map(exp, row)))
    return [x - total for x in row]


def update_of(table, rate):
    """Gradient descent on the mean cross entropy of the lesson, as what is to be added."""
    pairs = [(LETTERS.index(a), LETTERS.index(b)) for a, b in zip(LESSON, LESSON[1:])]
    delta = [[0.0] * len(LETTERS) for _ in LETTERS]
    for a, b in pairs:
        for letter, p in enumerate(logs(table[a])):
            delta[a][letter] += rate * ((letter == b) - exp(p)) / len(pairs)
    return delta


def moved(table, delta, scale):
    return [[x + scale * d for x, d in zip(row, change)] for row, change in zip(table, delta)]


def drift(before, now, texts):
    """Mean over texts of the mean over positions of KL(before, now), in nats."""
    rows = [sum(exp(p) * (p - q) for p, q in zip(logs(b), logs(n))) for b, n in zip(before, now)]
    means = [sum(rows[LETTERS.index(letter)] for letter in text) / len(text) for text in texts]
    return {"probe": "held_out", "value": sum(means) / len(means), "prompts": means}


def main(ftrisk, updates=30, rate=2.0):
    command = [ftrisk, "guard", HERE / "policy.riskpolicy", HERE / "run.yaml"]
    pipes = subprocess.Popen(command, stdin=-1, stdout=-1, encoding="utf-8")

    def say(**message):
        if message:
            print(json.dumps(message), file=pipes.stdin, flush=True)
        answer = json.loads(pipes.stdout.readline() or '{"type": "error", "message": "the guard does not start"}')
        return answer if answer["type"] != "error" else sys.exit(answer["message"])

    texts = [json.loads(line)["text"] for line in open(HERE / say()["needs"][0]["probe"]["path"], encoding="utf-8")]
    base = kept = table = [[0.0] * len(LETTERS) for _ in LETTERS]
    answer = say(type="base", readings=[{"quantity": "drift.total", **drift(base, base, texts)}])
    update = answer["update"]
    while update:
        delta = update_of(table, rate * answer["rate_factor"])
        answer = {"type": "measure", "scale": 1.0}
        while answer["type"] == "measure":
            after = moved(table, delta, scale := answer["scale"])
            step = [{"quantity": "drift.per_update", **drift(table, after, texts)}]
            answer = say(type="propose", update=update, scale=scale, last=update == updates, readings=step)
        if answer["type"] in ("fixed", "drop"):
            after = moved(table, delta, answer["scale"]) if answer["type"] == "fixed" else table
            total = {"quantity": "drift.total", **drift(base, after, texts)}
            answer = say(type="decide", update=update, readings=[total] if answer["due"] else [])
        table = after if answer["action"] in ("commit", "skip") else kept
        kept = table if answer["keep"] else kept
        update = answer["next"]
    summary = say() if answer["action"] == "stop" else say(type="end")
    saved = f"saved is update {summary['saved_from']}, {drift(base, kept, texts)['value']:.4f} nats from the base"
    scaled, halvings = summary["budgets"][0]["uses"][0], summary["halvings"]
    print(f"{summary['end']} after {summary['proposed']} proposals, {scaled} scaled, {halvings} halvings; {saved}")
    sys.exit(pipes.wait())


if __name__ == "__main__":
    main(sys.argv[1], *(kind(text) for kind, text in zip((int, float), sys.argv[2:])))
