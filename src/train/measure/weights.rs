//! Readings of the trained matrices themselves.

use std::collections::BTreeMap;

use crate::meter::Reading;
use crate::meter::movement::{self, Product};
use crate::train::error::Result;
use crate::train::lora::{Adapter, Pair};
use crate::train::model::Llama;
use crate::train::tensors::numbers;

/// The frozen matrices that adapters stand beside, by module, with their squared norms.
#[derive(Default)]
pub(super) struct Frozen(BTreeMap<String, (Vec<f32>, f64)>);

impl Frozen {
    /// Those of a model.
    ///
    /// # Errors
    /// When candle cannot read a tensor.
    pub(super) fn of(model: &Llama) -> Result<Frozen> {
        let read = model.projections().map(|(module, weight)| {
            let values = numbers(weight)?;
            let square = movement::square(&values);
            Ok((module.to_owned(), (values, square)))
        });
        Ok(Frozen(read.collect::<Result<_>>()?))
    }

    /// How far an update moved the adapted matrices, relative to what they were before.
    ///
    /// # Errors
    /// When candle cannot read a tensor.
    pub(super) fn movement(&self, before: &Adapter, after: &Adapter) -> Result<Reading> {
        let mut modules = Vec::new();
        for (module, pair) in &before.pairs {
            let (Some(new), Some((base, square))) = (after.pairs.get(module), self.0.get(module)) else {
                return Ok(Reading::NotFinite);
            };
            let (old, new) = (Values::of(pair)?, Values::of(new)?);
            let (old, new) = (old.product(before), new.product(after));
            modules.push((movement::change(old, new), movement::adapted(base, *square, old)));
        }
        Ok(movement::relative(modules))
    }
}

struct Values {
    b: Vec<f32>,
    a: Vec<f32>,
}

impl Values {
    fn of(pair: &Pair) -> Result<Values> {
        Ok(Values {
            b: numbers(&pair.b)?,
            a: numbers(&pair.a)?,
        })
    }

    fn product(&self, adapter: &Adapter) -> Product<'_> {
        Product {
            b: &self.b,
            a: &self.a,
            rank: adapter.rank,
            scale: adapter.scale,
        }
    }
}

/// The largest rank, by some measure of it, among the adapted matrices.
///
/// # Errors
/// When candle cannot read a tensor.
pub(super) fn largest(adapter: &Adapter, measure: impl Fn(&[f32], &[f32], usize) -> Reading) -> Result<Reading> {
    let mut largest = 0.0_f64;
    for pair in adapter.pairs.values() {
        let Values { b, a } = Values::of(pair)?;
        match measure(&b, &a, adapter.rank) {
            Reading::Value(rank) => largest = largest.max(rank.get()),
            Reading::NotFinite => return Ok(Reading::NotFinite),
        }
    }
    Ok(Reading::from(largest))
}
