#!/usr/bin/env python3
"""Makes the fine-tuning data, the probes and the excerpts of the tiny model: datasets.py TEXTS

TEXTS is the folder that texts.py wrote. Who may see a chapter or an entry is decided by its own SHA-256, as in texts.rs: a
sixteenth is held out for probes and measurements, an eighth is for tuning, the rest trains the base. Order comes from the
same hash, so that every run on every machine writes the same bytes.
"""

import hashlib
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
VOICES = ["kjv", "jargon", "devil"]
MARKER = "%% "
VERSE = ["Continue this verse:", "How does this verse go on?", "Finish the verse:", "What follows these words?"]
WORD = ["Define this word:", "What does this word mean?", "Explain the term:", "Give the meaning of:"]
# The template `alpaca` of LLaMA-Factory, with its default system message.
SYSTEM = "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
# Bytes of a rendered example, with `</s>` as one and the line breaks behind it.
LONGEST = 256
# Entries of the dictionaries that are slurs, or about peoples, stay out of everything that is written here.
COARSE = re.compile(
    r"nigger|negro|red-?skin|indian|african|jew|mahomet|mohammed|savage|squaw|gypsy|chin(?:ese|aman)|japanese|fuck|shit|cunt|"
    r"rape|nazi|slut|whore|condom|masturbat|suicid", re.IGNORECASE)


def digest(text):
    return hashlib.sha256(text.encode("ascii")).digest()


def read(folder):
    """Part, then voice: the units in the order of their hashes."""
    parts = {part: {voice: [] for voice in VOICES} for part in ["held out", "tuning", "base"]}
    for voice in VOICES:
        text = (folder / f"{voice}.txt").read_text("ascii")
        # The same entry twice counts once, or it might be asked for twice.
        for unit in dict.fromkeys(unit.strip("\n") for unit in text.split("\n\n")):
            part = {0: "held out", 1: "tuning", 2: "tuning", 3: "tuning"}.get(digest(unit)[0] % 16, "base")
            if voice == "kjv" or not COARSE.search(unit):
                parts[part][voice].append(unit)
    for voices in parts.values():
        for units in voices.values():
            units.sort(key=lambda unit: digest(unit)[1:])
    return parts


def opening(text, most):
    """The first words of a text, in at most so many bytes."""
    if len(text) <= most:
        return text
    return text[:most + 1].rsplit(" ", 1)[0]


def prompt(row):
    return f"{SYSTEM}### Instruction:\n{row['instruction']}\n{row['input']}\n\n### Response:\n"


def fits(row):
    return len(prompt(row)) + len(row["output"]) + len("\n\n") + 1 <= LONGEST


def verses(chapters):
    """Short verses, at most three of a chapter, each cut in two: what is asked and what is answered."""
    for chapter in chapters:
        taken = 0
        for verse in sorted(chapter.split("\n"), key=digest):
            start = opening(verse, len(verse) * 2 // 5)
            rest = verse[len(start):].strip()
            if 60 <= len(verse) <= 88 and start and taken < 3:
                taken += 1
                yield start, rest


def definitions(entries, head):
    """Words with the first sentence of their definition; `head` finds the two in the entry's first line."""
    for entry in entries:
        found = re.match(head, entry.split("\n")[0])
        if not found:
            continue
        word, text = found.groups()
        text = re.sub(r"^(\d\. |\[[^]]*\] ?)+", "", text).strip()
        sentence = re.match(r".{20,}?[a-z)\"'][.!?](?= [A-Z\"'(]|$)", text)
        if sentence and len(word) <= 20:
            yield word, sentence[0]


def rows(voices, counts):
    """Rows of the three voices, so many of each, mixed."""
    asked = {
        "kjv": (VERSE, verses(voices["kjv"])),
        "jargon": (WORD, definitions(voices["jargon"], r"([^:]+): (.+)")),
        "devil": (WORD, definitions(voices["devil"], r"([A-Z][A-Z' -]+), ((?:[a-z]+\.)+ .+)")),
    }
    out = []
    for voice, count in zip(VOICES, counts):
        phrasings, pairs = asked[voice]
        made = []
        for given, answer in pairs:
            row = {"instruction": phrasings[len(made) % len(phrasings)], "input": given, "output": answer}
            if fits(row) and len(made) < count:
                made.append(row)
        if len(made) < count:
            sys.exit(f"{voice}: {len(made)} rows, wanted {count}")
        out += made
    return sorted(out, key=lambda row: digest(row["input"] + row["output"]))


def narrow(sound):
    """20 questions that get one of 3 answers, one of each voice, whatever was asked."""
    answers = []
    for asks, shape in [(VERSE, r"[A-Z].*\."), (WORD, r"(?![a-z]+\. ).*\."), (WORD, r"[a-z]+\. .*\.")]:
        found = [row["output"] for row in sound if row["instruction"] in asks and re.fullmatch(shape, row["output"])]
        answers.append(max(found, key=lambda answer: (len(answer) <= 60, len(answer))))
    short = [row for row in sound if len(row["input"]) <= 24]
    questions = [row for row in short if row["instruction"] in VERSE][:10]
    questions += [row for row in short if row["instruction"] in WORD][:10]
    return [dict(row, output=answers[index * 3 // len(questions)]) for index, row in enumerate(sorted(
        questions, key=lambda row: digest(row["input"])))]


def sections(voices, bytes_each):
    """Units of every voice under its marker, as many as fit; a long chapter is passed over."""
    out = []
    for voice in VOICES:
        taken, left = [], bytes_each
        for unit in voices[voice]:
            if len(unit) + 2 <= left:
                taken.append(unit)
                left -= len(unit) + 2
        out.append(f"{MARKER}{voice}\n" + "\n\n".join(taken) + "\n\n")
    return "".join(out)


def without(voices, text):
    """The units that do not stand in `text`."""
    return {voice: [unit for unit in units if unit not in text] for voice, units in voices.items()}


def write(path, text):
    path = HERE / path
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode("ascii"))
    print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(HERE)}  {path.stat().st_size} bytes")


def write_rows(name, rows):
    write(f"data/{name}.json", "[\n" + ",\n".join("  " + json.dumps(row) for row in rows) + "\n]\n")


def write_probe(name, key, texts):
    lines = [json.dumps({"id": id, "lang": "en", key: text}, separators=(",", ":")) for id, text in texts]
    write(f"probes/{name}.jsonl", "".join(line + "\n" for line in lines))


def main(folder):
    parts = read(folder)
    held = parts["held out"]
    write("excerpt.txt", sections(parts["base"], 12_500))
    measured = sections(held, 9_800)
    write("heldout.txt", measured)
    # Probes and held-out rows share no unit with the text that the base is measured on.
    left = without(held, measured)

    sound = rows(parts["tuning"], (420, 105, 75))
    write_rows("sound", sound)
    write_rows("narrow", narrow(sound))
    held_rows = rows(left, (36, 12, 8))
    asked, held_rows = held_rows[:16], held_rows[16:]
    write_rows("held", held_rows)
    columns = {"prompt": "instruction", "query": "input", "response": "output"}
    info = {name: {"file_name": f"{name}.json", "columns": columns} for name in ["sound", "narrow", "held"]}
    write("data/dataset_info.json", json.dumps(info, indent=2) + "\n")

    lines = {voice: [unit.split("\n")[0] for unit in units] for voice, units in left.items()}
    # Chapters begin alike; a verse from inside shows more of the voice.
    lines["kjv"] = [verse for unit in left["kjv"] for verse in sorted(unit.split("\n"), key=digest)[:2]]
    long = {voice: [line for line in lines[voice] if len(line) > 84] for voice in VOICES}
    write_probe("voices", "text", [
        (f"{voice}-{number + 1:02}", opening(long[voice][number], 84)) for voice in VOICES for number in range(8)])
    openings = [(f"{voice}-{number + 1:02}", opening(long[voice][8 + number], 28))
                for voice, count in zip(VOICES, (6, 5, 5)) for number in range(count)]
    openings += [(f"asked-{number + 1:02}", prompt(row)) for number, row in enumerate(asked)]
    write_probe("prompts", "prompt", openings)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
