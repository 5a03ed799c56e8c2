"""What the scripts that list a framework's keys share: pinned wheels, the fields of dataclasses, and the table.

Nothing of a package is imported or run; its files are read with ``ast``.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

Classes = dict[str, ast.ClassDef]


def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def classes_of(path: Path) -> Classes:
    """The top-level classes of a Python file, by name."""
    return {node.name: node for node in tree_of(path).body if isinstance(node, ast.ClassDef)}


def init_fields(node: ast.ClassDef) -> Iterator[str]:
    """Names of the fields that a dataclass declares itself and that its ``__init__`` takes."""
    for item in node.body:
        if not (isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)):
            continue
        if "ClassVar" in ast.unparse(item.annotation):
            continue
        if isinstance(item.value, ast.Call) and ast.unparse(item.value.func).endswith("field"):
            init = [keyword.value for keyword in item.value.keywords if keyword.arg == "init"]
            if any(isinstance(value, ast.Constant) and value.value is False for value in init):
                continue
        yield item.target.id


@dataclass(frozen=True)
class Wheels:
    """Where pinned wheels are unpacked: a folder that has them, or one to download them into."""

    given: Path | None
    work: Path

    def unpacked(self, package: str, version: str, folder: str | None = None, platform: str | None = None) -> Path:
        """A folder of a pinned wheel, by default that of the package's name.

        ``platform`` names the wheel to read where a package has one for each.
        """
        label = f"{package}-{version}"
        place = (self.given or self.work) / label
        if self.given is None:
            download = self.work / "download" / label
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
            # Newer releases ask for a newer Python than reading them takes.
            command += ["--python-version", "3.12"]
            command += ["--platform", platform] if platform else []
            subprocess.run([*command, "--dest", str(download), f"{package}=={version}"], check=True)
            (wheel,) = download.glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(place)
        inner = place / (package if folder is None else folder)
        if not inner.is_dir():
            raise SystemExit(f"{inner} is no folder")
        return inner


def parser(doc: str, layout: str) -> argparse.ArgumentParser:
    """The parser of a script's own options; ``layout`` shows what a folder of ``--wheels`` holds."""
    options = argparse.ArgumentParser(description=doc.splitlines()[0])
    options.add_argument("--wheels", type=Path, help=f"folder of unpacked wheels, {layout}")
    return options


@contextmanager
def wheels(given: Path | None) -> Iterator[Wheels]:
    """Pinned wheels, downloaded for as long as they are read unless ``given`` holds them."""
    with tempfile.TemporaryDirectory() as temporary:
        yield Wheels(given, Path(temporary))


def write(header: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: its header as comments, then its rows in their order, with tabs between the cells."""
    for line in header:
        print(f"# {line}")
    for row in sorted(rows):
        print("\t".join(row))
