//! Any text as a run file under the shipped policies: no panic, every place inside the text, every finding drawable.
#![no_main]

use ftrisk::diag::render::{Style, render};
use ftrisk::{adapt, builtin, check, sema, source::Sources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut sources = Sources::default();
    let source = sources.add("fuzz.yaml", text);
    let read = adapt::read(source, &sources, adapt::Launch::default());
    assert!(read.facts.is_some() || !read.diagnostics.is_empty(), "refused without a word");
    let mut findings = read.diagnostics;
    if let Some(facts) = read.facts {
        for shipped in builtin::POLICIES {
            let id = sources.add(shipped.name, shipped.text);
            let policy = sema::compile(id, &sources).policy.expect("shipped policies compile");
            let judgement = check::judge(&policy, &facts, &sources, false);
            findings.extend(judgement.findings);
            findings.extend(judgement.lines.into_iter().filter_map(|judged| judged.diagnostic));
        }
    }
    for diagnostic in findings.iter().take(6) {
        for label in diagnostic.labels.iter().filter(|label| label.place.source == source) {
            assert!(text.get(label.place.span.start..label.place.span.end).is_some(), "{diagnostic:?}");
        }
        let _ = render(diagnostic, &sources, Style { color: false });
    }
});
