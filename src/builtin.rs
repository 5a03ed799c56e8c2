//! The policies and probes that ship inside the binary, named `builtin:NAME`.

/// What a shipped name begins with.
pub const PREFIX: &str = "builtin:";

/// A policy that ships inside the binary.
#[derive(Debug)]
pub struct BuiltinPolicy {
    /// Its name, without the prefix.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// Every shipped policy.
pub const POLICIES: &[BuiltinPolicy] = &[
    BuiltinPolicy {
        name: "cautious-sft",
        text: include_str!("../policies/cautious-sft.riskpolicy"),
    },
    BuiltinPolicy {
        name: "exploratory",
        text: include_str!("../policies/exploratory.riskpolicy"),
    },
];

/// Every shipped probe, by the name behind `builtin:`.
pub const PROBES: &[(&str, &[u8])] = &[
    ("general.jsonl", include_bytes!("../policies/probes/general.jsonl")),
    ("prompts.jsonl", include_bytes!("../policies/probes/prompts.jsonl")),
    ("pairs.jsonl", include_bytes!("../policies/probes/pairs.jsonl")),
];

/// The shipped policy of a name, the prefix taken off or not.
pub fn policy(name: &str) -> Option<&'static BuiltinPolicy> {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    POLICIES.iter().find(|policy| policy.name == name)
}

/// The bytes of a shipped probe, when the path names one.
pub fn probe(path: &str) -> Option<&'static [u8]> {
    let name = path.strip_prefix(PREFIX)?;
    PROBES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}
