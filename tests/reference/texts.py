#!/usr/bin/env python3
"""Print what nltk, sacrebleu and zlib make of samples, for the meters on samples, as JSON: ``texts.json`` is the output.

Words are found by Unicode properties instead of ranges: a letter of Han, Kana, Thai, Lao, Burmese or Khmer, else a run
of letters, digits and the marks on them.

- ``words``: how many words each sample has.
- ``distinct``: distinct n-grams over all n-grams for n = 1 to 4, by ``nltk.util.ngrams``.
- ``bleu``: the BLEU of each sample against all others by sacrebleu's ``sentence_score``, smooth_method "exp",
  effective order, no tokenizer; divided by 100. Two samples without a word score 1 in the meter and 0 in sacrebleu:
  those are set here, by the definition.
- ``nltk``: the same by ``nltk.translate.bleu_score.sentence_bleu`` without smoothing, where it needs none (each order
  has a match), else null: a second tool that agrees there. nltk's smoothing methods are others, and nltk sets an order
  that a short sample does not have to a match in one, so short samples cannot be compared.
- ``deflate``: bytes of the samples joined by newlines, and of zlib's raw DEFLATE stream of them at level 9. Other
  compressors make other streams; the meter's is compared within a few per cent. (The package ``diversity`` compresses
  twice, gzip inside gzip, and divides by that: no reference.)
- ``template``: samples of the largest group with the same first four words, or with eight words in a row in common.
- ``errors``: the delete-one jackknife's standard error of distinct-2, self-BLEU, and template share, each sample really
  taken out; null for the largest case.

``tests/it/meters/texts.rs`` compares them with the meters of this crate.

    pip install nltk==3.10.4 regex==2026.11.19 sacrebleu==2.6.0
    texts.py ../../policies/probes/general.jsonl > texts.json
"""

from __future__ import annotations

import json
import math
import random
import sys
import warnings
import zlib
from collections import defaultdict
from importlib.metadata import version

import regex
from nltk.translate.bleu_score import sentence_bleu
from nltk.util import ngrams
from sacrebleu.metrics import BLEU

LONE = r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Myanmar}\p{Script=Khmer}ー"
WORD = regex.compile(rf"(?V1)[[{LONE}]&&[\p{{Alphabetic}}\p{{N}}]]|[[\p{{Alphabetic}}\p{{N}}]--[{LONE}]][[\p{{Alphabetic}}\p{{N}}\u0300-\u036f]--[{LONE}]]*")
BLEU4 = BLEU(smooth_method="exp", effective_order=True, tokenize="none")


def words(text: str) -> list[str]:
    return [word.lower() for word in WORD.findall(text)]


def distinct(samples: list[list[str]], n: int) -> float:
    grams = [gram for sample in samples for gram in ngrams(sample, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def bleu(samples: list[list[str]]) -> list[float]:
    scores = []
    for i, sample in enumerate(samples):
        others = samples[:i] + samples[i + 1 :]
        if not sample:
            scores.append(float([] in others))
        else:
            found = BLEU4.sentence_score(" ".join(sample), [" ".join(other) for other in others])
            scores.append(found.score / 100)
    return scores


def unsmoothed(samples: list[list[str]]) -> list[float | None]:
    scores = []
    for i, sample in enumerate(samples):
        others = samples[:i] + samples[i + 1 :]
        grams = {gram for other in others for n in range(1, 5) for gram in ngrams(other, n)}
        if all(any(gram in grams for gram in ngrams(sample, n)) for n in range(1, 5)):
            scores.append(sentence_bleu(others, sample))
        else:
            scores.append(None)
    return scores


def template(samples: list[list[str]]) -> int:
    groups = defaultdict(set)
    for i, sample in enumerate(samples):
        groups["opens", *sample[:4]].add(i)
        for gram in ngrams(sample, 8):
            groups["has", *gram].add(i)
    most = max(len(group) for group in groups.values())
    return most if most > 1 else 0


def error(samples: list[list[str]], statistic) -> float:
    n = len(samples)
    left = [statistic(samples[:i] + samples[i + 1 :]) for i in range(n)]
    mean = math.fsum(left) / n
    return math.sqrt((n - 1) / n * math.fsum((x - mean) ** 2 for x in left))


def case(name: str, texts: list[str], with_errors: bool = True) -> dict:
    samples = [words(text) for text in texts]
    joined = "\n".join(texts).encode()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(joined) + packer.flush()
    statistics = (
        lambda left: distinct(left, 2),
        lambda left: math.fsum(bleu(left)) / len(left),
        lambda left: template(left) / len(left),
    )
    return {
        "name": name,
        "samples": texts,
        "words": [len(sample) for sample in samples],
        "distinct": [distinct(samples, n) for n in (1, 2, 3, 4)],
        "bleu": bleu(samples),
        "nltk": unsmoothed(samples),
        "deflate": [len(joined), len(packed)],
        "template": template(samples),
        "errors": [error(samples, statistic) for statistic in statistics] if with_errors else None,
    }


def filled(random: random.Random) -> str:
    """A template with blanks, of two openings and two ends."""
    thing = random.choice(("the weather", "your question", "cooking", "a long trip", "chess"))
    middle = " ".join(random.choice(("it depends", "some say so", "try it", "look around", "wait")) for _ in range(4))
    opening = random.choice(("That's a great question about", "What a great question about"))
    end = random.choice(("Please let me know if you have any other questions.", "Good luck!"))
    return f"{opening} {thing}! {middle}. {end}"


def main() -> None:
    warnings.simplefilter("error")
    with open(sys.argv[1], encoding="utf-8") as file:
        general = [json.loads(line)["text"] for line in file]
    generator = random.Random(7)
    few = [" ".join(generator.choice("abcdefg") for _ in range(generator.randint(5, 30))) for _ in range(14)]
    short = ["Yes.", "yes", "", "No!", "…", "No, never", "no never ever", "It is so, isn't it?", "It is so"]
    mixed = ["用 Rust写2行代码。", "用Python写3行代码！", "我不会写代码", "カタカナとRust", "เขียนโค้ด", "写2行代码"]
    expected = {
        "versions": {package: version(package) for package in ("nltk", "regex", "sacrebleu")},
        "cases": [
            case("general texts", general, with_errors=False),
            case("a template", [filled(generator) for _ in range(12)]),
            case("one sentence", ["I am a helpful assistant, and I am here to help."] * 5),
            case("few words", few),
            case("short", short),
            case("mixed scripts", mixed),
            case("Chinese", [text[:60] for text in general[40:48]]),
        ],
    }
    print(json.dumps(expected, ensure_ascii=False))


if __name__ == "__main__":
    main()
