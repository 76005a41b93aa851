//! Decodes the compact binary dialect into frames.
