# The limits of limits.riskpolicy, key by key.
package bench

import rego.v1

deny contains "learning_rate" if not input.learning_rate <= 0.0002

deny contains "weight_decay" if not within(input.weight_decay, 0, 0.1)

deny contains "clip_norm" if not within(input.max_grad_norm, 0.1, 1)

deny contains "warmup_fraction" if not input.warmup_ratio >= 0.01

deny contains "epochs" if not input.num_train_epochs <= 3

deny contains "lora.rank" if not input.lora_rank <= 16

deny contains "lora.alpha" if not within(input.lora_alpha, 4, 32)

deny contains "model" if not startswith(input.model_name_or_path, "Qwen/")

deny contains "stage" if not input.stage == "sft"

deny contains "method" if not input.finetuning_type == "lora"

deny contains "optimizer" if not input.optim in {"adamw_torch", "adamw_torch_fused", "adamw_hf", "adamw_bnb_8bit"}

deny contains "scheduler" if not input.lr_scheduler_type in {"cosine", "linear"}

deny contains "quantization" if not object.get(input, "quantization_bit", "none") in {"none", 4, 8}

deny contains "template" if not startswith(input.template, "qwen3")

deny contains "dataset" if not input.dataset in {"support_tickets", "alpaca_en_demo"}

deny contains "lora.targets" if not input.lora_target == "all"

deny contains "model_revision" if not regex.match(`^[0-9a-f]{7,40}$`, input.model_revision)

deny contains "seed" if not is_number(input.seed)

deny contains "clipping" if not input.max_grad_norm > 0

deny contains "evaluation" if not input.eval_strategy in {"steps", "epoch"}

within(value, least, most) if {
	value >= least
	value <= most
}
