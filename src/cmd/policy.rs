//! `ftrisk policy`

use super::args::{PolicyArgs, PolicyCommand};
use super::{BAD_INPUT, Outcome, terminal};
use crate::builtin;
use crate::diag::closest;

pub(super) fn run(args: &PolicyArgs) -> Outcome {
    match &args.command {
        PolicyCommand::List => {
            let mut out = String::new();
            for policy in builtin::POLICIES {
                out.push_str(&format!(
                    "{}{:14} {}\n",
                    builtin::PREFIX,
                    policy.name,
                    purpose(policy.text)
                ));
            }
            terminal::print(&out).map(|()| 0)
        }
        PolicyCommand::Show { name } => match builtin::policy(name) {
            Some(policy) => terminal::print(policy.text).map(|()| 0),
            None => {
                let next = match closest(name, builtin::POLICIES.iter().map(|policy| policy.name)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "`ftrisk policy list` names them".to_owned(),
                };
                terminal::complain(&format!("no policy inside the binary is called `{name}`; {next}"));
                Ok(BAD_INPUT)
            }
        },
    }
}

/// A policy's first comment says what it is for.
fn purpose(text: &str) -> &str {
    text.lines().next().unwrap_or("").trim_start_matches(['#', ' '])
}
