#!/usr/bin/env python3
"""Print every key that ms-swift's training commands accept.

ms-swift turns a run file into command-line words and parses them with
dataclasses: a key is accepted when a dataclass of the command has an init field
of that name, and the run stops otherwise. This script reads those dataclasses
with ``ast`` (nothing is imported or run) from the pinned wheels.

Output, sorted, tab separated, after ``#`` header lines:

    hf        <TAB> key <TAB> class   swift pt, sft and rlhf
    megatron  <TAB> key <TAB> class   megatron pt, sft and rlhf

``class`` is the dataclass that declares the field, or ``Launcher`` for a key
that the command itself takes off before anything is parsed.

    swift_keys.py                 # downloads the wheels
    swift_keys.py --wheels DIR    # DIR/ms_swift-4.6.0/ ...

``src/adapt/keys/swift.tsv`` is its output.
"""

from __future__ import annotations

import ast

from keys import Classes, classes_of, init_fields, parser, wheels, write

SWIFT = "4.6.0"
TRANSFORMERS = "5.8.0"

# The commands' classes; what a class inherits is followed through both wheels.
COMMANDS = {
    "hf": ("SftArguments", "PretrainArguments", "RLHFArguments"),
    "megatron": ("MegatronSftArguments", "MegatronPretrainArguments", "MegatronRLHFArguments"),
}
# ms-swift names some of its classes as transformers does, and imports those under another name.
TRANSFORMERS_ALIAS = {"HfTrainingArguments": "TrainingArguments", "HfSeq2SeqTrainingArguments": "Seq2SeqTrainingArguments"}
# Folders of ms-swift that hold the classes.
FOLDERS = ("arguments", "arguments/base_args", "megatron/arguments", "trainers", "rlhf_trainers", "ray_utils")
# Taken off by cli/main.py (ENV) and by the driver of `--use_ray true --config FILE`.
LAUNCHER = {
    "hf": ("ENV",),
    "megatron": ("ENV", "colocate_groups", "config", "gpus", "nnodes", "rollout", "teacher", "train"),
}


def all_fields(name: str, swift: Classes, base: Classes) -> dict[str, str]:
    """Init fields of class ``name`` with the declaring class, bases included."""
    node = swift[name]
    found = {field: name for field in init_fields(node)}
    for parent in node.bases:
        parent_name = ast.unparse(parent)
        if parent_name in TRANSFORMERS_ALIAS:
            inherited = all_fields(TRANSFORMERS_ALIAS[parent_name], base, {})
        elif parent_name in swift:
            inherited = all_fields(parent_name, swift, base)
        else:
            raise SystemExit(f"unknown base class {parent_name} of {name}")
        for field, owner in inherited.items():
            found.setdefault(field, owner)
    return found


def main() -> None:
    options = parser(__doc__, "PACKAGE-VERSION/").parse_args()

    with wheels(options.wheels) as pinned:
        swift_folder = pinned.unpacked("ms_swift", SWIFT, "swift")
        base_folder = pinned.unpacked("transformers", TRANSFORMERS)
        base: Classes = {}
        for name in ("training_args.py", "training_args_seq2seq.py"):
            base |= classes_of(base_folder / name)
        swift: Classes = {}
        for folder in FOLDERS:
            for path in sorted((swift_folder / folder).glob("*.py")):
                for name, node in classes_of(path).items():
                    # The first folder wins: `trainers` has classes of the same names for other uses.
                    swift.setdefault(name, node)

    rows: dict[tuple[str, str], str] = {}
    for command, names in COMMANDS.items():
        for name in names:
            for key, owner in all_fields(name, swift, base).items():
                if not key.startswith("_"):
                    rows.setdefault((command, key), owner)
        for key in LAUNCHER[command]:
            rows.setdefault((command, key), "Launcher")

    header = (
        "keys that ms-swift's training commands accept; made by tests/reference/swift_keys.py",
        f"ms-swift: {SWIFT} wheel; transformers: {TRANSFORMERS} wheel",
    )
    write(header, ((command, key, owner) for (command, key), owner in rows.items()))


if __name__ == "__main__":
    main()
