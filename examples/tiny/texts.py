#!/usr/bin/env python3
"""Writes the three texts of the tiny model: texts.py FOLDER

The King James Bible, the Jargon File and the Devil's Dictionary come from Debian packages. Files that are installed are
taken; otherwise the packages are fetched with `apt-get download` and unpacked into a temporary folder. A text is a list of
units, a chapter or an entry, with a blank line between two. What is pinned is the text that comes out, by its SHA-256: the
exit code is 1 when one differs, whatever package it came from. Needs dpkg-deb and gzip.
"""

import functools
import gzip
import hashlib
import pathlib
import re
import string
import subprocess
import sys
import tempfile
import unicodedata

PACKAGES = ["bible-kjv-text=4.38", "dict-jargon=4.4.7-3.1", "dict-devil=1.0-13.1"]
FILES = [
    "usr/lib/bible.data",
    "usr/share/dictd/jargon.dict.dz",
    "usr/share/dictd/jargon.index",
    "usr/share/dictd/devil.dict.dz",
    "usr/share/dictd/devil.index",
]
PINS = {
    "kjv.txt": "460e83996f43fb4c3f6767b4be9cb77dc3ac03858a40e9565d52dbfb82248f93",
    "jargon.txt": "bc14dc9c4544a47f86cf729bd13c228c688c1ffb20fa645d2e7b36a9e2b37e3d",
    "devil.txt": "c69b7c55d78167e35993c36945eaf9a59d8f238e55dea0be559287e95ee90345",
}
# What the Jargon File writes outside of ASCII, and people type.
ASCII = str.maketrans({
    "‘": "'", "’": "'", "“": '"', "”": '"', "´": "'", "—": "--", "–": "-", "…": "...", "·": "-", "×": "x", "™": "(TM)",
    "©": "(C)", "\u00a0": " ", "†": "+", "‡": "+", "•": "*", "→": "->",
})


def unpack(folder):
    """The folder that the packages' files are under."""
    if all((pathlib.Path("/") / name).is_file() for name in FILES):
        return pathlib.Path("/")
    subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, check=True)
    for package in sorted(folder.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return folder


def plain(text):
    """ASCII, with what has no ASCII form left out."""
    text = unicodedata.normalize("NFKD", text.translate(ASCII))
    return text.encode("ascii", "ignore").decode("ascii")


def joined(lines):
    """One line: blanks and line breaks become one blank; the braces around references to other entries go."""
    return re.sub(r"\{ ?([^{}]*?) ?\}", r"\1", " ".join(" ".join(lines).split()))


def kjv(data):
    """Chapters, a verse a line, without the references."""
    packed = data[data.index(b"\x1f\x9d"):]
    text = subprocess.run(["gzip", "-dc"], input=packed, check=True, stdout=subprocess.PIPE).stdout.decode("ascii")
    chapters, last = [], None
    for line in text.splitlines()[1:]:
        place, verse = line.split(" ", 1)
        chapter = place.split(":")[0]
        if chapter != last:
            chapters.append([])
        last = chapter
        chapters[-1].append(joined([verse]))
    return ["\n".join(verses) for verses in chapters]


def articles(data, index):
    """The articles of a dictd database in their order, each as lines; its index gives where they stand, in base 64."""
    digits = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    number = lambda text: functools.reduce(lambda sum, digit: sum * 64 + digits.index(digit), text, 0)
    places = set()
    for line in index.decode("utf-8").splitlines():
        word, start, length = line.split("\t")
        if not word.startswith("00"):
            places.add((number(start), number(length)))
    for start, length in sorted(places):
        yield plain(data[start:start + length].decode("utf-8", "replace")).split("\n")


def jargon(data, index):
    """Entries: `word: definition`, a paragraph a line, without pronunciations."""
    units = []
    for head, *rest in articles(data, index):
        # The definition is indented by four. A letter alone is the heading of the next section of the book.
        rest = [line for line in rest if not re.fullmatch(r"    [A-Z]", line)]
        paragraphs = re.split(r"\n\s*\n", "\n".join(line for line in rest if line.startswith("    ") or not line.strip()))
        lines = [joined([paragraph]) for paragraph in paragraphs if paragraph.strip()]
        if lines:
            units.append("\n".join([f"{head.strip()}: {lines[0]}", *lines[1:]]))
    return units


def devil(data, index):
    """Entries: `WORD, n. Definition`; prose a paragraph a line, verse as it stands but without its indentation."""
    units = []
    for article in articles(data, index):
        out = []
        for block in re.split(r"\n\s*\n", "\n".join(article).strip("\n")):
            lines = block.split("\n")
            is_verse = 2 * sum(line.startswith("    ") for line in lines) > len(lines)
            # A paragraph begins where a line is indented; of verse every line is.
            starts = [number for number, line in enumerate(lines) if number == 0 or is_verse or line.startswith("    ")]
            out += [joined(lines[start:end]) for start, end in zip(starts, [*starts[1:], len(lines)])]
        units.append("\n".join(line for line in out if line))
    return units


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        root = unpack(pathlib.Path(folder))
        sources = [(root / name).read_bytes() for name in FILES]
    texts = {
        "kjv.txt": kjv(sources[0]),
        "jargon.txt": jargon(gzip.decompress(sources[1]), sources[2]),
        "devil.txt": devil(gzip.decompress(sources[3]), sources[4]),
    }
    wrong = 0
    for name, units in texts.items():
        data = ("\n\n".join(units) + "\n").encode("ascii")
        (out / name).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        verdict = "as pinned" if digest == PINS[name] else f"is not the pinned {PINS[name]}"
        wrong += digest != PINS[name]
        print(f"{digest}  {name}  {len(data)} bytes, {len(units)} units: {verdict}")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main())
