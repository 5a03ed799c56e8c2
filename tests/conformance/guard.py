#!/usr/bin/env python3
"""Plays the cases of this folder against `ftrisk guard`, line by line, as a training loop would.

    python3 tests/conformance/guard.py path/to/ftrisk

A case is a text: `> ` is sent, `< ` is expected, `close` closes the loop's side, `exit N` is the exit code, `with NAME`
names another policy than `conformance`. Of an expected
object every field has to be there with this value; fields that it does not name are free, and a text that ends in `*` is
the beginning of one. Needs Python 3.8 and its standard library, so it can be copied as the start of another loop's tests.
"""

import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def fits(expected, found):
    """Whether an answer has everything that is expected of it."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(key in found and fits(expected[key], found[key]) for key in expected)
    if isinstance(expected, list):
        return isinstance(found, list) and len(expected) == len(found) and all(map(fits, expected, found))
    if isinstance(expected, str) and expected.endswith("*"):
        return isinstance(found, str) and found.startswith(expected[:-1])
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    return expected == found


def play(ftrisk, case):
    """Plays one case; gives what is wrong, or None."""
    lines = case.read_text(encoding="utf-8").splitlines()
    policy = next((line[5:] for line in lines if line.startswith("with ")), "conformance")
    guard = subprocess.Popen(
        [ftrisk, "guard", f"{policy}.riskpolicy", "run.yaml"],
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    try:
        for number, line in enumerate(lines, 1):
            if line.startswith("> "):
                guard.stdin.write(line[2:] + "\n")
                guard.stdin.flush()
            elif line.startswith("< "):
                found = guard.stdout.readline()
                if not found or not fits(json.loads(line[2:]), json.loads(found)):
                    return f"line {number} expects {line[2:]}, the guard says {found.strip() or 'nothing'}"
            elif line == "close":
                guard.stdin.close()
            elif line.startswith("exit "):
                more, code = guard.stdout.read(), guard.wait(timeout=10)
                if more or code != int(line[5:]):
                    return f"line {number} expects the end with {line[5:]}, it ends with {code} after {more!r}"
            elif line and not line.startswith(("#", "with ")):
                return f"line {number} is no line of a case"
        return None if guard.returncode is not None else "the case has no `exit`"
    finally:
        guard.kill()
        guard.wait()
        guard.stdout.close()


def main():
    ftrisk = str(pathlib.Path(sys.argv[1]).resolve())
    cases = sorted((HERE / "cases").glob("*.txt"))
    wrong = [f"{case.name}: {why}" for case in cases for why in [play(ftrisk, case)] if why]
    print("\n".join(wrong + [f"{len(cases) - len(wrong)} of {len(cases)} cases are as expected"]))
    return 1 if wrong or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
