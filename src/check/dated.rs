//! What a policy's waivers are on a day.

use crate::diag::{Code, Diagnostic};
use crate::ir::{Day, MOST_DAYS, Policy};

/// What is to be said on that day of the waivers of a policy, whichever run is judged: those that are over, and those that
/// reach further than a waiver may. Neither relaxes anything.
pub fn dated(policy: &Policy, today: Day) -> Vec<Diagnostic> {
    let told = policy.waivers.iter().filter_map(|waiver| {
        let name = waiver.quantity.name();
        let until = waiver.until;
        if until < today {
            let finding = Diagnostic::new(
                Code::WaiverExpired,
                format!("the waiver of {name} for {} is over", waiver.runs),
            );
            return Some(
                finding
                    .at(waiver.day, format!("judged on {today}"))
                    .help("take it out, or have the limit's owners renew it: until then the limit holds for these runs as for all"),
            );
        }
        waiver.is_too_long(today).then(|| {
            let days = today.days_to(until);
            Diagnostic::new(
                Code::Waiver,
                format!("a waiver reaches at most {MOST_DAYS} days ahead; this one is {days}"),
            )
            .at(waiver.day, format!("judged on {today}"))
            .help("write an earlier day and renew the waiver when it comes, or change the limit")
        })
    });
    told.collect()
}
