//! `ftrisk probe check`: planted faults, and the limits that notice them.

use super::fixture::run_file;
use super::meters::probed;
use crate::it::harness::{Case, Ran};

fn check(lines: &str) -> Ran {
    let (folder, head) = probed(2);
    Case::within(folder)
        .file("p.riskpolicy", format!("{head}{lines}\n"))
        .file("run.yaml", run_file(&[]))
        .args(["probe", "check", "p.riskpolicy", "run.yaml"])
        .run()
}

/// The line about a fault.
#[track_caller]
fn about<'r>(ran: &'r Ran, fault: &str) -> &'r str {
    let line = ran.stdout.lines().find(|line| line.starts_with(&format!("{fault}: ")));
    line.unwrap_or_else(|| panic!("{fault}: {}", ran.stdout))
}

#[test]
fn drift_sees_a_shift_and_no_template() {
    let ran = check("max drift.total 0.001 nats on voices").code(1);
    assert!(about(&ran, "shifted logit, by 2").contains("caught by drift.total on voices"));
    assert!(about(&ran, "template, 100 % of samples").ends_with(": not caught"));
    let told = "no limit of this policy would notice that 100 % of the samples open with the same phrase: add `max template.share ";
    assert!(ran.stdout.contains(told), "{}", ran.stdout);
    assert!(!ran.folder.path().join("out").exists(), "nothing is written");
}

#[test]
fn a_template_is_seen_by_its_share() {
    let ran = check("max template.share 80% on prompts").code(1);
    assert!(about(&ran, "template, 100 % of samples").contains("caught by template.share on prompts"));
    assert!(about(&ran, "template, 5 % of samples").ends_with(": not caught"));
    assert!(about(&ran, "shifted logit, by 2").ends_with(": not caught"));
}

#[test]
fn a_base_outside_of_a_limit_is_refused() {
    check("max confidence.entropy 1 nats on voices").code(2);
    let ran = check("min confidence.entropy 100 nats on voices").code(2);
    assert!(ran.stdout.contains("confidence.entropy"), "{}", ran.stdout);
}
