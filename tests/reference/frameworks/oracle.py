#!/usr/bin/env python3
"""Print what a framework's own parser makes of run files, as JSON.

    oracle.py trl [--stage dpo] RUN.yaml ...
    oracle.py --write                 # the records beside the fixtures

Each file is read by the framework that is named, as far as its own code goes
without a GPU, a model or a data set: loader, parser, schema and post-init, then
the arguments that its trainer is built with. What is printed are values, in the
names of ``tests/it/frameworks.rs``; ``null`` says that the run has no such
thing. A file that the framework refuses has ``refused`` with its words.

``--write`` reads ``fixtures/FRAMEWORK/*``, and writes ``fixtures/FRAMEWORK.json``
for each framework that can be imported. A fixture whose name has ``.dpo.`` or the
like in it is launched for that stage.

One environment for each framework, since they exclude each other's versions:

    python3.12 -m venv V && V/bin/pip install -r <(oracle.py --pins trl)

The records were made with Python 3.12 and torch 2.9.1 everywhere; a framework
that asks for a newer one was installed with ``--no-deps``, since parsing does
without. No GPU is needed, and nothing is downloaded.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import re
import sys
import types
from pathlib import Path
from unittest import mock

PINS = {
    "trl": ["torch==2.9.1", "trl==1.16.0", "transformers==5.24.0", "peft==0.21.0"],
    "axolotl": ["axolotl==0.21.0", "transformers==5.20.1", "trl==1.14.1", "peft==0.21.2"],
    "llama_factory": ["llamafactory==0.9.5", "transformers==5.6.0", "trl==0.24.0", "peft==0.18.1"],
    "swift": ["ms-swift==4.6.0", "transformers==5.8.0", "trl==0.29.1", "peft==0.19.1"],
    "torchtune": ["torch==2.9.1", "torchtune==0.6.1", "torchao==0.14.1", "bitsandbytes==0.48.2"],
    "mlx_lm": ["mlx-lm==0.32.0"],
    "litgpt": ["torch==2.9.1", "litgpt==0.5.13", "jsonargparse[signatures]==4.41.0"],
}

HERE = Path(__file__).resolve().parent
STEPS = 1000


def trainer_arguments(args) -> dict:
    """What a Hugging Face trainer reads in its arguments; the schedule as it runs."""
    scheduler = getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type)
    values = {
        "lr": args.learning_rate,
        "epochs": args.num_train_epochs,
        "max_steps": args.max_steps if args.max_steps > 0 else None,
        "per_device": args.per_device_train_batch_size,
        "accum": args.gradient_accumulation_steps,
        "eff_bs": args.per_device_train_batch_size * args.gradient_accumulation_steps,
        "sched": scheduler,
        "warmup": warmup(args, scheduler),
        "wd": args.weight_decay,
        "clip": args.max_grad_norm,
        "optim": getattr(args.optim, "value", args.optim),
        "seed": args.seed,
        "evals": getattr(args.eval_strategy, "value", args.eval_strategy) != "no",
    }
    return values


def warmup(args, scheduler: str):
    """The warm-up as the schedule has it: a share below 1 of all updates, or a number of them."""
    asked = args.get_warmup_steps(STEPS)
    rates = rates_of(args, scheduler, asked)
    if scheduler == "reduce_lr_on_plateau" or rates is not None and rates[0] == max(rates):
        asked = 0
    said = args.warmup_steps or getattr(args, "warmup_ratio", 0) or 0
    is_share = 0 < said < 1
    return asked / STEPS if is_share else asked


def rates_of(args, scheduler: str, asked: int):
    """The rates of a run of 1000 updates."""
    import torch
    from transformers import get_scheduler

    if scheduler in ("reduce_lr_on_plateau", "greedy"):
        return None
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=float(args.learning_rate))
    kwargs = args.lr_scheduler_kwargs
    kwargs = json.loads(kwargs) if isinstance(kwargs, str) else kwargs
    try:
        made = get_scheduler(scheduler, optimizer, asked, STEPS, scheduler_specific_kwargs=dict(kwargs or {}))
    except (ValueError, TypeError):
        return None
    rates = []
    for _ in range(STEPS):
        rates.append(made.get_last_lr()[0])
        optimizer.step()
        made.step()
    return rates


def adapter(config) -> dict:
    """The shape of a PEFT adapter."""
    if config is None:
        return {"rank": None, "alpha": None, "dropout": None, "targets": None, "rslora": None, "scale": None}
    targets = config.target_modules
    if targets and getattr(config, "target_parameters", None):
        targets = [targets] if isinstance(targets, str) else list(targets)
        targets += config.target_parameters
    root = config.r**0.5 if config.use_rslora else config.r
    return {
        "rank": config.r,
        "alpha": config.lora_alpha,
        "dropout": config.lora_dropout,
        "rslora": bool(config.use_rslora),
        "scale": config.lora_alpha / root,
        "targets": [targets] if isinstance(targets, str) else sorted(targets) if targets else "by the model",
    }


def without_gpu():
    """Device checks that have nothing to do with a run file."""
    import transformers.training_args as module
    import transformers.utils.import_utils as utils

    for name in ("is_torch_bf16_gpu_available", "is_torch_tf32_available"):
        for where in (module, utils):
            if hasattr(where, name):
                setattr(where, name, lambda *_: True)


def trl(path: Path, stage: str) -> dict:
    import trl as package
    from trl import ModelConfig, ScriptArguments, TrlParser, get_peft_config

    without_gpu()
    config = getattr(package, {"rm": "RewardConfig"}.get(stage, f"{stage.upper()}Config"))
    parts = [ScriptArguments, config, ModelConfig]
    if hasattr(package, "DatasetMixtureConfig"):
        parts.append(package.DatasetMixtureConfig)
    parser = TrlParser(parts)
    _, args, model, *_ = parser.parse_args_and_config(["--config", str(path)])
    values = trainer_arguments(args) | adapter(get_peft_config(model) if model.use_peft else None)
    values["packing"] = bool(getattr(args, "packing", False))
    values["seq"] = getattr(args, "max_length", None)
    values["kl_beta"] = getattr(args, "beta", None)
    values["bits"] = "4" if model.load_in_4bit else "8" if model.load_in_8bit else "none"
    if not model.use_peft:
        values["tuner"] = "full"
    else:
        values["tuner"] = "dora" if model.use_dora else "lora" if values["bits"] == "none" else "qlora"
    return values


def llama_factory(path: Path, stage: str) -> dict:
    os.environ["DISABLE_VERSION_CHECK"] = "1"
    import transformers

    without_gpu()
    from llamafactory.hparams import parser as module

    module.is_torch_bf16_gpu_available = lambda: True
    with mock.patch.object(sys, "argv", ["llamafactory-cli", str(path)]):
        said = module.read_args()
    # Launching is not reading: DeepSpeed wants torchrun, and packages of optimizers want to be installed.
    for key in ("deepspeed", "fsdp", "fsdp_config"):
        said.pop(key, None)
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(module, "_check_extra_dependencies", lambda *_: None))
        stack.enter_context(mock.patch.object(module, "check_version", lambda *_, **__: None, create=True))
        stack.enter_context(mock.patch.object(module, "get_last_checkpoint", lambda *_: None, create=True))
        model, data, args, tuning, _ = module.get_train_args(said)
    del transformers
    values = trainer_arguments(args)
    if any(getattr(tuning, f"use_{name}") for name in ("galore", "apollo", "badam", "adam_mini", "muon")):
        # The trainer makes another one, from a package that is not needed for parsing.
        del values["optim"]
    kind = tuning.finetuning_type
    if kind == "lora":
        root = tuning.lora_rank**0.5 if tuning.use_rslora else tuning.lora_rank
        values |= {
            "rank": tuning.lora_rank,
            "alpha": tuning.lora_alpha,
            "dropout": tuning.lora_dropout,
            "rslora": tuning.use_rslora,
            "scale": tuning.lora_alpha / root,
            "targets": sorted(tuning.lora_target),
            "loraplus": tuning.loraplus_lr_ratio,
        }
        kind = "dora" if tuning.use_dora else "qlora" if model.quantization_bit else "lora"
    values |= {
        "tuner": kind,
        "stage": tuning.stage,
        "seq": data.cutoff_len,
        # Only these two have a processor that packs.
        "packing": tuning.stage in ("sft", "pt") and bool(data.packing if data.packing is not None else tuning.stage == "pt"),
        "max_samples": data.max_samples,
        "bits": str(model.quantization_bit) if model.quantization_bit else "none",
        "kl_beta": tuning.pref_beta if tuning.stage in ("dpo", "kto") else None,
    }
    return values


def swift(path: Path, stage: str) -> dict:
    import swift.arguments.base_args.base_args as base
    import swift.arguments.base_args.model_args as module
    from swift.arguments import PretrainArguments, RLHFArguments, SftArguments
    from swift.arguments import sft_args
    from swift.cli.main import parse_yaml_args
    from swift.utils import parse_args

    without_gpu()
    words = [str(path)]
    parse_yaml_args(words)
    kind = RLHFArguments if "--rlhf_type" in words else {"pt": PretrainArguments}.get(stage, SftArguments)

    def model(self):
        self.model_info = types.SimpleNamespace(
            torch_dtype="bfloat16", is_moe_model=False, is_multimodal=False, quant_method=None, quant_bits=None,
            max_model_len=32768, task_type="causal_lm", num_labels=None, config=None, rope_scaling=None,
            model_dir=self.model, model_type="qwen3", problem_type=None,
        )
        self.model_meta = types.SimpleNamespace(
            is_multimodal=False, is_reward=False, requires=[], template="qwen3", model_type="qwen3",
            ignore_patterns=None, additional_saved_files=[], task_type="causal_lm", mcore_model_type=None,
            is_reranker=False, candidate_templates=["qwen3"], model_arch=None,
        )
        self.model_dir, self.model_type, self.model_suffix = self.model, "qwen3", "m"
        self.task_type = self.task_type or "causal_lm"
        self.torch_dtype = "bfloat16"
        self.bf16, self.fp16 = True, False
        self.rope_scaling = None

    with contextlib.ExitStack() as stack:
        for cls, name, by in (
            (module.ModelArguments, "_init_model_info", lambda self: model(self)),
            (module.ModelArguments, "_init_mixed_precision", lambda self: None),
            (module.ModelArguments, "_init_torch_dtype", lambda self: model(self)),
            (sft_args.SftArguments, "_init_deepspeed", lambda self: setattr(self, "deepspeed", None)),
            (sft_args.SftArguments, "_check_padding_free", lambda self: None),
            (sft_args.SftArguments, "_add_version", lambda self: None),
            (base.BaseArguments, "_init_custom_register", lambda self: None),
        ):
            if hasattr(cls, name):
                stack.enter_context(mock.patch.object(cls, name, by))
        run, rest = parse_args(kind, words)
    if rest:
        raise ValueError(f"remaining_argv: {rest}")
    args = run.training_args
    values = trainer_arguments(args)
    tuner = run.tuner_type
    if tuner == "lora":
        root = run.lora_rank**0.5 if run.use_rslora else run.lora_rank
        values |= {
            "rank": run.lora_rank,
            "alpha": run.lora_alpha,
            "dropout": run.lora_dropout,
            "rslora": run.use_rslora,
            "scale": run.lora_alpha / root,
            "targets": sorted(run.target_modules),
        }
        tuner = "dora" if run.use_dora else "qlora" if run.quant_bits else "lora"
    values |= {
        "tuner": tuner,
        "seq": run.max_length,
        "packing": bool(run.packing),
        "bits": str(run.quant_bits) if run.quant_bits else "none",
        "kl_beta": getattr(run, "beta", None),
    }
    return values


def axolotl(path: Path, stage: str) -> dict:
    os.environ["AXOLOTL_DO_NOT_TRACK"] = "1"
    os.environ["DO_NOT_TRACK"] = "1"
    import yaml
    from axolotl.cli import config as cli
    from axolotl.core.builders import HFCausalTrainerBuilder, HFRLTrainerBuilder
    from axolotl.core.builders import base as builders
    from axolotl.loaders import adapter as adapters
    from axolotl.utils import config as module
    from axolotl.utils.dict import DictDefault

    without_gpu()
    said = DictDefault(yaml.safe_load(path.read_text(encoding="utf-8")))
    said.axolotl_config_path = str(path)
    with mock.patch("subprocess.Popen", side_effect=OSError("nothing is started")):
        cli.prepare_plugins(said)
    gpu = {"bf16": True, "fp8": True, "n_gpu": 1, "n_node": 1, "compute_capability": "sm_90", "tf32": True}
    cfg = module.validate_config(said, capabilities=gpu, env_capabilities={"torch_version": "2.9.1"})
    with contextlib.ExitStack() as stack:
        # What follows the loading of the model's config has no number in it.
        stack.enter_context(mock.patch.object(module, "load_model_config", side_effect=StopIteration))
        stack.enter_context(mock.patch.object(module, "resolve_dtype", lambda _: None))
        with contextlib.suppress(StopIteration):
            module.normalize_config(cfg)
    module.normalize_cfg_datasets(cfg)
    total = STEPS * 1000
    total = min(total, cfg.max_steps) if cfg.max_steps else total
    kind = HFRLTrainerBuilder if cfg.rl else HFCausalTrainerBuilder
    builder = kind.__new__(kind)
    builder.cfg, builder.model, builder.tokenizer, builder.processor = cfg, None, None, None
    builder._train_dataset, builder._model_ref, builder._peft_config = None, None, None
    builder._eval_dataset = [1] if (cfg.val_set_size or cfg.test_datasets) else None
    optimizer = cfg.optimizer
    with contextlib.ExitStack() as stack:
        for name in ("_configure_reporting", "_configure_torch_compile", "_configure_gradient_checkpointing",
                     "_configure_hub_parameters"):
            stack.enter_context(mock.patch.object(builders.TrainerBuilderBase, name, lambda *_: None))
        try:
            kwargs, _ = builder._set_base_training_args(total)
        except (ImportError, TypeError, AttributeError):
            cfg.optimizer = "adamw_torch"
            kwargs, _ = builder._set_base_training_args(total)
        if cfg.rl:
            args, _ = builder._build_training_arguments(total)
        else:
            from axolotl.core.training_args import AxolotlTrainingArguments

            args = AxolotlTrainingArguments(**kwargs)
    values = trainer_arguments(args)
    values["max_steps"] = cfg.max_steps or None
    values["optim"] = getattr(optimizer, "value", optimizer)
    values["sched"] = kwargs.get("alternate_lr_scheduler_type") or values["sched"]
    if cfg.warmup_steps is None and cfg.warmup_ratio is not None and values["warmup"]:
        values["warmup"] = cfg.warmup_ratio
    if cfg.adapter in ("lora", "qlora"):
        try:
            config = adapters._build_peft_lora_config(mock.MagicMock(), cfg)
            values |= adapter(config)
            if cfg.lora_target_linear:
                values["targets"] = "by the model"
        except Exception as error:  # noqa: BLE001
            print(path, "adapter:", error, file=sys.stderr)
    elif not cfg.adapter:
        values |= adapter(None)
    if cfg.adapter in ("lora", "qlora", None):
        values["tuner"] = {"lora": "lora", "qlora": "qlora", None: "full"}[cfg.adapter]
        if cfg.adapter and cfg.peft_use_dora:
            values["tuner"] = "dora"
    values |= {
        "seq": cfg.sequence_len,
        "packing": bool(cfg.sample_packing),
        "kl_beta": getattr(args, "beta", None) if cfg.rl else None,
        "loraplus": cfg.loraplus_lr_ratio,
    }
    # The trainer's own classes go on from here: they freeze weights, and put another schedule in the place of cosine.
    if cfg.unfrozen_parameters:
        del values["tuner"]
    if cfg.cosine_min_lr_ratio:
        del values["sched"]
    if cfg.rl:
        values["stage"] = getattr(cfg.rl, "value", cfg.rl)
    return values


def component(node, **more):
    """The arguments of a torchtune component, its own defaults among them."""
    target = node["_component_"]
    where, name = target.rsplit(".", 1)
    made = getattr(importlib.import_module(where), name)
    signature = inspect.signature(made)
    values = {key: part.default for key, part in signature.parameters.items() if part.default is not part.empty}
    return target, values | {key: value for key, value in node.items() if key != "_component_"} | more


def torchtune(path: Path, stage: str) -> dict:
    from omegaconf import OmegaConf
    from torchtune.config._parse import TuneRecipeArgumentParser

    parser = TuneRecipeArgumentParser()
    parsed, _ = parser.parse_known_args(["--config", str(path)])
    cfg = OmegaConf.to_container(OmegaConf.create(vars(parsed)), resolve=True)
    values = {}
    if "optimizer" in cfg:
        target, optimizer = component(cfg["optimizer"])
        rate, decay = optimizer.get("lr"), optimizer.get("weight_decay")
        # PyTorch's own classes take a tensor or a number; theirs that have None have no rate of their own.
        values |= {"optim": target, "lr": float(rate), "wd": float(decay)}
    model, shape = component(cfg["model"])
    if "lora" in model:
        values |= {
            "tuner": "dora" if shape.get("use_dora") else "qlora" if "qlora" in model or shape.get("quantize_base") else "lora",
            "rank": shape.get("lora_rank"),
            "alpha": shape.get("lora_alpha"),
            "dropout": shape.get("lora_dropout"),
            "scale": shape["lora_alpha"] / shape["lora_rank"],
        }
        targets = list(shape["lora_attn_modules"])
        targets += ["mlp"] if shape.get("apply_lora_to_mlp") else []
        # The projection of the attention is called output_proj; this one makes tokens.
        targets += ["output"] if shape.get("apply_lora_to_output") else []
        values["targets"] = targets
    else:
        values["tuner"] = "full"
    values |= {
        "per_device": cfg["batch_size"],
        "accum": cfg.get("gradient_accumulation_steps", 1),
        "epochs": cfg.get("epochs"),
        "clip": cfg.get("clip_grad_norm") or 0,
        "seed": cfg.get("seed"),
        "packing": bool(cfg.get("dataset", {}).get("packed", False)) if isinstance(cfg.get("dataset"), dict) else None,
        "seq": cfg.get("tokenizer", {}).get("max_seq_len"),
    }
    if "lr_scheduler" in cfg and cfg["lr_scheduler"]:
        target, schedule = component(cfg["lr_scheduler"])
        values["sched"] = target.rsplit(".", 1)[1].removeprefix("get_").removesuffix("_schedule_with_warmup")
        values["warmup"] = schedule.get("num_warmup_steps")
    for key in [key for key, value in values.items() if value is None and key not in ("seed", "seq", "packing")]:
        del values[key]
    return values


def mlx_lm(path: Path, stage: str) -> dict:
    """The defaults and the loader are read out of the file, since importing it needs a Mac."""
    import importlib.util
    import math

    import yaml

    for name in ("mlx", "mlx.core", "mlx.nn", "mlx.optimizers", "mlx.utils", "mlx_lm", "mlx_lm.cli_ui",
                 "mlx_lm.tuner", "mlx_lm.tuner.callbacks", "mlx_lm.tuner.datasets", "mlx_lm.tuner.trainer",
                 "mlx_lm.tuner.utils", "mlx_lm.utils"):
        sys.modules.setdefault(name, mock.MagicMock(name=name, __path__=[], __spec__=None))
    source = next(Path(p) / "mlx_lm/lora.py" for p in sys.path if (Path(p) / "mlx_lm/lora.py").exists())
    spec = importlib.util.spec_from_file_location("mlx_lm.lora", source)
    module = importlib.util.module_from_spec(spec)
    sys.modules["mlx_lm.lora"] = module
    spec.loader.exec_module(module)
    args = vars(module.build_parser().parse_args(["--config", str(path)]))
    config = yaml.load(path.read_text(), module.yaml_loader)
    for key, value in config.items():
        if args.get(key) is None:
            args[key] = value
    for key, value in module.CONFIG_DEFAULTS.items():
        if args.get(key) is None:
            args[key] = value
    kind, shape = args["fine_tune_type"], args["lora_parameters"]
    values = {
        "lr": args["learning_rate"],
        "tuner": kind,
        "optim": args["optimizer"],
        "accum": args["grad_accumulation_steps"],
        "seed": args["seed"],
        "seq": args["max_seq_length"],
        "clip": 0,
        "sched": args["lr_schedule"]["name"] if args["lr_schedule"] else "constant",
        "warmup": args["lr_schedule"].get("warmup", 0) if args["lr_schedule"] else 0,
        "max_steps": math.floor(args["iters"] / args["grad_accumulation_steps"]),
    }
    if kind == "full":
        values |= {"rank": None, "scale": None, "dropout": None}
    else:
        values |= {"rank": shape["rank"], "scale": shape["scale"], "dropout": shape["dropout"]}
    return values


def litgpt(path: Path, stage: str) -> dict:
    import yaml
    from jsonargparse import ArgumentParser, set_config_read_mode, set_docstring_parse_options

    set_docstring_parse_options(attribute_docstrings=True)
    set_config_read_mode(urls_enabled=True)
    said = yaml.safe_load(path.read_text()) or {}
    name = "finetune.lora" if "lora_r" in said else "pretrain" if "initial_checkpoint_dir" in said else "finetune.full"
    setup = importlib.import_module(f"litgpt.{name}").setup
    parser = ArgumentParser()
    parser.add_argument("--config", action="config")
    parser.add_function_arguments(setup, as_group=False)
    parsed = parser.parse_args(["--config", str(path)])
    train = parsed.train
    optimizer = parsed.optimizer
    values = {
        "epochs": train.epochs,
        "per_device": train.micro_batch_size,
        "global_bs": train.global_batch_size,
        "warmup": train.lr_warmup_steps or 0,
        "clip": train.max_norm or 0,
        "seq": train.max_seq_length,
        "max_steps": train.max_steps,
        "seed": parsed.seed,
        "bits": "4" if "4" in (parsed.get("quantize") or "") else "none",
    }
    if train.max_tokens:
        # A bound in tokens, which becomes one in steps only while it trains.
        del values["max_steps"]
    if isinstance(optimizer, str):
        import torch

        defaults = inspect.signature(getattr(torch.optim, optimizer)).parameters
        values |= {"optim": f"torch.optim.{optimizer}", "lr": defaults["lr"].default, "wd": defaults["weight_decay"].default}
    else:
        made = optimizer.get("init_args", {})
        values |= {"optim": optimizer["class_path"], "lr": float(made["lr"]), "wd": float(made["weight_decay"])}
    if (parsed.get("quantize") or "").startswith("bnb."):
        import torch
        from litgpt.utils import instantiate_bnb_optimizer

        said = optimizer if isinstance(optimizer, str) else dict(optimizer)
        made = instantiate_bnb_optimizer(said, [torch.nn.Parameter(torch.zeros(1))])
        group = made.param_groups[0]
        values |= {"optim": f"bitsandbytes.optim.{type(made).__name__}", "lr": group["lr"], "wd": group["weight_decay"]}
    if name == "finetune.lora":
        values |= {
            "rank": parsed.lora_r,
            "alpha": parsed.lora_alpha,
            "dropout": parsed.lora_dropout,
            "scale": parsed.lora_alpha / parsed.lora_r,
        }
    return values


READERS = {
    "trl": trl,
    "axolotl": axolotl,
    "llama_factory": llama_factory,
    "swift": swift,
    "torchtune": torchtune,
    "mlx_lm": mlx_lm,
    "litgpt": litgpt,
}


def record(framework: str, path: Path, stage: str | None) -> dict:
    """What a framework makes of a file, or what it says against it."""
    found = {"file": path.name, "path": str(path), "framework": framework}
    if stage:
        found["launch"] = stage
    quiet = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr):
            values = READERS[framework](path, stage or "sft")
    except (Exception, SystemExit) as error:  # noqa: BLE001
        text = re.sub(r"\s+", " ", str(error) or repr(error))
        return found | {"refused": f"{type(error).__name__}: {text[:160]}"}
    finally:
        sys.stdout = quiet
    return found | {"values": values}


def main() -> None:
    words = sys.argv[1:]
    if words[:1] == ["--pins"]:
        print("\n".join(PINS[words[1]]))
        return
    if words[:1] == ["--write"]:
        for framework in words[1:] or READERS:
            records = []
            for path in sorted((HERE / "fixtures" / framework).iterdir()):
                stage = re.search(r"\.(\w+)\.\w+$", path.name)
                found = record(framework, path, stage and stage[1])
                del found["path"], found["framework"]
                records.append(json.dumps(found))
            text = json.dumps({"pins": PINS[framework]})
            lines = ",\n".join(records)
            (HERE / "fixtures" / f"{framework}.json").write_text(f'[\n{text},\n{lines}\n]\n')
        return
    framework, *words = words
    stage = None
    if words[:1] == ["--stage"]:
        stage, words = words[1], words[2:]
    for word in words:
        print(json.dumps(record(framework, Path(word).resolve(), stage)), flush=True)


if __name__ == "__main__":
    main()
