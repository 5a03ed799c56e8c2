//! A run beside its parent: which levers changed, by how much, and what moved with them.

use std::process::Command;

use ftrisk::adapt::{self, Launch};
use ftrisk::check::{Parent, compare, judge_against};
use ftrisk::facts::Facts;
use ftrisk::ir::{Change, Comparable, Comparison, How};
use ftrisk::quantity::{Category, Lever};
use ftrisk::source::Sources;

use super::harness::{Case, Folder};

const BASE: &str = "\
model_name_or_path: some/model
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 8
dataset: one,two
template: qwen3
per_device_train_batch_size: 4
gradient_accumulation_steps: 2
learning_rate: 1.0e-4
num_train_epochs: 2
lr_scheduler_type: constant
output_dir: out
";

/// The parent with some of its lines written otherwise, by their keys; a key that is not there is added, an empty value
/// takes one out.
fn with(changes: &[(&str, &str)]) -> String {
    let mut lines: Vec<String> = BASE.lines().map(str::to_owned).collect();
    for (key, value) in changes {
        lines.retain(|line| !line.starts_with(&format!("{key}:")));
        if !value.is_empty() {
            lines.push(format!("{key}: {value}"));
        }
    }
    lines.join("\n") + "\n"
}

const LAUNCH: Launch = Launch {
    world_size: Some(1),
    dataset_rows: Some(1000),
    framework: None,
    stage: None,
};

fn facts(name: &str, text: &str, launch: Launch, sources: &mut Sources) -> Facts {
    let source = sources.add(name, text);
    adapt::read(source, sources, launch).facts.expect("a run file")
}

fn compared(old: &str, new: &str) -> Comparison {
    let mut sources = Sources::default();
    let old = facts("parent.yaml", old, LAUNCH, &mut sources);
    let new = facts("run.yaml", new, LAUNCH, &mut sources);
    compare(&old, &new, &sources)
}

fn find<'c>(comparison: &'c Comparison, name: &str) -> &'c Change {
    let found = comparison.changes.iter().find(|change| change.called() == name);
    found.unwrap_or_else(|| panic!("no {name} in {:#?}", comparison.changes))
}

/// `old → new ×factor`
fn shown(change: &Change) -> String {
    let factor = change.factor.map_or(String::new(), |factor| format!(" ×{factor}"));
    format!("{} → {}{factor}", change.old.shown, change.new.shown)
}

#[test]
fn a_run_beside_itself_differs_in_nothing() {
    let same = compared(BASE, BASE);
    assert_eq!((same.apart.len(), same.changes.len()), (0, 0), "{same:#?}");
    // A default written out is the same run.
    let written = compared(BASE, &with(&[("lora_alpha", "16"), ("max_grad_norm", "1.0")]));
    assert_eq!(written.changes, [], "{written:#?}");
    // Data sets have no order of importance.
    let turned = compared(BASE, &with(&[("dataset", "two,one")]));
    assert_eq!(turned.apart, []);
}

#[test]
fn every_key_belongs_to_its_lever() {
    let levers = |changes: &[(&str, &str)]| compared(BASE, &with(changes)).changed();
    for (key, value, lever) in [
        ("learning_rate", "2.0e-4", Lever::Step),
        ("lr_scheduler_type", "constant_with_warmup", Lever::Step),
        ("lr_scheduler_type", "cosine", Lever::Step),
        ("optim", "sgd", Lever::Step),
        ("max_grad_norm", "0.5", Lever::Step),
        ("weight_decay", "0.1", Lever::Step),
        ("loraplus_lr_ratio", "16", Lever::Step),
        ("per_device_train_batch_size", "1", Lever::Averaging),
        ("gradient_accumulation_steps", "", Lever::Averaging),
        ("cutoff_len", "512", Lever::Averaging),
        ("num_train_epochs", "3", Lever::Commitment),
        ("max_steps", "100", Lever::Commitment),
        ("max_samples", "50", Lever::Commitment),
        ("lora_rank", "16", Lever::Reach),
        ("lora_alpha", "64", Lever::Reach),
        ("use_rslora", "true", Lever::Reach),
        ("lora_target", "q_proj", Lever::Reach),
        ("finetuning_type", "full", Lever::Reach),
    ] {
        assert_eq!(levers(&[(key, value)]), [lever], "{key}");
    }
    for (key, value) in [("seed", "7"), ("lora_dropout", "0.1"), ("quantization_bit", "4")] {
        assert_eq!(levers(&[(key, value)]), [], "{key}");
        assert!(!compared(BASE, &with(&[(key, value)])).changes.is_empty(), "{key}");
    }
    let all = levers(&[
        ("learning_rate", "2.0e-4"),
        ("gradient_accumulation_steps", "4"),
        ("num_train_epochs", "1"),
        ("lora_rank", "16"),
    ]);
    assert_eq!(all, [Lever::Step, Lever::Averaging, Lever::Commitment, Lever::Reach]);
}

#[test]
fn what_moved_is_told_with_what_it_follows() {
    let rank = compared(BASE, &with(&[("lora_rank", "16")]));
    assert_eq!(shown(find(&rank, "lora_rank")), "8 → 16 ×2");
    // Alpha is twice the rank by default, so the scale stays what it was.
    let alpha = find(&rank, "lora.alpha");
    assert_eq!(shown(alpha), "16 → 32 ×2");
    assert!(
        matches!(&alpha.how, How::Moved { why } if why.contains("lora_rank")),
        "{alpha:?}"
    );
    assert_eq!(rank.changes.len(), 2, "{:#?}", rank.changes);

    // 1000 rows in batches of 8, then of 2: 125 and 500 updates a pass, and a constant rate over all of them.
    let batch = compared(BASE, &with(&[("per_device_train_batch_size", "1")]));
    assert_eq!(shown(find(&batch, "per_device_train_batch_size")), "4 → 1 ×0.25");
    assert_eq!(shown(find(&batch, "batch.effective")), "8 → 2 ×0.25");
    assert_eq!(shown(find(&batch, "updates")), "250 → 1000 ×4");
    assert_eq!(shown(find(&batch, "learning_rate.area")), "0.025 → 0.1 ×4");
    assert_eq!(batch.changed(), [Lever::Averaging]);
    let follows = |name: &str| match &find(&batch, name).how {
        How::Moved { why } => why.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(follows("updates"), "follows per_device_train_batch_size");

    // The scale is 2: a rate of 3e-4 is an update scale of 6e-4.
    let rate = compared(BASE, &with(&[("learning_rate", "3.0e-4")]));
    assert_eq!(shown(find(&rate, "update_scale")), "2e-4 → 6e-4 ×3");

    let schedule = compared(BASE, &with(&[("lr_scheduler_type", "linear")]));
    let How::Moved { why } = &find(&schedule, "learning_rate.area").how else {
        panic!("{schedule:#?}");
    };
    assert_eq!(why, "follows lr_scheduler_type");
}

#[test]
fn what_is_taken_out_is_written_on_one_side() {
    let out = compared(BASE, &with(&[("gradient_accumulation_steps", "")]));
    let change = find(&out, "gradient_accumulation_steps");
    assert_eq!(shown(change), "2 → 1 ×0.5");
    assert_eq!((change.old.is_written, change.new.is_written), (true, false));
}

#[test]
fn other_bases_and_data_are_not_comparable() {
    for (key, value, category) in [
        ("model_name_or_path", "other/model", Category::Model),
        ("dataset", "one", Category::Dataset),
        ("template", "llama3", Category::Template),
        ("stage", "pt", Category::Stage),
    ] {
        let other = compared(BASE, &with(&[(key, value)]));
        assert_eq!(other.comparable(), Comparable::No, "{key}");
        assert_eq!(other.apart[0].category, category);
        assert_eq!(other.apart[0].new, value);
    }
    let open = compared(BASE, &with(&[("model_name_or_path", "${MODEL}")]));
    assert_eq!(open.comparable(), Comparable::Unknown);
    // The same text is filled in the same way.
    let text = with(&[("model_name_or_path", "${MODEL}")]);
    assert_eq!(compared(&text, &text).comparable(), Comparable::Yes);
}

#[test]
fn a_placeholder_may_hold_the_same() {
    let open = compared(BASE, &with(&[("learning_rate", "${LR}")]));
    assert_eq!((open.changed(), open.unsure()), (vec![], vec![Lever::Step]));
    let change = find(&open, "learning_rate");
    assert_eq!(shown(change), "1e-4 → ${LR}");
    assert!(matches!(change.how, How::Unsure { .. }), "{change:?}");
    let text = with(&[("learning_rate", "${LR}")]);
    assert_eq!(compared(&text, &text).changes, []);
}

/// The verdict on `max changed_levers`, and why.
fn verdict(most: u32, changes: &[(&str, &str)]) -> (&'static str, String) {
    let mut sources = Sources::default();
    let policy = sources.add("p.riskpolicy", format!("policy \"p\"\nmax changed_levers {most}\n"));
    let policy = ftrisk::sema::compile(policy, &sources).policy.unwrap();
    let parent = facts("parent.yaml", BASE, LAUNCH, &mut sources);
    let run = facts("run.yaml", &with(changes), LAUNCH, &mut sources);
    let judgement = judge_against(&policy, &run, Parent::Read(&parent), &sources, false);
    let verdict = &judgement.lines[0].verdict;
    (verdict.word(), verdict.because(&policy.lines[0]).into_owned())
}

#[test]
fn changed_levers_is_judged() {
    let rate = ("learning_rate", "2.0e-4");
    let clip = ("max_grad_norm", "0.5");
    let rank = ("lora_rank", "16");
    let seed = ("seed", "7");
    for (most, changes, word, because) in [
        (0, vec![], "within", "0; at most 0 is asked"),
        (0, vec![seed], "within", "0; at most 0 is asked"),
        (0, vec![rate], "over", "1, step"),
        (1, vec![rate, clip], "within", "1, step; at most 1 is asked"),
        (1, vec![rate, rank], "over", "2, step and reach"),
        (2, vec![rate, rank], "within", "2, step and reach; at most 2 is asked"),
        (0, vec![("learning_rate", "${LR}")], "open", "0 to 1"),
        (
            1,
            vec![("learning_rate", "${LR}")],
            "within",
            "0 to 1; at most 1 is asked",
        ),
        (1, vec![rank, ("learning_rate", "${LR}")], "open", "1 to 2"),
        (0, vec![rank, ("learning_rate", "${LR}")], "over", "1 to 2"),
        (
            1,
            vec![rate, rank, ("dataset", "three")],
            "open",
            "not comparable with the parent: another data set",
        ),
    ] {
        assert_eq!(
            verdict(most, &changes),
            (word, because.to_owned()),
            "{most} {changes:?}"
        );
    }
}

const POLICY: &str = "policy \"one at a time\"\nmax changed_levers 1\nrequire parent\n";

fn folder(run: &str) -> Folder {
    let folder = Folder::new();
    folder.write("p.riskpolicy", POLICY.as_bytes());
    folder.write("parent.yaml", BASE.as_bytes());
    folder.write("run.yaml", run.as_bytes());
    folder
}

fn screen(run: &str, args: &[&str]) -> String {
    let all = ["check", "p.riskpolicy", "run.yaml", "--world-size", "1"];
    let ran = Case::within(folder(run)).args(all.iter().chain(args).copied()).run();
    let complaints = if ran.stderr.is_empty() {
        String::new()
    } else {
        format!("-- stderr\n{}", ran.stderr)
    };
    format!("{}{complaints}-- exit {}\n", ran.stdout, ran.code).replace(env!("CARGO_PKG_VERSION"), "[version]")
}

#[test]
fn one_lever() {
    let run = with(&[("lora_rank", "16"), ("seed", "7")]);
    insta::assert_snapshot!(screen(&run, &["--against", "parent.yaml", "-v"]));
}

#[test]
fn three_levers() {
    let run = with(&[
        ("learning_rate", "2.0e-4"),
        ("gradient_accumulation_steps", ""),
        ("lora_rank", "16"),
    ]);
    insta::assert_snapshot!(screen(&run, &["--against", "parent.yaml", "--dataset-rows", "1000"]));
}

#[test]
fn another_data_set() {
    let run = with(&[("dataset", "three"), ("learning_rate", "2.0e-4")]);
    insta::assert_snapshot!(screen(&run, &["--against", "parent.yaml"]));
}

#[test]
fn a_placeholder() {
    let run = with(&[("learning_rate", "${LR}"), ("lora_rank", "16")]);
    insta::assert_snapshot!(screen(&run, &["--against", "parent.yaml"]));
}

#[test]
fn no_parent_where_one_is_required() {
    insta::assert_snapshot!(screen(BASE, &[]));
}

#[test]
fn as_json() {
    let run = with(&[("lora_rank", "16")]);
    insta::assert_snapshot!(screen(&run, &["--against", "parent.yaml", "--format", "json"]));
}

#[test]
fn a_run_directory_is_the_run_that_it_holds() {
    let folder = folder(&with(&[("lora_rank", "16")]));
    folder.write("runs/a/run.yaml", BASE.as_bytes());
    folder.write("empty/other.txt", b"");
    let folder = Case::within(folder)
        .args(["check", "p.riskpolicy", "run.yaml", "--against", "runs/a"])
        .run()
        .code(0)
        .stdout_has("against runs/a/run.yaml: 1 of 4 levers changed, reach\n")
        .folder;
    Case::within(folder)
        .args(["check", "p.riskpolicy", "run.yaml", "--against", "empty"])
        .run()
        .code(2)
        .stdout_has("cannot read empty/run.yaml: there is no such file")
        .stdout_has("open[changed_levers]");
}

#[test]
fn a_parent_that_cannot_be_read_passes_nothing() {
    let folder = folder(BASE);
    folder.write("broken.yaml", b"just words\n");
    let folder = Case::within(folder)
        .args(["check", "p.riskpolicy", "run.yaml", "--against", "broken.yaml"])
        .run()
        .code(2)
        .stdout_has("the parent cannot be read")
        .stdout_has("broken.yaml:1")
        .folder;
    for wrong in ["-x", "--upload-pack=x", "a..b", "HEAD:run.yaml", "a b", "^HEAD", ""] {
        Case::within(self::folder(BASE))
            .args([
                "check".to_owned(),
                "p.riskpolicy".to_owned(),
                "run.yaml".to_owned(),
                format!("--against={wrong}"),
            ])
            .run()
            .code(2)
            .stdout_is("");
    }
    // Several runs have no one parent.
    Case::within(folder)
        .args([
            "check",
            "p.riskpolicy",
            "run.yaml",
            "run.yaml",
            "--against",
            "parent.yaml",
        ])
        .run()
        .code(2)
        .stderr_has("check them one by one, or name a git revision");
}

/// Runs git in a folder, with nothing of the user's; `None` when there is no git.
fn git(folder: &Folder, args: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .current_dir(folder.path())
        .args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.org",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .ok()?;
    assert!(output.status.success(), "git {args:?}: {output:?}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_revision_of_the_same_file() {
    let folder = Folder::new();
    folder.write("p.riskpolicy", POLICY.as_bytes());
    folder.write("runs/run.yaml", BASE.as_bytes());
    if git(&folder, &["init", "-q"]).is_none() {
        eprintln!("skipped: there is no git");
        return;
    }
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "-qm", "first"]);
    git(&folder, &["tag", "first"]);
    folder.write("runs/run.yaml", with(&[("lora_rank", "16")]).as_bytes());
    git(&folder, &["commit", "-qam", "second"]);
    folder.write(
        "runs/run.yaml",
        with(&[("lora_rank", "32"), ("max_grad_norm", "0.5")]).as_bytes(),
    );
    folder.write("runs/new.yaml", BASE.as_bytes());
    let check = |folder: Folder, runs: &[&str], parent: &str| {
        let args = ["check", "p.riskpolicy"].into_iter().chain(runs.iter().copied());
        Case::within(folder).args(args.chain(["--against", parent])).run()
    };
    let run = "runs/run.yaml";
    let ran = check(folder, &[run], "HEAD~1").code(1);
    let ran = ran.stdout_has("against HEAD~1:run.yaml: 2 of 4 levers changed, step, reach\n");
    let ran = check(ran.folder, &[run], "HEAD").code(1).stdout_has("16 → 32");
    // A tag, from inside the folder or a hook of another repository.
    let ran = Case::within(ran.folder)
        .args(["check", "p.riskpolicy", run, "--against", "first"])
        .env("GIT_DIR", "nowhere")
        .run()
        .code(1)
        .stdout_has("8 → 32");
    // A file that is there wins over a revision of that name.
    ran.folder.write("first", BASE.as_bytes());
    let ran = check(ran.folder, &[run], "first").code(1).stdout_has("against first: ");
    let ran = check(ran.folder, &[run, run], "HEAD")
        .code(1)
        .stdout_has("against HEAD:run.yaml");
    let ran = check(ran.folder, &["runs/new.yaml"], "HEAD").code(2);
    let ran = ran
        .stdout_has("there is no new.yaml at HEAD")
        .stdout_has("open[changed_levers]");
    let ran = check(ran.folder, &[run], "origin/main").code(2);
    let ran = ran.stdout_has("origin/main is no file or directory, and no git revision where run.yaml lies");
    // Without the program there is no revision.
    Case::within(ran.folder)
        .args(["check", "p.riskpolicy", run, "--against", "HEAD"])
        .env("PATH", "")
        .run()
        .code(2)
        .stdout_has("the program git, which would read it as a revision, is not there");
}
