//! The policies and probes that ship inside the binary, named `builtin:NAME`.

/// What a shipped name begins with.
pub const PREFIX: &str = "builtin:";

/// The words that tone is read by where a policy declares none.
pub const WORDS: &str = "builtin:words.jsonl";

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

/// A probe that ships inside the binary.
#[derive(Debug)]
pub struct BuiltinProbe {
    /// Its name, without the prefix.
    pub name: &'static str,
    /// Its rows, as JSON Lines.
    pub bytes: &'static [u8],
    /// The SHA-256 of the bytes. Written down, because hashing them would take a third of a check; a test compares.
    pub sha256: &'static str,
}

/// Every shipped probe.
pub const PROBES: &[BuiltinProbe] = &[
    BuiltinProbe {
        name: "general.jsonl",
        bytes: include_bytes!("../policies/probes/general.jsonl"),
        sha256: "7e0eaf489e6c1e579c22f5fca565e16cf30650167307f98bbba827a9beb3612c",
    },
    BuiltinProbe {
        name: "spikes.jsonl",
        bytes: include_bytes!("../policies/probes/spikes.jsonl"),
        sha256: "198e81f3577a13d25f4163428bbf1553faeefd968780e70e4654d2b8af3a7ddd",
    },
    BuiltinProbe {
        name: "prompts.jsonl",
        bytes: include_bytes!("../policies/probes/prompts.jsonl"),
        sha256: "a9cc4e1bbdf10a72352ff74b4c68c7dc731a6c735d16d0f8d4bcf660684314cf",
    },
    BuiltinProbe {
        name: "pairs.jsonl",
        bytes: include_bytes!("../policies/probes/pairs.jsonl"),
        sha256: "fab475058476e41980001cf48fe102338ea1b47cfd372018e008b5bb84ddc107",
    },
    BuiltinProbe {
        name: "words.jsonl",
        bytes: include_bytes!("../policies/probes/words.jsonl"),
        sha256: "8355b780ee547afa54362ef7fd1ba1bef72ce79d5ac2da014d40ec7656b6c64b",
    },
];

/// The shipped policy of a name, the prefix taken off or not.
pub fn policy(name: &str) -> Option<&'static BuiltinPolicy> {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    POLICIES.iter().find(|policy| policy.name == name)
}

/// The shipped probe that a path names.
pub fn probe(path: &str) -> Option<&'static BuiltinProbe> {
    let name = path.strip_prefix(PREFIX)?;
    PROBES.iter().find(|probe| probe.name == name)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    #[test]
    fn the_hashes_are_those_of_the_probes() {
        for probe in super::PROBES {
            let digest: String = Sha256::digest(probe.bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(digest, probe.sha256, "{}", probe.name);
        }
    }
}
