//! `ftrisk exec` with stand-in launchers on PATH: what is launched, what is not, and what the launched command gets.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use super::harness::{Case, Ran};

const POLICY: &str = "policy \"p\" for stage sft | dpo\nmax learning_rate 2e-4\nmax batch.effective 16\n";

/// Run files whose learning rate is `RATE` and whose batch is 4 a process, by framework.
const FILES: &[(&str, &str)] = &[
    (
        "factory",
        "model_name_or_path: m\nstage: sft\ndo_train: true\ndataset: d\ntemplate: t\nlearning_rate: RATE\n\
         per_device_train_batch_size: 2\ngradient_accumulation_steps: 2\n",
    ),
    (
        "axolotl",
        "base_model: m\ndatasets:\n  - path: d\n    type: alpaca\nadapter: lora\nlora_r: 8\nlora_alpha: 16\n\
         learning_rate: RATE\nmicro_batch_size: 2\ngradient_accumulation_steps: 2\nnum_epochs: 1\n",
    ),
    (
        "trl",
        "model_name_or_path: m\ndataset_name: d\nuse_peft: true\nlearning_rate: RATE\n\
         per_device_train_batch_size: 2\ngradient_accumulation_steps: 2\n",
    ),
    (
        "swift",
        "model: m\ndataset: d\ntuner_type: lora\nlearning_rate: RATE\nper_device_train_batch_size: 2\n\
         gradient_accumulation_steps: 2\n",
    ),
    (
        "tune",
        "tokenizer:\n  _component_: torchtune.models.llama3.llama3_tokenizer\nmodel:\n  \
         _component_: torchtune.models.llama3_2.lora_llama3_2_1b\n  lora_rank: 8\n  lora_alpha: 16\ncheckpointer:\n  \
         _component_: torchtune.training.FullModelHFCheckpointer\n  checkpoint_dir: m\ndataset:\n  \
         _component_: torchtune.datasets.alpaca_dataset\noptimizer:\n  _component_: torch.optim.AdamW\n  lr: RATE\n\
         loss:\n  _component_: torchtune.modules.loss.LinearCrossEntropyLoss\nbatch_size: 2\n\
         gradient_accumulation_steps: 2\nepochs: 1\n",
    ),
    (
        "mlx",
        "model: m\ntrain: true\ndata: d\nlearning_rate: RATE\nbatch_size: 4\niters: 100\n",
    ),
    (
        "nemo",
        "recipe: TrainFinetuneRecipeForNextTokenPrediction\nstep_scheduler:\n  global_batch_size: 8\n  \
         local_batch_size: 2\n  num_epochs: 1\nmodel:\n  \
         _target_: nemo_automodel.NeMoAutoModelForCausalLM.from_pretrained\n  pretrained_model_name_or_path: m\n\
         optimizer:\n  _target_: torch.optim.Adam\n  lr: RATE\n",
    ),
    (
        "litgpt",
        "checkpoint_dir: m\nlora_r: 8\ndevices: 1\ntrain:\n  global_batch_size: 8\n  micro_batch_size: 2\noptimizer:\n  \
         class_path: torch.optim.AdamW\n  init_args:\n    lr: RATE\n",
    ),
];

/// Commands of every launcher with the run file `FILE`, and words behind them that are over.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("factory", "llamafactory-cli train FILE", "learning_rate=1e-3"),
    ("factory", "lmf train FILE", "learning_rate=1e-3"),
    (
        "factory",
        "torchrun --nproc_per_node 1 src/train.py FILE",
        "learning_rate=1e-3",
    ),
    ("axolotl", "axolotl train FILE", "--learning-rate 1e-3"),
    ("axolotl", "python -m axolotl.cli.train FILE", "--learning_rate=1e-3"),
    (
        "axolotl",
        "accelerate launch --num_processes 1 -m axolotl.cli.train FILE",
        "--learning-rate 1e-3",
    ),
    ("trl", "trl sft --config FILE", "--learning_rate 1e-3"),
    (
        "trl",
        "torchrun --standalone trl/scripts/sft.py --config FILE",
        "--learning-rate 1e-3",
    ),
    ("swift", "swift sft FILE", "--learning_rate 1e-3"),
    ("swift", "nohup numactl -N 0 swift sft FILE", "--learning_rate=1e-3"),
    (
        "tune",
        "tune run lora_finetune_single_device --config FILE",
        "optimizer.lr=1e-3",
    ),
    (
        "tune",
        "tune run --nproc_per_node 1 lora_finetune_distributed --config FILE",
        "optimizer.lr=1e-3",
    ),
    ("mlx", "mlx_lm.lora --config FILE", "--learning-rate 1e-3"),
    ("mlx", "mlx_lm lora -c FILE", "--learning-rate 1e-3"),
    ("mlx", "python -m mlx_lm lora --config=FILE", "--learning-rate 1e-3"),
    ("nemo", "automodel FILE", "--optimizer.lr 1e-3"),
    ("nemo", "automodel finetune llm -c FILE", "--optimizer.lr=1e-3"),
    (
        "litgpt",
        "litgpt finetune --config FILE",
        "--train.global_batch_size 64",
    ),
    (
        "litgpt",
        "litgpt finetune_lora --config FILE",
        "--train.global_batch_size=64",
    ),
];

/// Programs that write down their words and end with 7.
const PROGRAMS: &[&str] = &[
    "accelerate",
    "automodel",
    "axolotl",
    "litgpt",
    "llamafactory-cli",
    "lmf",
    "mlx_lm",
    "mlx_lm.lora",
    "nohup",
    "python",
    "srun",
    "swift",
    "torchrun",
    "trl",
    "tune",
];

const STAND_IN: &str = "#!/bin/sh\nprintf '%s\\n' \"${0##*/}\" \"$@\" > launched\nprintf 'of the command\\n'\nexit 7\n";

/// A folder with the policy, the run files at a rate, and stand-ins on PATH.
fn case(rate: &str) -> Case {
    let mut case = Case::new().file("p.riskpolicy", POLICY);
    for (name, text) in FILES {
        case = case.file(&format!("{name}.yaml"), text.replace("RATE", rate));
    }
    for program in PROGRAMS {
        case = case.file(&format!("bin/{program}"), STAND_IN);
        let path = case.path().join("bin").join(program);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!(
        "{}:{}",
        case.path().join("bin").display(),
        std::env::var("PATH").unwrap()
    );
    case.env("PATH", &path)
}

fn words(command: &str) -> Vec<String> {
    command.split(' ').map(str::to_owned).collect()
}

/// Runs a command under the policy, on one device.
fn exec(case: Case, command: &str) -> Ran {
    case.env("CUDA_VISIBLE_DEVICES", "0")
        .args(["exec", "p.riskpolicy", "--"])
        .args(words(command))
        .run()
}

fn is_launched(ran: &Ran) -> bool {
    ran.folder.path().join("launched").exists()
}

#[test]
fn what_passes_is_launched_with_its_own_words_and_code() {
    for (file, command, _) in COMMANDS {
        let command = command.replace("FILE", &format!("{file}.yaml"));
        let ran = exec(case("1.0e-4"), &command).code(7).stdout_is("of the command\n");
        assert_eq!(ran.file("launched"), words(&command).join("\n") + "\n", "{command}");
        assert!(ran.stderr.contains("within"), "{command}: {}", ran.stderr);
    }
}

#[test]
fn what_is_over_is_not_launched_whether_the_file_or_the_command_says_it() {
    for (file, command, over) in COMMANDS {
        let command = command.replace("FILE", &format!("{file}.yaml"));
        for (rate, command) in [("1.0e-3", command.clone()), ("1.0e-4", format!("{command} {over}"))] {
            let ran = exec(case(rate), &command)
                .code(1)
                .stdout_is("")
                .stderr_has("nothing was launched");
            assert!(!is_launched(&ran), "{command}");
        }
    }
}

#[test]
fn the_number_of_processes_is_that_of_the_command() {
    // 4 samples a process, at most 16: 4 processes pass and 8 do not. `@` is the count, `*` lists so many devices.
    for (name, value, command) in [
        ("CUDA_VISIBLE_DEVICES", "*", "llamafactory-cli train factory.yaml"),
        (
            "FORCE_TORCHRUN",
            "1",
            "env NPROC_PER_NODE=@ llamafactory-cli train factory.yaml",
        ),
        ("NPROC_PER_NODE", "@", "swift sft swift.yaml"),
        (
            "NPROC_PER_NODE",
            "1",
            "env NNODES=1 NPROC_PER_NODE=@ swift sft swift.yaml",
        ),
        ("NNODES", "1", "torchrun --nproc_per_node @ src/train.py factory.yaml"),
        ("NNODES", "1", "torchrun --nproc=@ src/train.py factory.yaml"),
        ("PET_NPROC_PER_NODE", "@", "torchrun src/train.py factory.yaml"),
        (
            "CUDA_VISIBLE_DEVICES",
            "*",
            "torchrun --nproc-per-node gpu src/train.py factory.yaml",
        ),
        (
            "NNODES",
            "1",
            "accelerate launch --num_processes @ -m axolotl.cli.train axolotl.yaml",
        ),
        (
            "NNODES",
            "1",
            "accelerate launch --config_file @.yaml -m axolotl.cli.train axolotl.yaml",
        ),
        ("NNODES", "1", "axolotl train axolotl.yaml --num-processes @"),
        (
            "NNODES",
            "1",
            "axolotl train axolotl.yaml --launcher torchrun -- --nproc_per_node=@",
        ),
        ("NNODES", "1", "trl sft --config trl.yaml --num_processes @"),
        ("NNODES", "1", "trl sft --config trl.yaml --accelerate_config @.yaml"),
        (
            "NNODES",
            "1",
            "tune run --nproc_per_node @ lora_finetune_distributed --config tune.yaml",
        ),
    ] {
        for (count, code) in [(4, 7), (8, 1)] {
            let devices: Vec<String> = (0..count).map(|device: u32| device.to_string()).collect();
            let filled = |text: &str| text.replace('*', &devices.join(",")).replace('@', &count.to_string());
            let command = filled(command);
            let accelerate = format!("compute_environment: LOCAL_MACHINE\nnum_machines: 1\nnum_processes: {count}\n");
            let ran = case("1.0e-4")
                .file(&format!("{count}.yaml"), accelerate)
                .env(name, &filled(value))
                .args(["exec", "p.riskpolicy", "--"])
                .args(words(&command))
                .run();
            assert_eq!(ran.code, code, "{command}: {}", ran.stderr);
            assert_eq!(is_launched(&ran), code == 7, "{command}");
        }
    }
}

#[test]
fn a_number_of_processes_that_nobody_says_is_an_open_question() {
    for (name, value, command) in [
        ("NNODES", "1", "llamafactory-cli train factory.yaml"),
        ("NPROC_PER_NODE", "1", "llamafactory-cli train factory.yaml"),
        ("NNODES", "1", "accelerate launch -m axolotl.cli.train axolotl.yaml"),
        ("WORLD_SIZE", "2", "python -m axolotl.cli.train axolotl.yaml"),
        ("CUDA_VISIBLE_DEVICES", "-1", "llamafactory-cli train factory.yaml"),
        (
            "NNODES",
            "1",
            "torchrun --nproc_per_node auto src/train.py factory.yaml",
        ),
    ] {
        let unsaid = case("1.0e-4").env(name, value).args(["exec", "p.riskpolicy", "--"]);
        let ran = unsaid
            .args(words(command))
            .run()
            .code(2)
            .stderr_has("open[batch.effective]");
        assert!(!is_launched(&ran), "{command}");
        case("1.0e-4")
            .args(["exec", "p.riskpolicy", "--world-size", "2", "--"])
            .args(words(command))
            .run()
            .code(7);
    }
    case("1.0e-4")
        .args(["exec", "p.riskpolicy", "--world-size", "2", "--"])
        .args(words("torchrun --nproc_per_node 4 src/train.py factory.yaml"))
        .run()
        .code(2)
        .stderr_has("is not what the command says");
}

/// Without the number the size of the world would be that of one task.
#[test]
fn behind_srun_somebody_says_how_many_processes_there_are() {
    let command = "srun --ntasks=2 trl sft --config trl.yaml";
    let ran = exec(case("1.0e-4"), command)
        .code(2)
        .stderr_has("srun starts this once for each of its tasks");
    assert!(!is_launched(&ran));
    let said = |size: &str| {
        case("1.0e-4")
            .env("CUDA_VISIBLE_DEVICES", "0")
            .args(["exec", "p.riskpolicy", "--world-size", size, "--"])
            .args(words(command))
            .run()
    };
    assert!(is_launched(&said("2").code(7)));
    assert!(!is_launched(&said("8").code(1)));
}

#[test]
fn a_run_file_that_sets_the_environment_of_its_launch_is_seen() {
    let swift = "ENV:\n  NPROC_PER_NODE: 8\nmodel: m\ndataset: d\ntuner_type: lora\nlearning_rate: 1.0e-4\n\
                 per_device_train_batch_size: 2\ngradient_accumulation_steps: 2\n";
    exec(case("1.0e-4").file("swift.yaml", swift), "swift sft swift.yaml").code(1);
    let trl = "env:\n  CUDA_VISIBLE_DEVICES: 0,1\nmodel_name_or_path: m\ndataset_name: d\nlearning_rate: 1.0e-4\n";
    exec(case("1.0e-4").file("trl.yaml", trl), "trl sft --config trl.yaml")
        .code(2)
        .stderr_has("the run file sets CUDA_VISIBLE_DEVICES");
}

#[test]
fn a_command_that_holds_the_whole_run_needs_no_file() {
    for (command, code) in [
        ("swift sft --model m --dataset d --learning_rate 1e-4", 7),
        ("swift sft --model m --dataset d --learning_rate 1e-3", 1),
        (
            "trl sft --model_name_or_path m --dataset_name d --learning_rate 1e-4",
            7,
        ),
        (
            "trl dpo --model_name_or_path m --dataset_name d --learning_rate 1e-3",
            1,
        ),
        ("mlx_lm.lora --train --model m --data d --learning-rate 1e-4", 7),
        ("litgpt finetune_lora m --lora_r 8 --train.global_batch_size 8", 1),
    ] {
        exec(case("1.0e-4"), command).code(code);
    }
}

#[test]
fn what_cannot_be_read_is_refused_and_says_what_to_do() {
    let mut told = String::new();
    for command in [
        "make train",
        "./run.sh",
        "bash -c llamafactory-cli_train_factory.yaml",
        "srun -n 8 trl sft --config trl.yaml",
        "srun --chdir /x trl sft --config trl.yaml",
        "mpirun -np 8 trl sft --config trl.yaml",
        "conda run --cwd /x trl sft --config trl.yaml",
        "env -S swift",
        "python train.py --lr 1e-3",
        "torchrun --nproc_per_node 2 train.py --lr 1e-3",
        "llamafactory-cli export factory.yaml",
        "axolotl train --learning-rate 1e-4",
        "axolotl train axolotl.yaml --learning_rate 1e-5",
        "axolotl train axolotl.yaml --sweep s.yaml",
        "trl sft --config=trl.yaml",
        "trl sft --config trl.yaml --config trl.yaml",
        "trl sft --config trl.yaml --learn 1e-5",
        "tune run lora_finetune_single_device --config llama2/7B_lora",
        "tune run eleuther_eval --config tune.yaml",
        "mlx_lm.lora --config mlx.yaml --learn 1e-5",
        "mlx_lm.lora --config -",
        "litgpt finetune --lora_r 8 --config litgpt.yaml",
        "litgpt finetune --config litgpt.yaml --optimizer.lr 1e-5",
        "swift sft absent.yaml",
    ] {
        let ran = exec(case("1.0e-4"), command).code(2).stdout_is("");
        assert!(!is_launched(&ran), "{command}");
        told.push_str(&format!("$ ftrisk exec p.riskpolicy -- {command}\n{}\n", ran.stderr));
    }
    insta::assert_snapshot!("commands_that_are_not_read", told);
    let blanks = case("1.0e-4").env("CUDA_VISIBLE_DEVICES", "0").args([
        "exec",
        "p.riskpolicy",
        "--",
        "llamafactory-cli",
        "train",
        "factory.yaml",
        "output_dir=o learning_rate=1",
    ]);
    blanks.run().code(2).stderr_has("splits this word at its blanks");
}

#[test]
fn a_run_file_that_cannot_be_read_twice_is_refused() {
    let case = case("1.0e-4");
    let pipe = case.path().join("pipe.yaml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    exec(case, "swift sft pipe.yaml").code(2).stderr_has("no regular file");
}

#[test]
fn standard_input_is_left_to_the_command() {
    for args in [
        "exec - -- swift sft swift.yaml",
        "exec p.riskpolicy --with - -- swift sft swift.yaml",
    ] {
        let ran = case("1.0e-4").stdin(POLICY).args(words(args)).run();
        assert!(!is_launched(
            &ran.code(2).stderr_has("standard input belongs to the command")
        ));
    }
}

#[test]
fn axolotl_adds_no_key_to_a_strict_file() {
    let text = FILES[1].1.replace("RATE", "1.0e-4") + "strict: true\n";
    let strict = || case("1.0e-4").file("axolotl.yaml", &text);
    exec(strict(), "axolotl train axolotl.yaml --max-steps 10")
        .code(2)
        .stderr_has("lets no key be added");
    exec(strict(), "axolotl train axolotl.yaml --learning-rate 1e-5").code(7);
}

#[test]
fn a_dry_run_says_how_the_command_is_read_and_launches_nothing() {
    let mut told = String::new();
    for (args, code) in [
        ("--dry-run -- llamafactory-cli train factory.yaml lora_rank=4", 0),
        ("--dry-run -- swift sft swift.yaml --learning_rate 1e-3", 1),
        (
            "--dry-run --world-size 2 -- python -m axolotl.cli.train axolotl.yaml",
            0,
        ),
    ] {
        let ran = case("1.0e-4")
            .env("CUDA_VISIBLE_DEVICES", "0,1")
            .args(["exec", "p.riskpolicy"])
            .args(words(args))
            .run()
            .code(code)
            .stdout_is("");
        assert!(!is_launched(&ran), "{args}");
        told.push_str(&format!("$ ftrisk exec p.riskpolicy {args}\n{}\n", ran.stderr));
    }
    insta::assert_snapshot!("a_dry_run", told);
}

#[test]
fn a_command_that_is_not_there_is_127_and_one_that_cannot_be_started_126() {
    let without = |name: &str| {
        let case = case("1.0e-4");
        fs::remove_file(case.path().join("bin").join(name)).unwrap();
        case
    };
    exec(without("swift"), "swift sft swift.yaml")
        .code(127)
        .stderr_has("there is no command `swift`");
    let case = without("swift").file("bin/swift", STAND_IN);
    exec(case, "bin/swift sft swift.yaml")
        .code(126)
        .stderr_has("cannot be started");
}

/// `ftrisk exec --quiet` around a stand-in of this text.
fn spawned(script: &str) -> (Case, std::process::Child) {
    let case = case("1.0e-4").file("bin/swift", script);
    let child = Command::new(env!("CARGO_BIN_EXE_ftrisk"))
        .args(["exec", "p.riskpolicy", "--quiet", "--", "swift", "sft", "swift.yaml"])
        .current_dir(case.path())
        .env(
            "PATH",
            format!(
                "{}:{}",
                case.path().join("bin").display(),
                std::env::var("PATH").unwrap()
            ),
        )
        .env_remove("WORLD_SIZE")
        .env_remove("NPROC_PER_NODE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    (case, child)
}

#[test]
fn signals_reach_the_command() {
    let ready = "printf 'ready\\n'\nwhile :; do sleep 0.02; done\n";
    // Not INT and HUP: whoever runs tests in the background has them ignored, and a shell cannot trap what is ignored.
    for (script, signal, code) in [
        (format!("#!/bin/sh\ntrap 'exit 42' TERM\n{ready}"), "TERM", Ok(42)),
        (format!("#!/bin/sh\ntrap 'exit 43' USR1\n{ready}"), "USR1", Ok(43)),
        (format!("#!/bin/sh\ntrap 'exit 44' USR2\n{ready}"), "USR2", Ok(44)),
        (format!("#!/bin/sh\n{ready}"), "TERM", Err(15)),
    ] {
        let (_case, mut child) = spawned(&script);
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n");
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([&format!("-{signal}"), &pid])
                .status()
                .unwrap()
                .success()
        );
        let status = child.wait().unwrap();
        assert_eq!(status.code().ok_or_else(|| status.signal().unwrap()), code, "{signal}");
    }
}

#[test]
fn streams_are_the_commands_own_to_the_byte() {
    let (_case, child) = spawned("#!/bin/sh\nprintf 'a\\000\\377\\r\\n'\nprintf 'told' >&2\ncat\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"a\x00\xff\r\n");
    assert_eq!(output.stderr, b"told");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_policy_that_does_not_compile_launches_nothing() {
    let ran = exec(
        case("1.0e-4").file("p.riskpolicy", "policy \"p\" for stage sft\nmax epoch 3\n"),
        "swift sft swift.yaml",
    );
    assert!(!is_launched(&ran.code(2).stderr_has("judges nothing")));
}
