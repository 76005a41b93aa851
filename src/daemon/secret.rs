//! Passwords and tokens, each the first line of a file of its own.

use super::DaemonError;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The first line. A file that anybody may read is warned of: some mounts of secrets
/// leave no other choice.
///
/// # Errors
/// [`DaemonError::File`] if it cannot be read.
pub fn read(path: &Path) -> Result<String, DaemonError> {
    let told = |e: std::io::Error| DaemonError::File { path: path.display().to_string(), why: e.to_string() };
    let text = fs::read_to_string(path).map_err(told)?;
    if fs::metadata(path).map_err(told)?.permissions().mode() & 0o007 != 0 {
        tracing::warn!(file = %path.display(), "everybody on this machine may read this secret; chmod 600");
    }
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
