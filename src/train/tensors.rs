//! safetensors bytes to f32 tensors and back, tensor by tensor and without mapping files into memory.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView, serialize};

use super::error::{Error, Result};

/// The tensors in `bytes`, f16 and bf16 widened to f32. `file` is the file's name in messages.
///
/// Errors: bytes that are no safetensors file, are cut off, or whose header says what the bytes do not hold; a tensor of
/// another type than f32, f16 and bf16; a number that is NaN or infinite.
pub fn read(bytes: &[u8], file: &str) -> Result<BTreeMap<String, Tensor>> {
    let length = bytes
        .first_chunk()
        .map(|length| u64::from_le_bytes(*length))
        .ok_or_else(|| {
            Error::new(format!(
                "{file} is cut off: {} bytes hold no safetensors header",
                bytes.len()
            ))
        })?;
    let rest = bytes.len() as u64 - 8;
    if length > rest {
        return Err(Error::new(format!(
            "{file} is cut off or no safetensors file: a header of {length} bytes, and {rest} bytes follow"
        )));
    }
    let held = SafeTensors::deserialize(bytes).map_err(|error| broken(file, &error))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in held.iter() {
        let values = widen(&view).ok_or_else(|| {
            Error::new(format!(
                "{file}: tensor {name} is of type {}, and only f32, f16 and bf16 are read",
                view.dtype()
            ))
        })?;
        if let Some(bad) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::new(format!("{file}: tensor {name} holds {bad}")));
        }
        tensors.insert(name.to_owned(), Tensor::from_vec(values, view.shape(), &Device::Cpu)?);
    }
    Ok(tensors)
}

/// A safetensors file with `tensors` as `dtype` (f32, f16 or bf16), marked as transformers and PEFT expect. The same
/// tensors give the same bytes.
pub fn write(tensors: &BTreeMap<String, Tensor>, dtype: DType) -> Result<Vec<u8>> {
    let cast = tensors.iter().map(|(name, tensor)| Ok((name, tensor.to_dtype(dtype)?)));
    let cast: Vec<(&String, Tensor)> = cast.collect::<Result<_>>()?;
    let marked = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
    serialize(cast, Some(marked)).map_err(|error| Error::new(format!("the tensors cannot be written: {error}")))
}

/// The numbers of a tensor, row by row.
pub fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}

fn broken(file: &str, error: &SafeTensorError) -> Error {
    let what = match error {
        SafeTensorError::MetadataIncompleteBuffer => {
            "is cut off or has bytes too many: its header describes another number of bytes than it holds".to_owned()
        }
        SafeTensorError::TensorInvalidInfo | SafeTensorError::ValidationOverflow => {
            "has a header that contradicts itself: a tensor's shape and its bytes do not agree".to_owned()
        }
        SafeTensorError::InvalidOffset(name) => {
            format!("has a header that contradicts itself: the bytes of tensor {name}")
        }
        _ => format!("is no safetensors file: {error}"),
    };
    Error::new(format!("{file} {what}"))
}

/// The numbers of a view as f32; `None` for a type that is not read.
fn widen(view: &TensorView) -> Option<Vec<f32>> {
    let (pairs, quads) = (view.data().as_chunks::<2>().0, view.data().as_chunks::<4>().0);
    Some(match view.dtype() {
        Dtype::F32 => quads.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        // A bf16 is the upper half of an f32.
        Dtype::BF16 => pairs
            .iter()
            .map(|bytes| f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16))
            .collect(),
        Dtype::F16 => pairs.iter().map(|bytes| half(u16::from_le_bytes(*bytes))).collect(),
        _ => return None,
    })
}

/// An IEEE half-precision number, exactly.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1f), u32::from(bits & 0x3ff));
    match exponent {
        // Subnormal: fraction · 2^-24, which f32 holds.
        0 => f32::from_bits(sign | (fraction as f32 * 2f32.powi(-24)).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}
/// Rows of different lengths as one tensor, padded on the right, where a causal model does not see it.
///
/// # Errors
/// When candle cannot make the tensor.
pub fn padded(rows: &[&[u32]]) -> Result<Tensor> {
    let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let flat: Vec<u32> = rows
        .iter()
        .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0, width - row.len())))
        .collect();
    Ok(Tensor::from_vec(flat, (rows.len(), width), &Device::Cpu)?)
}
