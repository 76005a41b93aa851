//! Passwords and tokens, each the first line of a file of its own.

use super::DaemonError;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Whether more than owner and group may do anything with a file of this mode.
fn exposed(mode: u32) -> bool {
    mode & 0o007 != 0
}

/// The first line. A file that anybody may read is warned of: some mounts of secrets
/// leave no other choice.
///
/// # Errors
/// [`DaemonError::File`] if it cannot be read.
pub fn read(path: &Path) -> Result<String, DaemonError> {
    let told = |e: std::io::Error| DaemonError::File { path: path.display().to_string(), why: e.to_string() };
    let text = fs::read_to_string(path).map_err(told)?;
    if exposed(fs::metadata(path).map_err(told)?.permissions().mode()) {
        tracing::warn!(file = %path.display(), "everybody on this machine may read this secret; chmod 600");
    }
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_the_first_line_without_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        fs::write(&path, "s3cret \r\nnot this\n").expect("written");
        assert_eq!(read(&path).expect("read"), "s3cret ");
        fs::write(&path, "").expect("written");
        assert_eq!(read(&path).expect("read"), "");
    }

    #[test]
    fn a_missing_file_is_named() {
        let told = read(Path::new("/nowhere/token")).expect_err("there is none").to_string();
        assert!(told.contains("/nowhere/token"), "{told}");
    }

    #[test]
    fn a_file_is_exposed_where_others_than_owner_and_group_may_touch_it() {
        assert!([0o100_644, 0o100_604, 0o100_666, 0o100_602].into_iter().all(exposed));
        assert!(![0o100_600, 0o100_640, 0o100_660, 0o100_400].into_iter().any(exposed));
    }
}
