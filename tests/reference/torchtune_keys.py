#!/usr/bin/env python3
"""Print the keys that torchtune's training recipes read, and the arguments of torchtune's components.

A recipe asks the config for the keys that it knows and never looks at the
others. Where a mapping has a ``_component_``, the other keys beside it are
handed to that function or class, and one that it does not take is a
``TypeError``. This script reads recipes and components with ``ast`` (nothing
is imported or run) from the pinned wheel, and with ``--source`` also from an
unpacked source tree that is newer than the last published wheel.

Output, sorted, tab separated, after ``#`` header lines:

    recipe    <TAB> key         <TAB> recipes that read it, between commas
    component <TAB> dotted path <TAB> arguments, between blanks; ** where it hands others on

A component takes what either input lets it take. A recipe is called by its
file; ``config`` is code beside the recipes that reads the config itself.

    torchtune_keys.py                                # downloads the wheel
    torchtune_keys.py --wheels DIR                   # DIR/torchtune-0.6.1/ ...
    torchtune_keys.py --source TREE --commit SHA     # newer tree first

``src/adapt/keys/torchtune.tsv`` is the output of the last form.
"""

from __future__ import annotations

from pathlib import Path

from components import Package, constants, in_order, keys_read
from keys import parser, tree_of, wheels, write

TORCHTUNE = "0.6.1"

# Recipes that train nothing.
OTHER_RECIPES = {"eleuther_eval", "generate", "generate_v2", "generate_v2_distributed", "quantize", "__init__"}
# What recipes hand their whole config to.
CONFIG_READERS = ("torchtune.training.checkpointing", "torchtune.dev")
CONFIGS = {"cfg", "self.cfg", "self._cfg"}
# Methods of the config, which look like keys.
METHODS = {"get", "pop", "items", "keys", "values"}
# Modules whose parts people name in a config.
COMPONENTS = [
    f"torchtune.{name}"
    for name in "data datasets dev models modules.loss modules.transforms rlhf.loss training".split()
]


def read(recipes: Path, torchtune: Path) -> tuple[dict[str, set[str]], dict[str, list[str]]]:
    """The keys that recipes read, with their readers, and the components, of one torchtune."""
    package = Package(torchtune)
    named = constants(package)
    trees = {path.stem: tree_of(path) for path in recipes.rglob("*.py") if path.stem not in OTHER_RECIPES}
    readers = [(name, tree) for name, tree in trees.items()]
    readers += [("config", tree) for name, tree in package.modules.items() if name.startswith(CONFIG_READERS)]
    read_by: dict[str, set[str]] = {}
    for name, tree in readers:
        for key in keys_read(tree, CONFIGS, named):
            if key not in METHODS and key.isidentifier():
                read_by.setdefault(key, set()).add(name)
    return read_by, dict(package.components(COMPONENTS))


def main() -> None:
    options = parser(__doc__, "torchtune-VERSION/")
    options.add_argument("--source", type=Path, help="unpacked torchtune source tree")
    options.add_argument("--commit", default="unknown", help="commit of --source, for the header")
    chosen = options.parse_args()

    read_by: dict[str, set[str]] = {}
    components: dict[str, list[str]] = {}
    with wheels(chosen.wheels) as pinned:
        wheel = pinned.unpacked("torchtune", TORCHTUNE, "")
        for tree in [tree for tree in (chosen.source, wheel) if tree]:
            keys, parts = read(tree / "recipes", tree / "torchtune")
            for key, names in keys.items():
                read_by.setdefault(key, set()).update(names)
            for path, arguments in parts.items():
                components[path] = in_order([*components.get(path, ()), *arguments])

    header = [
        "keys that torchtune's recipes read, and arguments of its components; made by tests/reference/torchtune_keys.py",
        *([f"torchtune: source, commit {chosen.commit}; {TORCHTUNE} wheel"] if chosen.source else []),
        *([] if chosen.source else [f"torchtune: {TORCHTUNE} wheel"]),
        "components: what either takes; ** where a component hands other arguments on",
    ]
    rows = [("recipe", key, ",".join(sorted(names))) for key, names in read_by.items()]
    rows += [("component", path, " ".join(arguments)) for path, arguments in components.items()]
    write(header, rows)


if __name__ == "__main__":
    main()
