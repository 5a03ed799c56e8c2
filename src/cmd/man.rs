//! `ftrisk man`

use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::args::ManArgs;
use super::{BAD_INPUT, Failure, Outcome, terminal};
use crate::diag::one_of;

/// How the help of a command begins to say what it ends with.
const CODES: &str = "Exit codes: ";
/// What a command ends with whose help does not say it: "other commands" of the reference.
const OTHERS: &str = "0 done, 2 wrong input, 3 ftrisk itself failed.";

pub(super) fn run(args: &ManArgs, root: Command) -> Outcome {
    // The number alone: a page says the same on every machine.
    let mut root = root.version(env!("CARGO_PKG_VERSION"));
    root.build();
    if let Some(folder) = &args.dir {
        return write(&root, folder).map(|()| 0);
    }
    let mut command = &root;
    for word in &args.command {
        let Some(below) = command.find_subcommand(word) else {
            let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
            let next = match names.as_slice() {
                [] => "it has none".to_owned(),
                names => format!("say {}", one_of(names)),
            };
            let of = command.get_bin_name().unwrap_or("ftrisk");
            terminal::complain(&format!("`{word}` is no command of `{of}`: {next}"));
            return Ok(BAD_INPUT);
        };
        command = below;
    }
    let page = page(command).map_err(|error| Failure(format!("cannot make the page: {error}")))?;
    terminal::print(&page).map(|()| 0)
}

/// Writes the page of a command and of every command below it.
fn write(command: &Command, folder: &Path) -> Result<(), Failure> {
    let path = folder.join(format!("{}.1", name(command)));
    std::fs::create_dir_all(folder)
        .and_then(|()| page(command))
        .and_then(|page| std::fs::write(&path, page))
        .map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))?;
    command.get_subcommands().try_for_each(|below| write(below, folder))
}

/// `ftrisk-policy-list`
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command) -> std::io::Result<String> {
    let mut page = Vec::new();
    // What stands below the help has headings of its own here.
    Man::new(command.clone().after_help(None::<&'static str>))
        .title(name(command).to_uppercase())
        // An empty date is left out of the line, and the version would be taken for it.
        .date(" ")
        .source(concat!("ftrisk ", env!("CARGO_PKG_VERSION")))
        .manual("ftrisk")
        .render(&mut page)?;
    let said = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (codes, more) = match said.strip_prefix(CODES) {
        Some(said) => said.split_once('\n').unwrap_or((said, "")),
        None => (OTHERS, said.as_str()),
    };
    let also = if name(command) == "ftrisk" { "" } else { "ftrisk(1)" };
    let mut end = Roff::new();
    for (heading, text) in [("EXIT STATUS", codes), ("EXAMPLES", more), ("SEE ALSO", also)] {
        if !text.is_empty() {
            end.control("SH", [heading]).text([roman(text)]);
        }
    }
    end.to_writer(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
