//! One monitor dialect in, frames out.

use crate::{BedId, Flags, Frame, FrameFault, IdFault, LeadId, Mode, Ratio, TimeFault, UtcMs};

/// A gateway's birth message (`…/meta`, retained): what it will send from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct Birth {
    /// The bed.
    pub bed: BedId,
    /// The epoch that begins, where the gateway says it.
    pub epoch: Option<u32>,
    /// The leads announced.
    pub leads: Vec<LeadId>,
    /// The rate announced.
    pub rate: Option<Ratio>,
    /// An opaque token that changes when another patient lies in the bed; never a name.
    pub patient: Option<String>,
    /// The monitor's own id.
    pub monitor: Option<String>,
    /// What synchronises the gateway's clock, as it says.
    pub clock: Option<String>,
    /// The patient is paced.
    pub paced: bool,
    /// Real, test or demo.
    pub mode: Mode,
}

/// The gateway's link (`…/link`), its own Last Will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The bed.
    pub bed: BedId,
    /// Whether the gateway is there.
    pub online: bool,
}

/// A number that the monitor itself computed (`…/numeric`), shown as theirs.
#[derive(Debug, Clone, PartialEq)]
pub struct Numeric {
    /// The bed.
    pub bed: BedId,
    /// When, by the gateway.
    pub at: Option<UtcMs>,
    /// The monitor's heart rate, per minute.
    pub heart_rate_per_min: Option<f32>,
}

/// What one payload said.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A stretch of signal.
    Frame(Frame),
    /// A gateway began.
    Birth(Birth),
    /// A gateway came or went.
    Link(Link),
    /// A monitor's own number.
    Numeric(Numeric),
}

/// Why a payload was refused. The text says what, where and what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// The topic is not one of this dialect.
    #[error("topic {0:?} is not one this decoder reads")]
    Topic(String),
    /// The payload names another bed than the topic.
    #[error("payload is for bed {payload:?} but came on the topic of {topic}")]
    OtherBed {
        /// Bed in the payload.
        payload: String,
        /// Bed in the topic.
        topic: BedId,
    },
    /// The payload is larger than allowed.
    #[error("payload of {0} bytes is over the limit")]
    TooLarge(usize),
    /// The payload does not have the dialect's form.
    #[error("{0}")]
    Form(String),
    /// A version this decoder does not know.
    #[error("frame version {0} is not known; this decoder reads version 1")]
    Version(u64),
    /// The checksum disagrees.
    #[error("checksum {found:08x} does not match the payload ({computed:08x})")]
    Checksum {
        /// As sent.
        found: u32,
        /// As computed.
        computed: u32,
    },
    /// A name is not allowed.
    #[error(transparent)]
    Id(#[from] IdFault),
    /// A time or rate is not allowed.
    #[error(transparent)]
    Time(#[from] TimeFault),
    /// The frame's shape or range is not allowed.
    #[error(transparent)]
    Frame(#[from] FrameFault),
}

/// Turns payloads of one dialect into frames. No IO, no clock; may remember what the dialect announced earlier.
pub trait Decoder: Send {
    /// Decodes one payload that arrived on `topic` at `arrived` (a label for dialects without time).
    ///
    /// # Errors
    /// [`DecodeError`] for anything that is not a well-formed message of the dialect. Never panics,
    /// whatever the bytes.
    fn decode(&mut self, topic: &str, payload: &[u8], arrived: UtcMs) -> Result<Vec<Heard>, DecodeError>;
}

/// The flags that a birth message and a frame share.
impl From<&Birth> for Flags {
    fn from(birth: &Birth) -> Self {
        Self { first: true, paced: birth.paced, ..Self::default() }
    }
}
