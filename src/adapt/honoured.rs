//! What this project's own trainer does with each key of LLaMA-Factory.
//!
//! A key is honoured, without effect, or refused unless its value switches it off. A key in none of the tables is
//! refused as well.

/// Keys that the recipe takes over, between blanks.
pub const HONOURED: &str = "
        adam_beta1 adam_beta2 adam_epsilon cutoff_len dataset dataset_dir do_train finetuning_type
        gradient_accumulation_steps learning_rate lora_alpha lora_dropout lora_rank lora_target
        lr_scheduler_type max_grad_norm max_samples max_steps model_name_or_path num_train_epochs optim
        output_dir per_device_train_batch_size seed stage template train_on_prompt use_rslora warmup_ratio
        warmup_steps weight_decay";

/// Keys between blanks that change nothing here, with the reason.
pub const WITHOUT_EFFECT: &[(&str, &str)] = &[
    (
        "everything is computed in f32",
        "
        bf16 bf16_full_eval fp16 fp16_backend fp16_full_eval fp16_opt_level half_precision_backend infer_dtype
        pure_bf16 tf32 upcast_layernorm upcast_lmhead_output",
    ),
    (
        "a journal records every update",
        "
        debug disable_tqdm include_effective_tokens_per_second include_num_input_tokens_seen
        include_tokens_per_second log_level log_level_replica log_on_each_node logging_dir logging_first_step
        logging_nan_inf_filter logging_steps logging_strategy plot_loss print_param_status project report_to
        run_name skip_memory_metrics swanlab_api_key swanlab_lark_secret swanlab_lark_webhook_url swanlab_logdir
        swanlab_mode swanlab_project swanlab_run_name swanlab_workspace tpu_metrics_debug trackio_bucket_id
        trackio_space_id trackio_static_space_id use_swanlab",
    ),
    (
        "the guard decides which states are saved",
        "
        enable_jit_checkpoint ignore_data_skip overwrite_output_dir restore_callback_states_from_checkpoint
        save_on_each_node save_only_model save_safetensors save_steps save_strategy save_total_limit",
    ),
    (
        "probes are evaluated instead, as the policy says",
        "
        batch_eval_metrics compute_accuracy do_eval do_predict eval_accumulation_steps eval_dataset eval_delay
        eval_do_concat_batches eval_num_beams eval_on_each_dataset eval_on_start eval_steps eval_strategy
        eval_use_gather_object generation_config generation_max_length generation_num_beams greater_is_better
        include_for_metrics include_inputs_for_metrics jit_mode_eval label_names metric_for_best_model
        per_device_eval_batch_size per_gpu_eval_batch_size predict_with_generate prediction_loss_only use_cache
        use_kv_cache use_legacy_prediction_loop",
    ),
    (
        "data are read whole, once",
        "
        buffer_size cache_dir data_shared_file_system dataloader_num_workers dataloader_persistent_workers
        dataloader_pin_memory dataloader_prefetch_factor length_column_name overwrite_cache
        preprocessing_batch_size preprocessing_num_workers remove_unused_columns",
    ),
    (
        "this trainer is one process with kernels of its own",
        "
        average_tokens_across_devices ddp_backend ddp_broadcast_buffers ddp_bucket_cap_mb
        ddp_find_unused_parameters ddp_static_graph ddp_timeout disable_gradient_checkpointing
        enable_liger_kernel flash_attn gradient_checkpointing gradient_checkpointing_kwargs liger_kernel_config
        local_rank low_cpu_mem_usage master_addr master_port no_cuda offload_folder ray_init_kwargs ray_scope
        torch_compile torch_compile_backend torch_compile_mode torch_empty_cache_steps torchdynamo tpu_num_cores
        use_cpu use_ipex use_liger_kernel use_mps_device use_reentrant_gc use_unsloth use_unsloth_gc
        use_v1_kernels",
    ),
    (
        "every run is reproducible",
        "
        full_determinism",
    ),
    (
        "no code of a model is run and nothing is fetched or uploaded",
        "
        hf_hub_token hub_always_push hub_model_id hub_private_repo hub_revision hub_strategy hub_token
        ms_hub_token om_hub_token push_to_hub push_to_hub_model_id push_to_hub_organization push_to_hub_token
        trust_remote_code",
    ),
    (
        "nothing is profiled",
        "
        enable_torch_profiler profile_modules profiler_active_steps profiler_output_dir profiler_profile_memory
        profiler_record_shapes profiler_repeat profiler_wait_steps profiler_warmup_steps profiler_with_stack",
    ),
    (
        "it belongs to inference or export",
        "
        do_sample export_device export_dir export_hub_model_id export_legacy_format export_quantization_bit
        export_quantization_dataset export_quantization_maxlen export_quantization_nsamples export_size
        infer_backend length_penalty max_length max_new_tokens num_beams repetition_penalty sglang_config
        sglang_lora_backend sglang_maxlen sglang_mem_fraction sglang_tp_size skip_special_tokens temperature
        top_k top_p vllm_config vllm_enforce_eager vllm_gpu_util vllm_max_lora_rank vllm_maxlen",
    ),
    (
        "only other stages than sft read it",
        "
        dpo_label_smoothing kto_chosen_weight kto_rejected_weight ld_alpha ppo_buffer_size ppo_epochs
        ppo_score_norm ppo_target ppo_whiten_rewards pref_bco_weight pref_beta pref_ftx pref_loss ref_model
        ref_model_adapters ref_model_quantization_bit reward_model reward_model_adapters
        reward_model_quantization_bit reward_model_type simpo_gamma",
    ),
    (
        "only reasoning templates read it",
        "
        enable_thinking preserve_thinking",
    ),
    (
        "no adapter is continued",
        "
        adapter_folder create_new_adapter",
    ),
];

/// Keys between blanks that change a run in a way that is not built, with what holds instead.
pub const REFUSED: &[(&str, &str)] = &[
    (
        "quantised weights and low-precision training are not built",
        "
        double_quantization fp8 fp8_backend fp8_enable_fsdp_float8_all_gather quantization_bit
        quantization_device_map quantization_method quantization_type",
    ),
    (
        "this trainer is one process",
        "
        accelerator_config account_for_embedding_in_pipeline_split account_for_loss_in_pipeline_split
        apply_rope_fusion bias_activation_fusion calculate_per_token_loss context_parallel_size
        cross_entropy_loss_fusion deepspeed expert_model_parallel_size export_hf_on_finish extra_config fsdp
        fsdp_config fsdp_min_num_params fsdp_transformer_layer_cls_to_wrap hyper_parallel_args
        hyper_parallel_cp_size kt_config kt_cpu_activation kt_expert_checkpoint_path
        kt_lora_expert_intermediate_size kt_lora_expert_num kt_non_expert_weight_path kt_use_lora_experts
        kt_weight_path masked_softmax_fusion megatron_pretrained_checkpoint mixed_precision moe_grouped_gemm
        moe_token_dispatcher_type mp_parameters overlap_grad_reduce overlap_param_gather parallelism_config
        pipeline_model_parallel_size ray_num_workers recompute_granularity recompute_method recompute_num_layers
        sequence_parallel tensor_model_parallel_size use_distributed_optimizer use_hyper_parallel use_kt use_mca
        use_megatron_bridge use_packed_sequences virtual_pipeline_model_parallel_size",
    ),
    (
        "only AdamW with one rate for all parameters is built",
        "
        adafactor apollo_layerwise apollo_proj apollo_proj_type apollo_rank apollo_scale apollo_scale_front
        apollo_scale_type apollo_target apollo_update_interval badam_mask_mode badam_mode badam_start_block
        badam_switch_interval badam_switch_mode badam_update_ratio badam_verbose galore_layerwise
        galore_proj_type galore_rank galore_scale galore_target galore_update_interval loraplus_lr_embedding
        loraplus_lr_ratio optim_args optim_target_modules use_adam_mini use_apollo use_badam use_galore use_muon",
    ),
    (
        "only plain LoRA is built",
        "
        adapter_name_or_path additional_target freeze_extra_modules freeze_language_model
        freeze_multi_modal_projector freeze_trainable_layers freeze_trainable_modules freeze_vision_tower
        mixture_of_depths module_dropout oft_block_size oft_rank oft_target pissa_convert pissa_init pissa_iter
        use_dora use_llama_pro",
    ),
    (
        "images, video and audio are not built",
        "
        audio_sampling_rate crop_to_patches image_do_pan_and_scan image_max_pixels image_min_pixels media_dir
        use_audio_in_video video_fps video_max_pixels video_maxlen video_min_pixels",
    ),
    (
        "rows are whole, shuffled and in no other order or shape",
        "
        auto_find_batch_size data_seed dataloader_drop_last default_system disable_shuffling group_by_length
        ignore_pad_token_for_loss interleave_probs mask_history mix_strategy neat_packing packing
        per_gpu_train_batch_size sortish_sampler streaming tokenized_path tool_format train_sampling_strategy
        val_size",
    ),
    (
        "the model and its vocabulary are taken as they are in their folder",
        "
        add_special_tokens add_tokens init_special_tokens model_revision moe_aux_loss_coef
        new_special_tokens_config resize_vocab rope_scaling shift_attn split_special_tokens train_from_scratch
        use_fast_tokenizer",
    ),
    (
        "the loss is the plain one, over the whole run",
        "
        asft_alpha eaft_alpha early_stopping_steps label_smoothing_factor load_best_model_at_end
        lr_scheduler_kwargs neftune_noise_alpha past_index resume_from_checkpoint use_asft_loss use_dft_loss
        use_eaft_loss",
    ),
];

/// Values with which a refused key changes nothing, besides `null`, `false` and what is empty.
pub const OFF: &[(&str, &str)] = &[
    ("double_quantization", "true"),
    ("freeze_multi_modal_projector", "true"),
    ("freeze_vision_tower", "true"),
    ("ignore_pad_token_for_loss", "true"),
    ("init_special_tokens", "noise_init"),
    ("label_smoothing_factor", "0"),
    ("loraplus_lr_embedding", "1e-6"),
    ("mix_strategy", "concat"),
    ("model_revision", "main"),
    ("pissa_iter", "16"),
    ("quantization_method", "bnb"),
    ("quantization_type", "nf4"),
    ("ray_num_workers", "1"),
    ("tensor_model_parallel_size", "1"),
    ("pipeline_model_parallel_size", "1"),
    ("context_parallel_size", "1"),
    ("expert_model_parallel_size", "1"),
    ("train_sampling_strategy", "random"),
    ("use_fast_tokenizer", "true"),
    ("val_size", "0"),
];

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The recipe takes it over.
    Honoured,
    /// It changes nothing, because of this.
    WithoutEffect(&'static str),
    /// It is refused; this holds instead.
    Refused(&'static str),
}

/// The class of a key.
pub(super) fn class(key: &str) -> Class {
    let has = |keys: &str| keys.split_whitespace().any(|known| known == key);
    if has(HONOURED) {
        return Class::Honoured;
    }
    if let Some((why, _)) = WITHOUT_EFFECT.iter().find(|(_, keys)| has(keys)) {
        return Class::WithoutEffect(why);
    }
    let refused = REFUSED.iter().find(|(_, keys)| has(keys));
    Class::Refused(refused.map_or("this trainer does not know the key", |(why, _)| why))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{HONOURED, OFF, REFUSED, WITHOUT_EFFECT};
    use crate::adapt::keys::LLAMA_FACTORY;

    #[test]
    fn every_key_of_v0_has_exactly_one_class() {
        let mut counts: BTreeMap<&str, usize> = LLAMA_FACTORY.names().map(|key| (key, 0)).collect();
        let tables = WITHOUT_EFFECT.iter().chain(REFUSED).map(|(_, keys)| *keys);
        for key in tables.chain([HONOURED]).flat_map(str::split_whitespace) {
            *counts.get_mut(key).unwrap_or_else(|| panic!("{key} is no key of v0")) += 1;
        }
        let wrong: Vec<_> = counts.into_iter().filter(|(_, count)| *count != 1).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        let refused = |key: &str| matches!(super::class(key), super::Class::Refused(_));
        assert!(OFF.iter().all(|(key, _)| refused(key)));
    }
}
