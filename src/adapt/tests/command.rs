//! Scripts that launch runs, and values behind a run file.

use super::super::command::{Argv, World, quoted, recognise};
use super::super::{Beside, Launch, read, read_beside, read_launched};
use super::Case;
use crate::diag::{Code, Severity};
use crate::facts::Input::{
    Accumulation, Epochs, LearningRate, MaxSteps, MinLearningRate, Rank, Seed, WarmupRatio, WorldSize,
};
use crate::facts::{Origin, Words};
use crate::quantity::Category;
use crate::source::Sources;

fn script(text: &str) -> Case {
    let mut sources = Sources::default();
    let id = sources.add("run.sh", text);
    let read = read(id, &sources, Launch::default());
    Case {
        sources,
        facts: read.facts,
        diagnostics: read.diagnostics,
    }
}

/// A run file with words behind it.
fn over(name: &str, text: &str, overrides: &[&str]) -> Case {
    let words: Vec<String> = overrides.iter().map(|&word| word.to_owned()).collect();
    let mut sources = Sources::default();
    let id = sources.add(name, text);
    let told = sources.add("command line", quoted(&words));
    let read = read_beside(
        Some(id),
        &sources,
        Launch::default(),
        &Beside {
            overrides: Some(told),
            ..Beside::default()
        },
    );
    Case {
        sources,
        facts: read.facts,
        diagnostics: read.diagnostics,
    }
}

const SWIFT: &str = "swift sft --model a/b --dataset x#500";

#[test]
fn a_script_is_read_as_the_run_that_it_launches() {
    let read = script(
        "#!/bin/bash\nset -x\n# the usual\nnproc_per_node=2\nexport MODEL='a/b'\n\nCUDA_VISIBLE_DEVICES=0,1 \\\n\
         NPROC_PER_NODE=$nproc_per_node \\\nswift sft \\\n    --model $MODEL \\\n    --dataset 'x#500' \\\n              \"y#300\" \\\n    \
         --learning_rate=2e-5 \\\n    --use_rslora \\\n    --lora-rank 16 \\\n    --max_steps -1 \\\n    \
         --gradient_accumulation_steps $(expr 16 / $nproc_per_node) \\\n    --seed $((40 + nproc_per_node)) \\\n    \
         --lr_scheduler_type cosine_with_min_lr --lr_scheduler_kwargs '{\"min_lr\": 1e-6}' # the end\n",
    );
    read.clean();
    assert_eq!(read.value(LearningRate), Some(2e-5));
    assert_eq!(read.given(LearningRate), "2e-5");
    assert_eq!((read.value(Rank), read.given(Rank)), (Some(16.0), "16"));
    assert_eq!(read.value(Accumulation), Some(8.0));
    assert_eq!(read.given(Accumulation), "$(expr 16 / $nproc_per_node)");
    assert_eq!(read.value(Seed), Some(42.0));
    assert_eq!(read.number(MaxSteps).values, None);
    assert_eq!(
        (read.value(MinLearningRate), read.given(MinLearningRate)),
        (Some(1e-6), "1e-6")
    );
    assert_eq!(read.word(Category::Model), "a/b");
    assert_eq!(read.word(Category::Stage), "sft");
    assert_eq!(
        read.words(Category::Dataset),
        &Words::Set(vec!["x#500".into(), "y#300".into()])
    );
    assert_eq!(
        (read.value(WorldSize), read.given(WorldSize)),
        (Some(2.0), "$nproc_per_node")
    );
}

#[test]
fn launchers_say_how_many_processes_they_start() {
    for (front, world, under) in [
        ("swift sft", 1.0, ""),
        ("NNODES=2 NPROC_PER_NODE=8 swift sft", 16.0, "8"),
        ("env NPROC_PER_NODE=4 swift sft", 4.0, "NPROC_PER_NODE=4"),
        (
            "torchrun --nproc_per_node=4 --nnodes 2 swift/cli/sft.py",
            8.0,
            "--nproc_per_node=4",
        ),
        (
            "python -m torch.distributed.run --nproc-per-node 4 swift/cli/sft.py",
            4.0,
            "4",
        ),
        ("accelerate launch --num_processes 6 swift/cli/sft.py", 6.0, "6"),
        ("deepspeed --num_gpus 3 --num_nodes=2 swift/cli/sft.py", 6.0, "3"),
        (
            "CUDA_VISIBLE_DEVICES=0,1,2 torchrun --nproc_per_node gpu swift/cli/sft.py",
            3.0,
            "0,1,2",
        ),
        ("python swift/cli/sft.py", 1.0, ""),
        ("nohup python3 -u -m swift.cli.sft", 1.0, ""),
    ] {
        let read = script(&format!(
            "{front} --model a/b --dataset x --lr_scheduler_type cosine > log.txt 2>&1 &\n"
        ));
        read.clean();
        assert_eq!(read.value(WorldSize), Some(world), "{front}");
        match &read.number(WorldSize).origin {
            Origin::Given(place) => assert_eq!(read.under(*place), under, "{front}"),
            Origin::Default { .. } => assert_eq!(under, "", "{front}"),
            other => panic!("{front}: {other:?}"),
        }
    }
    for front in [
        "accelerate launch --config_file c.yaml swift/cli/sft.py",
        "deepspeed swift/cli/sft.py",
        "NPROC_PER_NODE=$GPUS swift sft",
        "torchrun --nnodes 1:4 --nproc_per_node 2 swift/cli/sft.py",
    ] {
        let read = script(&format!("{front} --model a/b --dataset x\n"));
        assert!(read.open(WorldSize).is_some(), "{front}");
    }
}

#[test]
fn what_changes_nothing_is_peeled_off_the_front() {
    for front in [
        "env -u WORLD_SIZE A=b nohup time -p swift sft",
        "uv run swift sft",
        "uv run --extra gpu --no-sync --python=3.12 swift sft",
        "poetry run swift sft",
        "conda run -n x --no-capture-output swift sft",
        "micromamba run --name x swift sft",
        "nice -n 5 ionice -c 3 stdbuf -oL swift sft",
        "setsid nohup swift sft",
        "uv run -- swift sft",
        "srun -n 1 --gres=gpu:8 swift sft",
        "srun -N1 --ntasks=1 -l -p long --export=ALL swift sft",
        "srun -lu -q high --ntasks 1 --exclusive --job-name x swift sft",
    ] {
        let read = script(&format!("{front} --model a/b --dataset x\n"));
        read.clean();
        assert_eq!(read.value(WorldSize), Some(1.0), "{front}");
    }
}

#[test]
fn what_srun_starts_several_times_has_no_size_but_that_of_all_nodes() {
    for front in [
        "srun -n 8 swift sft",
        "srun swift sft",
        "srun --ntasks=8 --kill-on-bad-exit=1 --cpu-bind=none swift sft",
        "srun -n8 torchrun --nproc_per_node=4 swift/cli/sft.py",
        "srun -n 8 python -m torch.distributed.run --nproc_per_node 4 swift/cli/sft.py",
        "srun deepspeed --num_gpus 4 swift/cli/sft.py",
        "srun -n 8 python swift/cli/sft.py",
    ] {
        let read = script(&format!("{front} --model a/b --dataset x\n"));
        assert_eq!(read.open(WorldSize), Some("srun"), "{front}");
    }
    for (front, world) in [
        ("srun torchrun --nnodes 2 --nproc_per_node 4 swift/cli/sft.py", 8.0),
        (
            "srun -N 2 accelerate launch --num_machines 2 --num_processes 16 swift/cli/sft.py",
            16.0,
        ),
    ] {
        let read = script(&format!("{front} --model a/b --dataset x\n"));
        assert_eq!(read.value(WorldSize), Some(world), "{front}");
    }
    let own = script("srun --ntasks=8 python train.py --lr 1e-3\n")
        .refused(Code::UnknownFormat)
        .message
        .clone();
    assert_eq!(own, "this launches `train.py`, whose arguments ftrisk does not know");
}

/// What trains and is not read is no text without a run: a walk over a folder would pass it over.
#[test]
fn what_starts_a_trainer_in_another_way_is_named() {
    for (text, name) in [
        ("mpirun -np 8 python -m swift.cli.sft swift sft --model m\n", "mpirun"),
        ("docker run --gpus all image axolotl train run.yaml\n", "docker"),
        (
            "srun --jobid 7 bash -c 'torchrun --nproc_per_node 4 train.py'\n",
            "bash",
        ),
        ("CMD=\"accelerate launch train.py\"\nsrun bash -c \"$CMD\"\n", "bash"),
        ("sudo -E swift sft --model m\n", "sudo"),
        ("srun --chdir /x swift sft --model m\n", "srun"),
        ("srun -n 1 --export=ALL,NPROC_PER_NODE=8 swift sft --model m\n", "srun"),
        ("srun -n 1 --export=NONE swift sft --model m\n", "srun"),
        ("srun -n 1 --exp ALL swift sft --model m\n", "srun"),
        ("srun -D/x swift sft --model m\n", "srun"),
        ("srun --multi-prog swift sft --model m\n", "srun"),
        ("docker run image automodel run.yaml\n", "docker"),
        ("uv run --env-file .env swift sft --model m\n", "uv"),
        ("conda run --cwd /x swift sft --model m\n", "conda"),
    ] {
        let read = script(text);
        let found = read.refused(Code::UnknownFormat);
        assert_eq!(
            found.message,
            format!("ftrisk cannot read what `{name}` trains"),
            "{text}"
        );
        assert!(found.help.is_some());
    }
    for text in [
        "ssh host ls\n",
        "docker build .\n",
        "srun hostname\n",
        "srun bash -c 'nvidia-smi'\n",
        "uv pip install deepspeed automodel trl\n",
        "conda install -y deepspeed accelerate\n",
        "make all\n",
    ] {
        assert_eq!(
            script(text).refused(Code::NotARun).message,
            "no command in this text launches training",
            "{text}"
        );
    }
}

#[test]
fn the_sub_command_says_what_is_taught() {
    for (command, stage) in [
        ("swift pt", "pt"),
        ("swift rlhf", "dpo"),
        ("swift rlhf --rlhf_type grpo", "grpo"),
        ("megatron sft --num_train_epochs 1", "sft"),
        ("megatron rlhf --rlhf_type kto --num_train_epochs 1", "kto"),
    ] {
        let read = script(&format!("{command} --model a/b --dataset x\n"));
        read.clean();
        assert_eq!(read.word(Category::Stage), stage, "{command}");
    }
}

#[test]
fn what_a_script_does_not_know_stays_open() {
    for (text, under) in [
        (format!("{SWIFT} --learning_rate $LR\n"), "$LR"),
        (
            format!("LR=1e-4\nif true; then\nLR=1e-3\nfi\n{SWIFT} --learning_rate $LR\n"),
            "$LR",
        ),
        (
            format!("for LR in 1e-4 1e-3; do\n{SWIFT} --learning_rate $LR\ndone\n"),
            "$LR",
        ),
        (format!("LR=$(cat lr)\n{SWIFT} --learning_rate \"$LR\"\n"), "\"$LR\""),
        (format!("LR=${{1:-1e-4}}\n{SWIFT} --learning_rate ${{LR}}\n"), "${LR}"),
    ] {
        let read = script(&text);
        assert_eq!(read.open(LearningRate), Some(under), "{text}");
        assert!(read.codes().contains(&Code::ValueUnresolved), "{text}");
    }
    let read = script(&format!("{SWIFT} \"$@\"\n"));
    assert!(read.codes().contains(&Code::ValueUnresolved), "{:?}", read.told());
}

#[test]
fn arrays_and_texts_of_flags_are_spelled_out() {
    let read = script(
        "ARGS=(\n  --learning_rate 2e-5 # low\n  --num_train_epochs 2\n)\nMORE=\"--lora_rank 4 --seed 7\"\nARGS+=(--max_steps 9)\n\
         swift sft --model a/b --dataset x \"${ARGS[@]}\" $MORE\n",
    );
    read.clean();
    assert_eq!(
        (read.value(LearningRate), read.given(LearningRate)),
        (Some(2e-5), "2e-5")
    );
    assert_eq!((read.value(Epochs), read.value(MaxSteps)), (Some(2.0), Some(9.0)));
    assert_eq!((read.value(Rank), read.value(Seed)), (Some(4.0), Some(7.0)));
}

#[test]
fn mistakes_on_a_command_line_are_found() {
    for (more, told) in [
        ("--lora_r 8", "unknown-key: --lora_r -> --lora_rank"),
        ("--lora_rank 8 --lora_rank 16", "duplicate-key: --lora_rank"),
        ("--lora_rank many", "value-type: many"),
        ("--lr_scheduler_kwargs '{min'", "value-type: '{min'"),
    ] {
        let read = script(&format!("{SWIFT} {more}\n"));
        assert!(
            read.told().iter().any(|found| found.starts_with(told)),
            "{more}: {:?}",
            read.told()
        );
    }
    let twice = script(&format!("{SWIFT} --lora_rank 8 --lora_rank 16\n"));
    assert_eq!((twice.value(Rank), twice.given(Rank)), (Some(16.0), "16"));
    assert_eq!(twice.diagnostics[0].severity, Severity::Warning);
}

#[test]
fn a_script_that_is_no_single_run_says_what_to_do() {
    let several = script(&format!("{SWIFT} --seed 1\nwait\n{SWIFT} --seed 2\n"));
    let found = several.refused(Code::NotARun);
    assert_eq!(found.message, "this script launches 2 runs, on lines 1, 3");
    assert!(found.help.is_some());
    for text in [
        "pip install ms-swift\necho swift sft\n",
        "",
        "swift deploy --model m\n",
        "python train.py\n",
    ] {
        assert_eq!(
            script(text).refused(Code::NotARun).message,
            "no command in this text launches training",
            "{text}"
        );
    }
    let unknown = script("accelerate launch --config_file c.yaml train.py --learning_rate 1e-4\n");
    let found = unknown.refused(Code::UnknownFormat);
    assert_eq!(unknown.under(found.place().unwrap()), "train.py");
    let names = script("NPROC_PER_NODE=2 swift sft conf/sft.yaml --seed 7\n");
    let found = names.refused(Code::NotARun);
    assert_eq!(names.under(found.place().unwrap()), "conf/sft.yaml");
    assert_eq!(
        found.instead.as_deref(),
        Some("ftrisk check POLICY conf/sft.yaml -- --seed 7")
    );
    let other = script("tune run lora_finetune_single_device --config c.yaml lr=1\n");
    assert!(other.facts.is_none());
}

#[test]
fn llama_factory_parses_flags_as_its_arguments() {
    let read = script(
        "CUDA_VISIBLE_DEVICES=0,1 llamafactory-cli train --model_name_or_path m --stage sft --do_train \\\n  --dataset a,b \
         --template t --learning_rate 1e-4 --eval_strategy no --warmup_ratio 0.1\n",
    );
    read.clean();
    assert_eq!(
        (read.value(LearningRate), read.value(WarmupRatio)),
        (Some(1e-4), Some(0.1))
    );
    assert_eq!(read.words(Category::Dataset), &Words::Set(vec!["a".into(), "b".into()]));
    assert_eq!(read.words(Category::Evaluation), &Words::Had(false));
    assert_eq!((read.value(WorldSize), read.given(WorldSize)), (Some(2.0), "0,1"));
}

#[test]
fn values_behind_a_run_file_win_and_are_pointed_at() {
    let file = format!(
        "{}learning_rate: 1.0e-4\nlr_scheduler_kwargs: {{min_lr: 1.0e-6}}\n",
        super::LORA
    );
    let read = over(
        "run.yaml",
        &file,
        &[
            "learning_rate=1e-3",
            "lora_rank=64",
            "lr_scheduler_type=cosine_with_min_lr",
        ],
    );
    read.clean();
    assert_eq!(
        (read.value(LearningRate), read.given(LearningRate)),
        (Some(1e-3), "1e-3")
    );
    assert_eq!((read.value(Rank), read.given(Rank)), (Some(64.0), "64"));
    assert_eq!(
        (read.value(MinLearningRate), read.given(MinLearningRate)),
        (Some(1e-6), "1.0e-6")
    );
    let read = over(
        "run.yaml",
        &file,
        &[
            "lr_scheduler_kwargs.min_lr=2e-6",
            "lr_scheduler_type=cosine_with_min_lr",
        ],
    );
    assert_eq!(read.value(MinLearningRate), Some(2e-6));
    assert_eq!(over("run.yaml", &file, &["~learning_rate"]).codes(), [Code::ValueType]);
    assert_eq!(
        over("run.yaml", &file, &["--learning_rate", "1e-3"]).codes(),
        [Code::ValueType, Code::ValueType]
    );
    assert_eq!(over("run.yaml", &file, &["lora_r=8"]).codes(), [Code::UnknownKey]);
    let read = over(
        "run.yaml",
        "model: m\ntuner_type: lora\ndataset: d\nlora_rank: 8\n",
        &["--lora_rank", "32"],
    );
    read.clean();
    assert_eq!((read.value(Rank), read.given(Rank)), (Some(32.0), "32"));
    assert_eq!(
        over("run.sh", &format!("{SWIFT}\n"), &["--seed", "1"]).codes(),
        [Code::NotARun]
    );
}

#[test]
fn a_command_can_be_taken_apart_and_its_file_read() {
    let words = ["swift", "rlhf", "run.yaml", "--rlhf_type", "kto", "--system", "It's $5"];
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let mut sources = Sources::default();
    let command = sources.add("command", quoted(&words));
    let launching = recognise(command, &sources).unwrap();
    assert_eq!(launching.framework, "ms-swift");
    assert_eq!(launching.run_file.as_ref().map(|file| file.text()), Some("run.yaml"));
    assert_eq!(launching.stage.map(|(stage, _)| stage), Some("rlhf"));
    assert!(matches!(launching.world, World::Default(1, _)));
    let file = sources.add("run.yaml", "model: m\ntuner_type: lora\ndataset: d\n");
    let read = read_launched(
        Some(file),
        command,
        &launching,
        &sources,
        Launch::default(),
        &Beside::default(),
    );
    let read = Case {
        sources,
        facts: read.facts,
        diagnostics: read.diagnostics,
    };
    read.clean();
    assert_eq!(read.word(Category::Stage), "kto");
    assert_eq!(read.value(WorldSize), Some(1.0));
}

#[test]
fn no_text_makes_the_reader_fail() {
    for text in [
        "swift sft --model 'a",
        "swift sft --model \"a",
        "swift sft --x $(",
        "swift sft --x ${",
        "swift sft --x $((1",
        "swift sft --x `a",
        "A=(1 2",
        "cat <<EOF\nswift sft --model m\n",
        "swift sft \\",
        "A=$A$A\nB=$A$A\n swift sft --x $B",
        "swift sft --=",
        "swift sft = ~ --",
        ")))(((;;&&||<>",
        "é=1 swift sft --modèle 'é'",
    ] {
        let read = script(text);
        assert!(!read.diagnostics.is_empty() || read.facts.is_some(), "{text}");
    }
    let mut doubled = "A=aaaaaaaaaaaaaaaa\n".to_owned();
    for _ in 0..60 {
        doubled.push_str("A=$A$A\n");
    }
    doubled.push_str("swift sft --model $A\n");
    script(&doubled);
}

/// A command as the operating system hands it over.
fn argv(environment: &[(&str, &str)], words: &[&str]) -> Case {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let argv = Argv::new(&words, |name| {
        let found = environment.iter().find(|(theirs, _)| *theirs == name);
        found.map(|(_, value)| (*value).to_owned())
    });
    let mut sources = Sources::default();
    let command = sources.add("command", argv.text());
    let launching = argv.launching(command).unwrap();
    assert!(launching.run_file.is_none());
    let read = read_launched(
        None,
        command,
        &launching,
        &sources,
        Launch::default(),
        &Beside::default(),
    );
    Case {
        sources,
        facts: read.facts,
        diagnostics: read.diagnostics,
    }
}

#[test]
fn words_that_were_split_already_are_taken_as_they_are() {
    // A shell would take these apart, expand them or end at them.
    let read = argv(
        &[("NPROC_PER_NODE", "2"), ("HOME", "/")],
        &[
            "swift",
            "sft",
            "--model",
            "a b",
            "--dataset",
            "x;y",
            "--system",
            "It's `$(id)`",
            "--lora_rank",
            "16",
        ],
    );
    read.clean();
    assert_eq!(read.word(Category::Model), "a b");
    assert_eq!(read.words(Category::Dataset), &Words::Set(vec!["x;y".into()]));
    assert_eq!((read.value(Rank), read.given(Rank)), (Some(16.0), "16"));
    assert_eq!((read.value(WorldSize), read.given(WorldSize)), (Some(2.0), "2"));
}

#[test]
fn the_command_of_litgpt_says_what_is_tuned() {
    for (command, rank, method, stage) in [
        ("finetune_lora", Some(8.0), "lora", "sft"),
        ("finetune", Some(8.0), "lora", "sft"),
        ("finetune_full", None, "full", "sft"),
    ] {
        let read = argv(&[], &["litgpt", command, "m", "--train.epochs", "2"]);
        assert_eq!(read.value(Rank), rank, "{command}");
        assert_eq!(
            (read.word(Category::Method), read.word(Category::Stage)),
            (method, stage)
        );
        assert_eq!((read.value(Epochs), read.word(Category::Model)), (Some(2.0), "m"));
    }
}
