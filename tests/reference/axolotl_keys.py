#!/usr/bin/env python3
"""Print every top-level key that Axolotl's config schema takes.

Axolotl reads a run file with ``yaml.safe_load`` and hands it to a pydantic
model: a key is taken when a class of the model has a field of that name or of
that alias, and is dropped without a word otherwise. Plugins that a run file
names under ``plugins`` add the fields of a class of their own. This script
reads those classes with ``ast`` (nothing is imported or run) from the pinned
wheels.

Output, sorted, tab separated, after ``#`` header lines:

    axolotl <TAB> key <TAB> class              taken in every run
    axolotl <TAB> key <TAB> class:package      only with that plugin package

``class`` declares the field. The newest wheel decides; a key that only an older
pinned wheel takes is marked ``class@axolotl-version``.

    axolotl_keys.py                # downloads the wheels
    axolotl_keys.py --wheels DIR   # DIR/axolotl-0.21.0/axolotl/ ...

``src/adapt/keys/axolotl.tsv`` is the output.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from keys import Classes, parser, tree_of, wheels, write

# The newest wheel, and the one whose trainer the reader was written against.
VERSIONS = ("0.21.0", "0.18.0")

ROOT = "AxolotlInputConfig"
INTEGRATIONS = "axolotl.integrations."


def trees(folder: Path) -> Iterator[ast.Module]:
    """The syntax trees of all Python files of a folder."""
    for path in sorted(folder.rglob("*.py")):
        yield tree_of(path)


def classes_of(folder: Path) -> Classes:
    """The top-level classes of a folder, by name."""
    found: Classes = {}
    for tree in trees(folder):
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name in found:
                # Only names that a model inherits from must be unambiguous; those are.
                continue
            if isinstance(node, ast.ClassDef):
                found[node.name] = node
    return found


def names_of(item: ast.AnnAssign) -> Iterator[str]:
    """The keys that fill a field: its name, and its alias where it has one."""
    name = ast.unparse(item.target)
    annotation = ast.unparse(item.annotation)
    if "ClassVar" in annotation or name.startswith("_") or name == "model_config":
        return
    yield name
    if isinstance(item.value, ast.Call):
        for keyword in item.value.keywords:
            if keyword.arg in ("alias", "validation_alias") and isinstance(keyword.value, ast.Constant):
                yield str(keyword.value.value)


def fields(name: str, classes: Classes) -> dict[str, str]:
    """Keys of a model with the declaring class, bases included."""
    node = classes.get(name)
    if node is None:
        return {}
    found = {
        key: name for item in node.body if isinstance(item, ast.AnnAssign) for key in names_of(item)
    }
    for base in node.bases:
        for key, owner in fields(ast.unparse(base).split(".")[-1], classes).items():
            found.setdefault(key, owner)
    return found


def plugin_classes(integrations: Path) -> Iterator[str]:
    """Dotted names of the classes that plugins add, as ``get_input_args`` returns them."""
    for tree in trees(integrations):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == "get_input_args":
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Return) and isinstance(inner.value, ast.Constant):
                        if isinstance(inner.value.value, str) and inner.value.value.startswith(INTEGRATIONS):
                            yield inner.value.value


def read_keys(package: Path) -> dict[str, str]:
    """All keys of one Axolotl."""
    classes = classes_of(package / "utils" / "schemas")
    if ROOT not in classes:
        raise SystemExit(f"{package}: no class {ROOT}")
    keys = fields(ROOT, classes)
    for dotted in sorted(plugin_classes(package / "integrations")):
        folder = dotted.removeprefix(INTEGRATIONS).split(".")[0]
        name = dotted.rsplit(".", 1)[1]
        added = fields(name, classes_of(package / "integrations" / folder))
        if not added:
            raise SystemExit(f"{package}: {dotted} has no fields")
        for key, owner in added.items():
            keys.setdefault(key, f"{owner}:{INTEGRATIONS}{folder}")
    return keys


def main() -> None:
    options = parser(__doc__, "axolotl-VERSION/axolotl/").parse_args()

    rows: dict[str, str] = {}
    with wheels(options.wheels) as pinned:
        for version in VERSIONS:
            package = pinned.unpacked("axolotl", version)
            mark = "" if version == VERSIONS[0] else f"@axolotl-{version}"
            for key, owner in read_keys(package).items():
                rows.setdefault(key, owner + mark)

    header = (
        "keys that Axolotl's config schema takes; made by tests/reference/axolotl_keys.py",
        "axolotl: " + "; ".join(f"{version} wheel" for version in VERSIONS),
        "CLASS:PACKAGE: only where plugins names a plugin of that package",
        "CLASS@PACKAGE-VERSION: only that older version takes the key",
        "not listed: what plugins from elsewhere add",
    )
    write(header, (("axolotl", key, owner) for key, owner in rows.items()))


if __name__ == "__main__":
    main()
