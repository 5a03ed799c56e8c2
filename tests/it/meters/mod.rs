//! The meters against other people's implementations, whose values stand in `tests/reference` beside the scripts that
//! computed them.

mod certainty;
mod information;
mod texts;
mod weights;
