#!/usr/bin/env python3
"""Print every top-level key that LLaMA-Factory's two config loaders accept.

LLaMA-Factory builds its run settings from dataclasses: a key of a run file is
accepted when a dataclass of the loader has an init field of that name, and is
an error otherwise. This script reads those dataclasses with ``ast`` (nothing is
imported or run) from the pinned wheels, and with ``--source`` also from an
unpacked source tree that is newer than the last published wheel.

Output, sorted, tab separated, after ``#`` header lines:

    v0 <TAB> key <TAB> class      loader used by default
    v1 <TAB> key <TAB> class      loader used with USE_V1=1

``class`` is the dataclass that declares the field. The newest input decides;
a key that only an older pinned input accepts is marked ``class@package-version``.

    llama_factory_keys.py                             # downloads the wheels
    llama_factory_keys.py --wheels DIR                # DIR/transformers-5.8.0/ ...
    llama_factory_keys.py --source TREE --commit SHA  # newer tree first

``src/adapt/keys/llama_factory.tsv`` is the output of the last form.
"""

from __future__ import annotations

import ast
from pathlib import Path

from keys import Classes, classes_of, init_fields, parser, tree_of, wheels, write

# The last published llamafactory, and the ends of the transformers range that
# it and the source tree allow: newest 5.x, last 4.x, oldest. Newest first.
LLAMAFACTORY = "0.9.5"
TRANSFORMERS = ("5.8.0", "4.57.6", "4.55.0")

# (file under llamafactory/, class), in the order of the parser's class list.
V0_CLASSES = (
    ("hparams/model_args.py", "ModelArguments"),
    ("hparams/data_args.py", "DataArguments"),
    ("hparams/training_args.py", "TrainingArguments"),
    ("hparams/finetuning_args.py", "FinetuningArguments"),
    ("hparams/generating_args.py", "GeneratingArguments"),
    ("hparams/megatron_bridge_args.py", "MegatronBridgeArguments"),
    ("hparams/parser.py", "_KTransformersRuntimeArguments"),
)
V1_CLASSES = (
    ("v1/config/model_args.py", "ModelArguments"),
    ("v1/config/data_args.py", "DataArguments"),
    ("v1/config/training_args.py", "TrainingArguments"),
    ("v1/config/sample_args.py", "SampleArguments"),
)
# Classes that published wheels may not have yet.
OPTIONAL = {"MegatronBridgeArguments", "_KTransformersRuntimeArguments"}

# v0's TrainingArguments extends this alias of a transformers class.
TRANSFORMERS_ALIAS = {"BaseTrainingArguments": "Seq2SeqTrainingArguments"}
TRANSFORMERS_FILES = ("training_args.py", "training_args_seq2seq.py")

NOTES = (
    "MegatronBridgeArguments: read only with USE_MEGATRON_BRIDGE=1",
    "_KTransformersRuntimeArguments: read by export/chat/api; in training the key"
    " belongs to the transformers-kt fork's TrainingArguments",
    "not listed: the extra TrainingArguments of mcore_adapter (USE_MCA=1)",
)

Rows = dict[tuple[str, str], str]


def all_fields(name: str, local: Classes, base: Classes) -> dict[str, str]:
    """Init fields of class ``name`` with the declaring class, bases included.

    A base is looked up in ``local`` first and then in ``base`` (transformers).
    The leftmost base wins, as in a dataclass's method resolution order when the
    bases are unrelated; the class itself wins over all of them.
    """
    node = local[name]
    found = {field: name for field in init_fields(node)}
    for parent in node.bases:
        parent_name = ast.unparse(parent)
        if parent_name in TRANSFORMERS_ALIAS:
            inherited = all_fields(TRANSFORMERS_ALIAS[parent_name], base, {})
        elif parent_name in local:
            inherited = all_fields(parent_name, local, base)
        else:
            raise SystemExit(f"unknown base class {parent_name} of {name}")
        for field, owner in inherited.items():
            found.setdefault(field, owner)
    return found


def read_keys(llamafactory: Path, transformers: Path) -> Rows:
    """All (loader, key) pairs of one llamafactory with one transformers."""
    base: Classes = {}
    for name in TRANSFORMERS_FILES:
        base |= classes_of(transformers / name)
    rows: Rows = {}
    for loader, wanted in (("v0", V0_CLASSES), ("v1", V1_CLASSES)):
        for file, name in wanted:
            path = llamafactory / file
            local = classes_of(path) if path.is_file() else {}
            if name not in local:
                if name in OPTIONAL:
                    continue
                raise SystemExit(f"{path}: no class {name}")
            for key, owner in all_fields(name, local, base).items():
                rows.setdefault((loader, key), owner)
    return rows


def source_version(package: Path) -> str:
    """VERSION of an unpacked llamafactory, without running it."""
    for node in tree_of(package / "extras/env.py").body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VERSION":
            return str(ast.literal_eval(node.value))
    return "unknown"


def main() -> None:
    arguments = parser(__doc__, "PACKAGE-VERSION/PACKAGE/")
    arguments.add_argument("--source", type=Path, help="unpacked llamafactory source tree (has src/llamafactory)")
    arguments.add_argument("--commit", default="unknown", help="commit of --source, for the header")
    options = arguments.parse_args()

    with wheels(options.wheels) as pinned:
        versions = []  # llamafactory inputs, newest first: (label, header text, folder)
        if options.source is not None:
            tree = options.source / "src" / "llamafactory"
            version = source_version(tree)
            versions.append((f"llamafactory-{version}", f"{version} source, commit {options.commit}", tree))
        wheel = pinned.unpacked("llamafactory", LLAMAFACTORY)
        versions.append((f"llamafactory-{LLAMAFACTORY}", f"{LLAMAFACTORY} wheel", wheel))
        bases = [(f"transformers-{version}", pinned.unpacked("transformers", version)) for version in TRANSFORMERS]

        rows = read_keys(versions[0][2], bases[0][1])
        for label, folder in bases[1:]:
            for key, owner in read_keys(versions[0][2], folder).items():
                rows.setdefault(key, f"{owner}@{label}")
        for label, _, folder in versions[1:]:
            for key, owner in read_keys(folder, bases[0][1]).items():
                rows.setdefault(key, f"{owner}@{label}")

    header = (
        "keys that LLaMA-Factory's loaders accept; made by tests/reference/llama_factory_keys.py",
        "llamafactory: " + "; ".join(text for _, text, _ in versions),
        "transformers: " + "; ".join(f"{version} wheel" for version in TRANSFORMERS),
        "CLASS@PACKAGE-VERSION: only that older version accepts the key",
        *NOTES,
    )
    write(header, ((loader, key, owner) for (loader, key), owner in rows.items()))


if __name__ == "__main__":
    main()
