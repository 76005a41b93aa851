//! The bench of alerts: long recordings with known events, through the very pipeline that runs live.
//!
//! What it does: knows the recordings and their events (`records`), runs every one once and keeps what each second showed
//! (`cache`), gives each second its channels (`scene`), fits the fused score (`fit`), and counts what it and the controls
//! beside it tell at so many alerts per bed-hour (`operate`, `rows`, `holter`, `challenge`).
//! What it never does: tune on what it reports; every figure is on patients that score and limit did not see.
//! Door: [`records`], [`fill`], [`scenes`], then [`bench()`] or [`fit_live`]; called by `wardbeat evaluate live` and
//! `wardbeat fit-live`.

mod bench;
mod cache;
mod challenge;
mod fit;
mod holter;
mod leaf;
mod operate;
mod records;
mod rows;
mod scene;
mod summary;

pub use bench::{Bench, bench, fit_live};
pub use cache::{Cached, fill};
pub use leaf::{Leaf, leaves, page};
pub use records::{Alarm, Event, Kind, Record, Set, records};
pub use scene::{Scene, scenes};
pub use summary::summary;

use operate::{NONE, Track};
