"""What a config may name: the arguments of functions and classes, and the keys that a recipe reads.

Nothing of a package is imported or run; its files are read with ``ast``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from keys import init_fields, tree_of

Definition = ast.FunctionDef | ast.ClassDef | ast.Assign

# Stands for the arguments that a ``**kwargs`` takes.
ANY = "**"


class Package:
    """The modules of an unpacked package, and what its dotted paths stand for."""

    def __init__(self, folder: Path, name: str | None = None) -> None:
        self.name = name or folder.name
        self.modules: dict[str, ast.Module] = {}
        self.packages: set[str] = set()
        for path in sorted(folder.rglob("*.py")):
            parts = (self.name, *path.relative_to(folder).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts = parts[:-1]
                self.packages.add(".".join(parts))
            self.modules[".".join(parts)] = tree_of(path)

    def origin(self, module: str, node: ast.ImportFrom) -> str:
        """The module that an import names, relative ones resolved."""
        if not node.level:
            return node.module or ""
        parts = module.split(".")
        parts = parts[: len(parts) - node.level + (module in self.packages)]
        return ".".join([*parts, *([node.module] if node.module else [])])

    def find(self, module: str, name: str) -> tuple[str, Definition] | None:
        """The definition of a name in a module, through what it imports from this package."""
        tree = self.modules.get(module)
        for node in tree.body if tree else ():
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                return module, node
            if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
                return module, node
            if isinstance(node, ast.ImportFrom):
                origin = self.origin(module, node)
                # A package that imports from itself passes on one of its modules.
                if origin != module and name in [alias.asname or alias.name for alias in node.names]:
                    (its_name,) = (alias.name for alias in node.names if (alias.asname or alias.name) == name)
                    return self.find(origin, its_name)
        return None

    def names(self, module: str) -> Iterator[str]:
        """The public names of a module: what it defines, and for a package also what it passes on."""
        for node in self.modules[module].body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call | ast.Name):
                yield ast.unparse(node.targets[0])
            elif isinstance(node, ast.ImportFrom) and module in self.packages:
                if f"{self.origin(module, node)}.".startswith(f"{self.name}."):
                    yield from (alias.asname or alias.name for alias in node.names)

    def arguments(self, module: str, name: str) -> list[str] | None:
        """The arguments that a function or class takes by name, ``ANY`` last where it takes others too.

        ``None`` where they are not written in this package.
        """
        found = self.find(module, name)
        if found is None:
            return None
        where, node = found
        if isinstance(node, ast.FunctionDef):
            return of_function(node)
        if isinstance(node, ast.ClassDef):
            return self.of_class(where, node)
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func).endswith("partial"):
            return self.arguments(where, ast.unparse(node.value.args[0]))
        return self.arguments(where, node.value.id) if isinstance(node.value, ast.Name) else None

    def of_class(self, module: str, node: ast.ClassDef) -> list[str] | None:
        """The arguments that a class takes."""
        for item in node.body:
            if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                return of_function(item)[1:]
        bases = [self.find(module, ast.unparse(base)) for base in node.bases]
        inherited = [
            self.of_class(base[0], base[1]) or [] for base in bases if base and isinstance(base[1], ast.ClassDef)
        ]
        if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
            names = [name for base in inherited for name in base]
            return list(dict.fromkeys([*names, *init_fields(node)]))
        return next((names for names in inherited if names), None)

    def components(self, within: Iterable[str], private: bool = False) -> Iterator[tuple[str, list[str]]]:
        """Dotted paths below some modules, each with its arguments; ``private`` with modules that begin with ``_``."""
        wanted = tuple(within)
        for module in self.modules:
            if not any(module == start or module.startswith(f"{start}.") for start in wanted):
                continue
            if not private and "._" in module:
                continue
            for name in sorted(set(self.names(module))):
                arguments = None if name.startswith("_") else self.arguments(module, name)
                if arguments is not None:
                    yield f"{module}.{name}", arguments


def of_function(node: ast.FunctionDef) -> list[str]:
    """The arguments that a function takes by name."""
    names = [argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)]
    return [*names, ANY] if node.args.kwarg else names


def in_order(arguments: Iterable[str]) -> list[str]:
    """Arguments, each once, with ``ANY`` last."""
    return sorted(dict.fromkeys(arguments), key=lambda name: name == ANY)


def constants(package: Package) -> dict[str, str]:
    """The texts that modules call by a name in capitals."""
    return {
        ast.unparse(node.targets[0]): str(node.value.value)
        for tree in package.modules.values()
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }


def keys_read(tree: ast.AST, configs: set[str], named: dict[str, str]) -> Iterator[str]:
    """The keys that code asks a config for; ``configs`` are the names that it has there.

    As an attribute, under brackets, with ``get``, with ``in``, or by a helper that takes the config and the key.
    """

    def text(node: ast.expr) -> str | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        return named.get(ast.unparse(node))

    for node in ast.walk(tree):
        asked: list[ast.expr] = []
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in configs:
            yield node.attr
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in configs:
            asked = [node.slice]
        elif isinstance(node, ast.Compare) and ast.unparse(node.comparators[0]) in configs:
            asked = [node.left]
        elif isinstance(node, ast.Call) and node.args:
            is_get = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in configs
            asked = node.args[:1] if is_get else node.args[1:2] if ast.unparse(node.args[0]) in configs else []
        yield from (key for key in map(text, asked) if key)
