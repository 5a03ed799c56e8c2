#!/usr/bin/env python3
"""Print the arguments of the optimizers that run files name by their class.

torchtune and NeMo Automodel make an optimizer of a dotted path and the keys
beside it: one that the class does not take is a ``TypeError``. This script
reads the classes with ``ast`` (nothing is imported or run) from pinned wheels.

Output, sorted, tab separated, after ``#`` header lines:

    optimizer <TAB> dotted path <TAB> arguments, between blanks

    optimizer_keys.py                # downloads the wheels
    optimizer_keys.py --wheels DIR   # DIR/torch-2.9.1/torch/ ...

``src/adapt/keys/optimizers.tsv`` is the output.
"""

from __future__ import annotations

from components import Package
from keys import parser, wheels, write

# Package, version, the folder with its optimizers, and the platform whose wheel is the smallest.
PACKAGES = (
    ("torch", "2.9.1", "torch/optim", "macosx_11_0_arm64"),
    ("bitsandbytes", "0.48.2", "bitsandbytes/optim", "manylinux_2_24_x86_64"),
    ("torchao", "0.14.1", "torchao/optim", None),
)


def main() -> None:
    options = parser(__doc__, "PACKAGE-VERSION/PACKAGE/").parse_args()

    rows: list[tuple[str, str, str]] = []
    with wheels(options.wheels) as pinned:
        for name, version, folder, platform in PACKAGES:
            package = Package(pinned.unpacked(name, version, folder, platform), f"{name}.optim")
            for path, arguments in package.components([package.name]):
                # Only what the package passes on: its modules are no part of what is promised.
                if path.count(".") == 2 and "params" in arguments:
                    rows.append(("optimizer", path, " ".join(arguments)))

    header = (
        "arguments of optimizers; made by tests/reference/optimizer_keys.py",
        "; ".join(f"{name}: {version} wheel" for name, version, *_ in PACKAGES),
    )
    write(header, rows)


if __name__ == "__main__":
    main()
