#!/usr/bin/env python3
"""Load an adapter that this crate saved with PEFT, and say how far its logits are from those of PEFT's own adapter.

``ADAPTER_DIR`` is what ``Adapter::save`` made of ``MODEL_DIR/adapter``; the test ``what_is_saved_is_what_peft_saved``
writes it into the folder that the environment variable ``FTRISK_SAVE_ADAPTER`` names. ``MODEL_DIR`` is ``llama``
beside this script. Prints the largest difference over all logits, and fails above 1e-5 or when the adapter does nothing.

    FTRISK_SAVE_ADAPTER=/tmp/saved cargo test --test it what_is_saved
    peft_loads.py /tmp/saved tests/reference/llama

Packages: see llama_lora.py.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import peft
import torch
import transformers


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit("usage: peft_loads.py ADAPTER_DIR MODEL_DIR")
    adapter, folder = map(Path, sys.argv[1:])
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    base = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    # PEFT only warns of matrices that it misses or does not know.
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tuned = peft.PeftModel.from_pretrained(base, str(adapter)).eval()
    difference, effect = 0.0, 0.0
    with torch.no_grad():
        for tokens, plain, changed in zip(expected["rows"], expected["base"], expected["adapted"]):
            found = tuned(input_ids=torch.tensor([tokens])).logits[0]
            difference = max(difference, (found - torch.tensor(changed)).abs().max().item())
            effect = max(effect, (found - torch.tensor(plain)).abs().max().item())
    print(f"largest difference {difference:.3g}; the adapter moves the logits by up to {effect:.3g}")
    if not difference < 1e-5 or not effect > 0.1:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
