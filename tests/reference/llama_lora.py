#!/usr/bin/env python3
"""Make a tiny Llama, a LoRA adapter on it, and what PyTorch computes with them.

Writes into ``llama/`` beside this script:

    config.json, model.safetensors   the model, as transformers saves it
    tokenizer.json                   32 words, so that the folder is whole
    adapter/                         the adapter, as PEFT saves it
    expected.json                    versions, inputs, logits, loss, norms of the gradient
    expected.safetensors             gradients and the matrices after each of three steps of AdamW

``tests/it/reference.rs`` compares them with what this crate computes.

    pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2 safetensors==0.8.0
    PYTHONHASHSEED=0 llama_lora.py

The hash seed fixes the order of ``target_modules`` in adapter_config.json, which PEFT writes from a set.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import peft
import safetensors
import torch
import transformers
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent / "llama"
PREFIX = "base_model.model."
# The second row is shorter: it is padded on the right, and what stands there must not matter.
ROWS = ((1, 17, 4, 29, 8, 8, 21, 30, 2), (1, 5, 31, 12, 19, 2))
# (row, position, token): the hidden state at the position predicts the token. One of them is not what the row goes on
# with, so that targets are shown to be free of the inputs.
TARGETS = ((0, 3, 8), (0, 4, 8), (0, 5, 21), (0, 6, 30), (0, 7, 2), (1, 1, 31), (1, 3, 19), (1, 4, 7))
RATE, DECAY, NORM, STEPS = 1e-3, 0.01, 1.0, 3


def model() -> transformers.LlamaForCausalLM:
    """The base. Wider than usual weights and uneven norms, so that nothing hides behind a nearly linear model."""
    config = transformers.LlamaConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=24,
        vocab_size=32,
        max_position_embeddings=64,
        # Not the value that readers fall back to: one that does not find it computes other logits.
        rms_norm_eps=1e-4,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
        tie_word_embeddings=False,
        initializer_range=0.3,
        bos_token_id=1,
        eos_token_id=2,
        attn_implementation="eager",
    )
    made = transformers.LlamaForCausalLM(config).to(torch.float32).eval()
    for name, parameter in made.named_parameters():
        if name.endswith("norm.weight"):
            parameter.data.uniform_(0.5, 1.5)
    return made


def adapted(base: transformers.LlamaForCausalLM) -> peft.PeftModel:
    """An adapter on every matrix of the layers whose B is not zero."""
    config = peft.LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        base_model_name_or_path="llama",
    )
    made = peft.get_peft_model(base, config).eval()
    for name, parameter in made.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0.0, 0.1)
    made.peft_config["default"].base_model_name_or_path = "llama"
    return made


def logits(of: torch.nn.Module) -> torch.Tensor:
    """[row, position, vocab] of both rows in one padded batch."""
    width = max(map(len, ROWS))
    tokens = torch.tensor([[*row, *[0] * (width - len(row))] for row in ROWS])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ROWS])
    return of(input_ids=tokens, attention_mask=mask).logits


def loss(of: torch.nn.Module) -> torch.Tensor:
    """The sum of the cross entropies over the targets."""
    found = logits(of)
    picked = torch.stack([found[row, position] for row, position, _ in TARGETS])
    wanted = torch.tensor([token for _, _, token in TARGETS])
    return torch.nn.functional.cross_entropy(picked, wanted, reduction="sum")


def listed(found: torch.Tensor) -> list[list[list[float]]]:
    """The rows of real positions. Nine digits hold an f32."""
    return [
        [[float(f"{x:.9g}") for x in position] for position in row[: len(tokens)].tolist()]
        for row, tokens in zip(found, ROWS)
    ]


def matrices(of: peft.PeftModel) -> dict[str, torch.nn.Parameter]:
    """The adapter's matrices by the names that this crate gives them."""
    return {
        name.removeprefix(PREFIX).replace(".default", ""): parameter
        for name, parameter in of.named_parameters()
        if ".lora_" in name
    }


def main() -> None:
    torch.manual_seed(7)
    torch.set_num_threads(1)
    shutil.rmtree(HERE, ignore_errors=True)
    base = model()
    base.save_pretrained(HERE)
    (HERE / "generation_config.json").unlink()
    vocab = {f"w{token}": token for token in range(32)}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "w0"},
    }
    (HERE / "tokenizer.json").write_text(json.dumps(tokenizer) + "\n", encoding="utf-8")
    with torch.no_grad():
        plain = listed(logits(base))
    tuned = adapted(base)
    tuned.save_pretrained(HERE / "adapter", save_embedding_layers=False)
    (HERE / "adapter" / "README.md").unlink(missing_ok=True)
    with torch.no_grad():
        changed = listed(logits(tuned))

    parameters = matrices(tuned)
    optimizer = torch.optim.AdamW(parameters.values(), lr=RATE, weight_decay=DECAY)
    tensors: dict[str, torch.Tensor] = {}
    after: dict[str, list[torch.Tensor]] = {name: [] for name in parameters}
    losses, norms = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        value = loss(tuned)
        value.backward()
        losses.append(float(f"{value.item():.9g}"))
        if step == 0:
            tensors |= {f"gradient.{name}": parameter.grad.clone() for name, parameter in parameters.items()}
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), NORM)
        norms.append(float(f"{norm.item():.9g}"))
        optimizer.step()
        for name, parameter in parameters.items():
            after[name].append(parameter.detach().clone())
    # One tensor for all steps, [step, rows, columns]: less header than a tensor for each.
    tensors |= {f"after.{name}": torch.stack(steps) for name, steps in after.items()}
    save_file(tensors, HERE / "expected.safetensors")

    expected = {
        "versions": {
            "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__,
            "peft": peft.__version__,
            "safetensors": safetensors.__version__,
        },
        "rows": ROWS,
        "targets": TARGETS,
        "adamw": {"rate": RATE, "decay": DECAY, "norm": NORM},
        "losses": losses,
        "norms": norms,
        "base": plain,
        "adapted": changed,
    }
    (HERE / "expected.json").write_text(json.dumps(expected) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
