//! Named arrays on disk: safetensors of f32, read whole (never memory-mapped).

use super::{Arrays, ModelError};
use safetensors::{Dtype, SafeTensors, View};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// Free notes in the file's head.
pub type Notes = HashMap<String, String>;

struct F32<'a>(&'a [usize], &'a [f32]);

impl View for F32<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        self.0
    }
    fn data(&self) -> Cow<'_, [u8]> {
        self.1.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()
    }
    fn data_len(&self) -> usize {
        self.1.len() * 4
    }
}

/// The bytes of a safetensors file; the same arrays and notes always give the same bytes.
///
/// # Errors
/// [`ModelError::Bundle`] if an array's shape does not fit its values.
pub fn to_bytes(arrays: &Arrays, notes: Notes) -> Result<Vec<u8>, ModelError> {
    let views: Vec<_> =
        arrays.iter().map(|(name, (dims, values))| (name.as_str(), F32(dims, values))).collect();
    safetensors::serialize(views, (!notes.is_empty()).then_some(notes))
        .map_err(|e| ModelError::Bundle(format!("arrays cannot be written: {e}")))
}

/// Reads what [`to_bytes`] wrote.
///
/// # Errors
/// [`ModelError::Bundle`] if the bytes are damaged or hold anything but f32.
pub fn from_bytes(bytes: &[u8]) -> Result<(Arrays, Notes), ModelError> {
    let fault = |e| ModelError::Bundle(format!("arrays cannot be read: {e}"));
    let (_, head) = SafeTensors::read_metadata(bytes).map_err(fault)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(fault)?;
    let mut arrays = Arrays::new();
    for (name, view) in tensors.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(ModelError::Bundle(format!("{name} holds {:?}; f32 is needed", view.dtype())));
        }
        let values =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
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
