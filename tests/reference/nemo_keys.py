#!/usr/bin/env python3
"""Print the keys that NeMo Automodel's recipes read, and the arguments of its components.

Recipes ask the config for sections by name and never look at the others. What
is inside a section is met in three ways: as the fields of a class, where a key
that is none stops the recipe; by name, where it is passed over; or, where the
section has a ``_target_``, as arguments of that function or class, where it is
a ``TypeError`` again. This script reads recipes, classes and components with
``ast`` (nothing is imported or run) from the pinned wheel, and with
``--source`` also from an unpacked source tree.

Output, sorted, tab separated, after ``#`` header lines:

    recipe    <TAB> key         <TAB> files that read it, between commas
    typed     <TAB> section     <TAB> keys, between blanks; another stops the recipe
    read      <TAB> section     <TAB> keys, between blanks; another is passed over
    component <TAB> dotted path <TAB> arguments, between blanks; ** where it hands others on

Sections and components take what either input lets them take.

    nemo_keys.py                                # downloads the wheel
    nemo_keys.py --wheels DIR                   # DIR/nemo_automodel-0.7.0/ ...
    nemo_keys.py --source TREE --commit SHA     # that tree too

``src/adapt/keys/nemo.tsv`` is the output of the last form.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from components import Package, in_order, keys_read
from keys import parser, wheels, write

NEMO = "0.7.0"
NAME = "nemo_automodel"

RECIPES = f"{NAME}.recipes"
# The module through which recipes see typed sections; it reads the file, they read its properties.
TYPED = f"{RECIPES}._typed_config"
CLI = f"{NAME}.cli.app"
# Parts of a config that are called as the whole is.
PARTS = {"parse_distributed_section", "_as_dict", "_callable_and_kwargs"}
CONFIGS = {"cfg", "self.cfg", "self._raw", "recipe.cfg"}
# Methods of the config, which look like keys.
METHODS = set(
    "copy get get_as_string instantiate instantiate_path pop raw_config set_by_dotted to_dict to_yaml_dict update".split()
)
# Settings of the repository's own test runs, which no recipe reads and every example has.
BESIDE = {"ci": "ci"}

# Sections that are the fields of classes, and what is taken out of them before.
CLASSES: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {
    "step_scheduler": (
        (("components.training.step_scheduler", "StepSchedulerConfig"),),
        "_target_ local_batch_size dp_size dataloader",
    ),
    "lr_scheduler": ((("components.optim.optimizer", "LRSchedulerConfig"),), "_target_"),
    "checkpoint": ((("components.checkpoint.config", "CheckpointingConfig"),), "restore_from"),
    "mlflow": ((("components.loggers.loggers", "MLflowConfig"),), "_target_"),
    "comet": ((("components.loggers.loggers", "CometConfig"),), "_target_"),
    "distributed": (
        tuple(("components.distributed.config", f"{name}Config") for name in ("FSDP2", "MegatronFSDP", "DDP")),
        "_target_ _recursive_ _convert_ strategy tp_size pp_size cp_size ep_size dp_size dp_replicate_size"
        " pipeline moe activation_checkpointing",
    ),
}
# What the recipes for draft models call their sections, whose keys they ask for by name.
DRAFT = {"recipe_args": {"recipe_cfg", "self.recipe_cfg", "recipe_args"}, "optimizer": {"opt_cfg"}}
# Sections that are only ever asked by dotted names.
DOTTED = ("clip_grad_norm",)

COMPONENTS = [f"{NAME}.components.{name}" for name in "_peft datasets loss optim quantization".split()]
COMPONENTS += [f"{NAME}.components.models.common", f"{NAME}.components.training.rng"]
# What people name of these: classes, and functions that are called like this.
FUNCTIONS = ("make_", "build_")
DATASETS = f"{NAME}.components.datasets"
# What recipes take out of a data set's section before they make it.
OF_DATASETS = "tokenizer chat_template packing pretokenize truncate inject_fake_images".split()


def recipe_keys(package: Package) -> Iterator[tuple[str, str]]:
    """The sections and keys that recipes read, dotted where they are, each with its reader."""
    tree = package.modules[TYPED]
    view = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "RecipeConfig")
    properties = {node.name for node in view.body if isinstance(node, ast.FunctionDef)}
    for module, tree in package.modules.items():
        if not f"{module}.".startswith(f"{RECIPES}."):
            continue
        body = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name not in PARTS]
        for key in {key for node in body for key in keys_read(node, CONFIGS, {})}:
            # A property of the view is a key only where the view itself asks the file for it.
            if key not in METHODS and (module == TYPED or key not in properties):
                yield key, module.rsplit(".", 1)[1]
    for key in keys_read(package.modules[CLI], {"config"}, {}):
        if key not in METHODS:
            yield key, "cli"
    # `validation_dataset` and its loader are asked for by the name of an argument.
    for node in ast.walk(package.modules[TYPED]):
        if isinstance(node, ast.keyword) and node.arg in ("dataset_key", "dataloader_key"):
            yield str(ast.literal_eval(node.value)), "_typed_config"


def fields_of(package: Package, module: str, name: str) -> list[str]:
    """The fields of one of the package's classes."""
    fields = package.arguments(f"{NAME}.{module}", name)
    if not fields:
        raise SystemExit(f"{module}: no class {name}")
    return fields


def sets_named(tree: ast.AST, *names: str) -> set[str]:
    """The texts of the sets that code calls by these names."""
    return {
        text
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in names and isinstance(node.value, ast.Set)
        for text in ast.literal_eval(node.value)
    }


def taken_out(tree: ast.AST, name: str) -> set[str]:
    """The keys that code takes out of a mapping, or asks it for."""
    return {key for key in keys_read(tree, {name}, {}) if key not in METHODS}


def typed_sections(package: Package) -> dict[str, set[str]]:
    """Sections whose keys are checked, with the keys that they may have."""
    view = package.modules[TYPED]
    sections = {
        section: {*before.split(), *(field for module, name in classes for field in fields_of(package, module, name))}
        for section, (classes, before) in CLASSES.items()
    }
    loader = sets_named(view, "config_fields", "loader_fields", "valid_loader_fields")
    loader |= taken_out(view, "loader_kwargs") | taken_out(view, "dataloader_node")
    sections["dataloader"] = {*loader, "_target_", "dataset"}
    packing = sets_named(view, "packing_fields") | taken_out(view, "ps")
    module = package.modules[f"{NAME}.components.datasets.loader"]
    packing |= sets_named(module, "_LEGACY_PACKING_FIELDS")
    for name in ("ThdPackingConfig", "NeatPackingConfig"):
        packing |= set(fields_of(package, "components.datasets.loader", name))
    sections["packed_sequence"] = packing
    return sections


def read_sections(package: Package, keys: set[str]) -> dict[str, set[str]]:
    """Sections whose other keys are passed over."""
    sections: dict[str, set[str]] = {}
    for section, configs in DRAFT.items():
        for module, tree in package.modules.items():
            if f"{module}.".startswith(f"{RECIPES}.llm."):
                found = {key for key in keys_read(tree, configs, {}) if key not in METHODS}
                sections.setdefault(section, set()).update(found)
    for section in DOTTED:
        sections[section] = {key.split(".")[1] for key in keys if key.startswith(f"{section}.")}
    return sections


def datasets(package: Package) -> dict[str, str]:
    """The class whose fields a data set's section has, by the path that people write."""
    tree = package.modules[f"{NAME}.components.datasets.loader"]
    written = (node for node in tree.body if isinstance(node, ast.AnnAssign))
    table = next(node for node in written if ast.unparse(node.target) == "_DATASET_CONFIGS")

    def path(node: ast.expr | None) -> str:
        parts = getattr(node, "values", [node])
        return "".join(str(part.value) if isinstance(part, ast.Constant) else DATASETS for part in parts)

    assert isinstance(table.value, ast.Dict)
    return {path(key): path(value) for key, value in zip(table.value.keys, table.value.values, strict=True)}


def components(package: Package) -> dict[str, list[str]]:
    """The components, each with its arguments."""
    classes = datasets(package)
    found: dict[str, list[str]] = {}
    for path, arguments in package.components(COMPONENTS, private=True):
        module, name = path.rsplit(".", 1)
        if not (name[0].isupper() or name.startswith(FUNCTIONS) or "collat" in name.lower()):
            continue
        where = package.find(module, name)
        origin = classes.get(path) or classes.get(f"{where[0]}.{name}" if where else path)
        if origin:
            arguments = package.arguments(*origin.rsplit(".", 1)) or arguments
        is_dataset = path.startswith(f"{DATASETS}.") and "collat" not in path.lower()
        found[path] = in_order([*arguments, *(OF_DATASETS if is_dataset else ())])
    return found


def main() -> None:
    options = parser(__doc__, "nemo_automodel-VERSION/nemo_automodel/")
    options.add_argument("--source", type=Path, help="unpacked NeMo Automodel source tree")
    options.add_argument("--commit", default="unknown", help="commit of --source, for the header")
    chosen = options.parse_args()

    recipes: dict[str, set[str]] = {key: {reader} for key, reader in BESIDE.items()}
    sections: dict[tuple[str, str], set[str]] = {}
    parts: dict[str, list[str]] = {}
    with wheels(chosen.wheels) as pinned:
        folders = [pinned.unpacked(NAME, NEMO), *([chosen.source / NAME] if chosen.source else [])]
        for package in map(Package, folders):
            keys = set()
            for key, reader in recipe_keys(package):
                keys.add(key)
                recipes.setdefault(key.split(".")[0], set()).add(reader)
            for section, names in typed_sections(package).items():
                sections.setdefault(("typed", section), set()).update(names)
            for section, names in read_sections(package, keys).items():
                sections.setdefault(("read", section), set()).update(names)
            for path, arguments in components(package).items():
                parts[path] = in_order([*parts.get(path, ()), *arguments])

    source = f"; source, commit {chosen.commit}" if chosen.source else ""
    header = [
        "keys that NeMo Automodel's recipes read, and arguments of its components; made by tests/reference/nemo_keys.py",
        f"{NAME}: {NEMO} wheel{source}",
        "ci: settings of the repository's own test runs",
        "sections and components: what either takes; ** where a component hands other arguments on",
    ]
    rows = [("recipe", key, ",".join(sorted(readers))) for key, readers in recipes.items() if key.isidentifier()]
    rows += [(kind, section, " ".join(sorted(names))) for (kind, section), names in sections.items()]
    rows += [("component", path, " ".join(arguments)) for path, arguments in parts.items()]
    write(header, rows)


if __name__ == "__main__":
    main()
