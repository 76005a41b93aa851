//! Decodes the native JSON dialect into frames.
