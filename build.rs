//! How the program is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // At a fixed address the loader has no pointers to fill in. As position-independent code the tables of the training
    // engine alone are some hundred pages that every `check` would write before its first line runs: a seventh of the
    // time that the whole check takes. The price is that code lies where it always lies, which helps whoever has found
    // memory that can be overwritten; ftrisk has no unsafe code, and its libraries remain.
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
