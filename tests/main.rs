//! The one integration test binary: a module of `it` for each thing that is tested.

// The attribute tells clippy that the helpers below are tests too, so that they may unwrap and index.
#[cfg(test)]
mod it {
    mod action;
    mod against;
    mod bad_input;
    mod cli;
    mod codes;
    mod corpus;
    mod corpus_audit;
    mod corpus_verdicts;
    mod docs;
    #[cfg(feature = "train")]
    mod embed;
    #[cfg(unix)]
    mod exec;
    #[cfg(feature = "train")]
    mod figures;
    mod frameworks;
    mod fuzz_seeds;
    mod guard_protocol;
    mod harness;
    mod hook;
    mod house;
    mod invariants;
    mod many;
    mod meters;
    mod named;
    mod phrases;
    mod properties;
    #[cfg(feature = "train")]
    mod reference;
    mod schema;
    mod screens;
    mod shells;
    mod solver;
    mod spec;
    #[cfg(feature = "train")]
    mod tiny;
    #[cfg(feature = "train")]
    mod train;
    mod waivers;
    mod yaml;
}
