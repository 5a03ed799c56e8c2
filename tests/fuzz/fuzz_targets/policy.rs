//! Any text as a policy: no panic, every place inside the text, every finding drawable.
#![no_main]

use ftrisk::diag::render::{Style, render};
use ftrisk::{sema, source::Sources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut sources = Sources::default();
    let source = sources.add("fuzz.riskpolicy", text);
    let compiled = sema::compile(source, &sources);
    assert!(compiled.policy.is_some() || !compiled.diagnostics.is_empty(), "dropped without a word");
    for diagnostic in compiled.diagnostics.iter().take(4) {
        for label in &diagnostic.labels {
            assert!(text.get(label.place.span.start..label.place.span.end).is_some(), "{diagnostic:?}");
        }
        let _ = render(diagnostic, &sources, Style { color: false });
    }
});
