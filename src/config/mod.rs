//! TOML in, validated settings out.

mod analysis;

pub use analysis::Analysis;
