//! `ftrisk explain`

use super::args::ExplainArgs;
use super::{BAD_INPUT, Outcome, terminal};
use crate::report::reference;

pub(super) fn run(args: &ExplainArgs) -> Outcome {
    let Some(name) = &args.name else {
        return terminal::print(&reference::index()).map(|()| 0);
    };
    // People paste what a headline shows: `over[lora.rank]`.
    let name = name.split('[').next().unwrap_or(name);
    if let Some(page) = reference::page(name) {
        return terminal::print(&page).map(|()| 0);
    }
    let next = match reference::nearest(name) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`ftrisk explain` lists everything that can be explained".to_owned(),
    };
    terminal::complain(&format!("`{name}` is no diagnostic, quantity or fact; {next}"));
    Ok(BAD_INPUT)
}
