#!/usr/bin/env python3
"""Print every key that TRL's config loader can accept, with the classes that declare it.

``TrlParser`` makes one parser of several dataclasses: the config of one trainer,
which extends transformers' ``TrainingArguments``, ``ModelConfig`` and
``ScriptArguments``. A key of a run file is accepted when one of them has a field
of that name, and is an error otherwise. Which trainer reads the file is not
written in it. This script reads the dataclasses with ``ast`` (nothing is
imported or run) from pinned wheels, and alignment-handbook's from files.

Output, sorted, tab separated, after ``#`` header lines:

    trl <TAB> key <TAB> class[,class ...]

A key of ``TrainingArguments``, ``ModelConfig`` or the script's arguments is
taken whichever trainer reads the file, so it has that one class. Any other key
has the configs of every trainer that takes it, in whichever pinned version.
``class@package-version`` where only that older package has it at all.

    trl_keys.py --handbook SHA:configs.py ...        # downloads the wheels
    trl_keys.py --wheels DIR --handbook ...          # DIR/trl-1.16.0/trl/ ...

``src/adapt/keys/trl.tsv`` is the output with alignment-handbook's
``src/alignment/configs.py`` at 925acdfe and at 95dc472, in this order.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from keys import Classes, classes_of, init_fields, parser, wheels, write

# Newest first. TRL changes its configs with every release: the newest, the last
# before 1.0, the one alignment-handbook asks for, and the last that called the
# sequence length max_seq_length by default.
TRL = ("1.16.0", "0.29.1", "0.19.1", "0.15.2")
# The newest, and the last 4.x, which still has warmup_ratio.
TRANSFORMERS = ("5.24.0", "4.57.6")

# Classes that stand beside the trainer's config, whichever it is.
BESIDE = ("ModelConfig", "ScriptArguments", "DatasetMixtureConfig")
# Keys that no dataclass has: TrlParser takes `env`, and the `trl` command hands
# what is left over to `accelerate launch`.
LAUNCH = (
    "accelerate_config config_file deepspeed_config_file gpu_ids machine_rank main_process_ip main_process_port"
    " mixed_precision num_machines num_processes zero_stage"
)
PARSER = {"env": "TrlParser"} | {key: "accelerate" for key in LAUNCH.split()}
# Configs of models that are no language models.
IMAGES = {"AlignPropConfig", "DDPOConfig"}


def all_fields(name: str, known: Classes) -> set[str]:
    """Init fields of a class and of those of its bases that are known."""
    node = known.get(name.rsplit(".", 1)[-1])
    if node is None:
        return set()
    found = set(init_fields(node))
    for parent in node.bases:
        if ast.unparse(parent) != name:
            found |= all_fields(ast.unparse(parent), known)
    return found


def read_trl(trl: Path) -> tuple[dict[str, set[str]], dict[str, str]]:
    """Keys with the trainer configs that take them, and keys of the classes beside them."""
    files = sorted(trl.glob("trainer/*.py")) + sorted(trl.glob("experimental/*/*_config.py"))
    files += [path for name in ("utils", "scripts/utils") if (path := trl / f"{name}.py").is_file()]
    known: Classes = {}
    for path in files:
        # A config under trainer/ that only warns and extends an experimental one of its own name does not count.
        for name, node in classes_of(path).items():
            if not any(ast.unparse(parent) == f"_{name}" for parent in node.bases):
                known[name] = node
    trainers: dict[str, set[str]] = {}
    beside: dict[str, str] = {}
    for name in sorted(known):
        if name in BESIDE:
            for key in init_fields(known[name]):
                beside[key] = name
        elif name.endswith("Config") and not name.startswith("_") and name != "BaseConfig" and name not in IMAGES:
            if not reaches(name, known):
                continue
            for key in all_fields(name, known):
                trainers.setdefault(key, set()).add(name)
    return trainers, beside


def reaches(name: str, known: Classes) -> bool:
    """Whether a class extends TrainingArguments."""
    node = known.get(name)
    parents = [ast.unparse(parent) for parent in node.bases] if node else []
    return "TrainingArguments" in parents or any(reaches(parent, known) for parent in parents)


def read_handbook(path: Path) -> Iterator[tuple[str, str]]:
    """Keys of alignment-handbook's own dataclasses, each with its class; those of a mixture's parts are nested."""
    nested = {"DatasetConfig", "DatasetMixtureConfig"}
    for name, node in classes_of(path).items():
        if name not in nested:
            for key in init_fields(node):
                yield key, name


def main() -> None:
    arguments = parser(__doc__, "PACKAGE-VERSION/PACKAGE/")
    arguments.add_argument("--handbook", action="append", default=[], help="COMMIT:FILE of alignment-handbook's configs.py")
    options = arguments.parse_args()

    rows: dict[str, str] = dict(PARSER)
    trainers: dict[str, set[str]] = {}
    with wheels(options.wheels) as pinned:
        for at, version in enumerate(TRANSFORMERS):
            folder = pinned.unpacked("transformers", version)
            mark = f"@transformers-{version}" if at else ""
            for key in init_fields(classes_of(folder / "training_args.py")["TrainingArguments"]):
                rows.setdefault(key, f"TrainingArguments{mark}")
        for at, version in enumerate(TRL):
            of_trainers, beside = read_trl(pinned.unpacked("trl", version))
            mark = f"@trl-{version}" if at else ""
            for key, owner in beside.items():
                rows.setdefault(key, f"{owner}{mark}")
            for key, owners in of_trainers.items():
                trainers.setdefault(key, set()).update(owners)
    handbooks = [entry.split(":", 1) for entry in options.handbook]
    for at, (commit, path) in enumerate(handbooks):
        mark = f"@{commit[:8]}" if at else ""
        for key, owner in read_handbook(Path(path)):
            if owner in {"SFTConfig", "DPOConfig", "ORPOConfig"}:
                trainers.setdefault(key, set()).add(owner)
            else:
                rows.setdefault(key, f"alignment-handbook{mark}")
    for key, owners in trainers.items():
        rows.setdefault(key, ",".join(sorted(owners)))

    header = (
        "keys that TRL's config loader accepts; made by tests/reference/trl_keys.py",
        "trl: " + "; ".join(f"{version} wheel" for version in TRL),
        "transformers: " + "; ".join(f"{version} wheel" for version in TRANSFORMERS),
        "alignment-handbook: " + "; ".join(commit for commit, _ in handbooks),
        "CLASS@PACKAGE-VERSION or @COMMIT: only that older version accepts the key",
    )
    write(header, (("trl", key, owner) for key, owner in rows.items()))


if __name__ == "__main__":
    main()
