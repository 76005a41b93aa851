//! The bench of alerts: long recordings with known events, through the very pipeline that runs live.
//!
//! What it does: knows the recordings and their events (`records`), runs every one once and keeps what each second showed
//! (`cache`), gives each second its channels (`scene`), fits the fused score (`fit`) and boosted trees beside it (`boosted`),
//! and counts what they and the controls tell at so many alerts per bed-hour (`operate`, `rows`, `holter`, `challenge`),
//! what the signal gate does to them (`gate`) and whether a budget means the same on every bed (`budget`).
//! What it never does: tune on what it reports; every figure is on patients that score and limit did not see.
//! Door: [`records`], [`fill`], [`scenes`], then [`bench()`] or [`fit_live`]; called by `wardbeat evaluate live` and
//! `wardbeat fit-live`.

mod bench;
mod boosted;
mod budget;
mod cache;
mod challenge;
mod fit;
mod gate;
mod holter;
mod leaf;
mod operate;
mod page;
mod records;
mod rows;
mod scene;
mod sentences;
mod summary;

pub use bench::{Bench, bench, fit_live};
pub use cache::{Cached, fill};
pub use leaf::{Leaf, leaves};
pub use page::{gains_told, gate_told, page};
pub use records::{Alarm, Event, Kind, Record, Set, records};
pub use scene::{Scene, scenes};
pub use sentences::sentences;
pub use summary::summary;

use operate::{NONE, Track};
