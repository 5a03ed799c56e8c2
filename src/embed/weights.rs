//! Variables that are set in place, and everything that a rollback brings back.

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};

use super::meters::Answers;
use crate::train::optim::{Matrices, Moments};
use crate::train::{Error, Result};

/// The trained variables, in the order in which they were given.
pub(super) struct Weights(Vec<(String, Var)>);

impl Weights {
    /// # Errors
    /// When there is none, or one is not f32.
    pub(super) fn new(vars: Vec<Var>) -> Result<Weights> {
        if vars.is_empty() {
            return Err(Error::new("there is no variable to train"));
        }
        if let Some(var) = vars.iter().find(|var| var.dtype() != DType::F32) {
            return Err(Error::new(format!("a variable is {:?}", var.dtype()))
                .with_help("govern f32 variables: moments and restored weights are exact in f32"));
        }
        let named = |(index, var)| (format!("{index:08}"), var);
        Ok(Weights(vars.into_iter().enumerate().map(named).collect()))
    }

    pub(super) fn values(&self) -> Result<Matrices> {
        let value = |(name, var): &(String, Var)| Ok((name.clone(), var.flatten_all()?.to_vec1()?));
        self.0.iter().map(value).collect()
    }

    /// Makes the variables hold these values, in place: whoever shares them sees it.
    pub(super) fn set(&self, values: &Matrices) -> Result<()> {
        for (name, var) in &self.0 {
            if let Some(values) = values.get(name) {
                var.set(&Tensor::from_slice(values, var.shape(), var.device())?)?;
            }
        }
        Ok(())
    }

    /// The gradients of the variables that have one.
    ///
    /// # Errors
    /// When none has: the loss does not depend on what is trained.
    pub(super) fn gradients(&self, store: &GradStore) -> Result<Matrices> {
        let mut gradients = Matrices::new();
        for (name, var) in &self.0 {
            if let Some(gradient) = store.get(var.as_tensor()) {
                let gradient = gradient.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
                gradients.insert(name.clone(), gradient);
            }
        }
        if gradients.is_empty() {
            return Err(Error::new("no governed variable has a gradient")
                .with_help("give the variables that the loss is computed from, and the gradients of that loss"));
        }
        Ok(gradients)
    }
}

/// Where a run stands between two updates.
#[derive(Clone)]
pub(super) struct State {
    pub(super) parameters: Matrices,
    pub(super) moments: Moments,
    /// Updates proposed so far, dropped ones included.
    pub(super) proposals: u64,
    /// What these weights answered to text probes, as far as they were asked.
    pub(super) answers: Answers,
}

impl State {
    /// The parameters after `scale` times what is to be added.
    pub(super) fn moved(&self, deltas: &Matrices, scale: f64) -> Matrices {
        let mut parameters = self.parameters.clone();
        for (name, values) in &mut parameters {
            for (value, delta) in values.iter_mut().zip(deltas.get(name).into_iter().flatten()) {
                *value = (f64::from(*value) + scale * f64::from(*delta)) as f32;
            }
        }
        parameters
    }
}
