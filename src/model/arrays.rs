//! Named arrays on disk: safetensors of f32 or f16, read whole (never memory-mapped).

use super::{Arrays, ModelError};
use half::f16;
use safetensors::{Dtype, SafeTensors, View};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// Free notes in the file's head.
pub type Notes = HashMap<String, String>;

struct Array<'a> {
    dims: &'a [usize],
    values: &'a [f32],
    halved: bool,
}

impl View for Array<'_> {
    fn dtype(&self) -> Dtype {
        if self.halved { Dtype::F16 } else { Dtype::F32 }
    }
    fn shape(&self) -> &[usize] {
        self.dims
    }
    fn data(&self) -> Cow<'_, [u8]> {
        let bytes: Vec<u8> = if self.halved {
            self.values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()
        } else {
            self.values.iter().flat_map(|v| v.to_le_bytes()).collect()
        };
        bytes.into()
    }
    fn data_len(&self) -> usize {
        self.values.len() * if self.halved { 2 } else { 4 }
    }
}

fn serialize(arrays: &Arrays, notes: Notes, halved: bool) -> Result<Vec<u8>, ModelError> {
    let views: Vec<_> =
        arrays.iter().map(|(name, (dims, values))| (name.as_str(), Array { dims, values, halved })).collect();
    safetensors::serialize(views, (!notes.is_empty()).then_some(notes))
        .map_err(|e| ModelError::Bundle(format!("arrays cannot be written: {e}")))
}

/// The bytes of a safetensors file; the same arrays and notes always give the same bytes.
///
/// # Errors
/// [`ModelError::Bundle`] if an array's shape does not fit its values.
pub fn to_bytes(arrays: &Arrays, notes: Notes) -> Result<Vec<u8>, ModelError> {
    serialize(arrays, notes, false)
}

/// As [`to_bytes`], each number rounded to 16 bits: half the size. Judge what you read back, not what you wrote.
///
/// # Errors
/// As [`to_bytes`].
pub fn to_bytes_f16(arrays: &Arrays, notes: Notes) -> Result<Vec<u8>, ModelError> {
    serialize(arrays, notes, true)
}

/// Reads what [`to_bytes`] or [`to_bytes_f16`] wrote.
///
/// # Errors
/// [`ModelError::Bundle`] if the bytes are damaged or hold anything but f32 and f16.
pub fn from_bytes(bytes: &[u8]) -> Result<(Arrays, Notes), ModelError> {
    let fault = |e| ModelError::Bundle(format!("arrays cannot be read: {e}"));
    let (_, head) = SafeTensors::read_metadata(bytes).map_err(fault)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(fault)?;
    let mut arrays = Arrays::new();
    for (name, view) in tensors.iter() {
        let values = match view.dtype() {
            Dtype::F32 => {
                view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
            }
            Dtype::F16 => {
                view.data().chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
            }
            other => {
                return Err(ModelError::Bundle(format!("{name} holds {other:?}; f32 or f16 is needed")));
            }
        };
        arrays.insert(name.into(), (view.shape().to_vec(), values));
    }
    Ok((arrays, head.metadata().clone().unwrap_or_default()))
}

/// Writes a file by way of a temporary one, so that a crash leaves the old or the new, never half.
///
/// # Errors
/// [`ModelError::Bundle`] names the path.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let part = path.with_extension("part");
    std::fs::write(&part, bytes)
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|e| ModelError::Bundle(format!("{}: {e}", path.display())))
}

/// Reads a file.
///
/// # Errors
/// [`ModelError::Bundle`] names the path.
pub fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    std::fs::read(path).map_err(|e| ModelError::Bundle(format!("{}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_width_keeps_values_to_eleven_bits_and_a_second_rounding_changes_nothing() {
        let arrays = Arrays::from([("a".to_owned(), (vec![3], vec![1.0, -0.123_456, 6e-5]))]);
        let once = from_bytes(&to_bytes_f16(&arrays, Notes::new()).expect("bytes")).expect("readable").0;
        for (a, b) in arrays["a"].1.iter().zip(&once["a"].1) {
            assert!((a - b).abs() <= a.abs() / 2048.0, "{a} became {b}");
        }
        let twice = from_bytes(&to_bytes_f16(&once, Notes::new()).expect("bytes")).expect("readable").0;
        assert_eq!(once, twice);
    }
}
