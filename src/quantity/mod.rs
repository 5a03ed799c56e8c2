//! Numbers with meaning: the one table of quantities and categorical facts, finite numbers, units, sets of values.
//!
//! Knows what can be limited and in which unit; knows no syntax, no run file and no training.

mod category;
mod course;
mod finite;
mod interval;
mod table;
mod unit;

pub use category::{CATEGORIES, Category, CategoryKind, CategoryRow};
pub use course::{Course, Shape};
pub use finite::Finite;
pub use interval::{Domain, Interval};
pub use table::{Direction, Lever, Moment, ProbeKind, QUANTITIES, Quantity, Row};
pub use unit::{Dimension, Unit};
