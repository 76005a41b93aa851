//! A limit on everything that comes from outside, in one place.

/// Largest MQTT payload accepted, in bytes (12 leads at 2,000 Hz for 1 s as JSON stay below it).
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Beds that one node follows; frames of further beds are refused and counted.
pub const BEDS_MAX: usize = 4_096;
/// Leads in one frame.
pub const LEADS_MAX: usize = 16;
/// Samples per lead in one frame.
pub const FRAME_SAMPLES_MAX: usize = 20_000;
/// Lowest sampling rate accepted, in Hz.
pub const RATE_HZ_MIN: u32 = 50;
/// Highest sampling rate accepted, in Hz.
pub const RATE_HZ_MAX: u32 = 2_000;
/// Largest denominator of a sampling rate.
pub const RATE_DENOMINATOR_MAX: u32 = 1_000;
/// Length of one level of a topic (site, unit, bed), in bytes.
pub const LEVEL_BYTES_MAX: usize = 64;
/// Length of a lead's name, in bytes.
pub const LEAD_BYTES_MAX: usize = 15;
/// Samples beyond this size are not ECG in millivolts; the frame is refused.
pub const SAMPLE_MV_MAX: f32 = 1_000.0;
/// Signal in one frame, in seconds.
pub const FRAME_S_MAX: u32 = 10;
/// Signal kept per bed, in seconds: the longest frame and what it must be compared with or follow.
pub const RING_S: u32 = 12;
/// Frames that wait for an earlier one before the gap is filled with missing samples.
pub const REORDER_FRAMES_MAX: usize = 2;
/// Frames waiting between the wire and an engine thread, per bed; the oldest goes first.
pub const QUEUE_FRAMES_PER_BED_MAX: usize = 64;
/// Free text that people may attach to a mark or a reason, in bytes.
pub const NOTE_BYTES_MAX: usize = 200;
/// The longest pause of a bed's notices, in minutes.
pub const PAUSE_MIN_MAX: u32 = 10;
/// The longest time for which a command may be good, in seconds.
pub const COMMAND_TTL_S_MAX: u32 = 60;
/// One command on the wire, in bytes.
pub const COMMAND_BYTES_MAX: usize = 4 << 10;
/// Marks kept for a bed.
pub const MARKS_MAX: usize = 200;
/// Window findings in one analysis call.
pub const BATCH_MAX: usize = 256;
/// One line between Wardbeat and an exec plugin, in bytes, without its line feed.
pub const PLUGIN_LINE_BYTES_MAX: usize = 256 << 10;
/// What an exec plugin may write to the log, in bytes per second; more is cut and counted.
pub const PLUGIN_STDERR_BYTES_PER_S_MAX: usize = 8 << 10;
/// What is read of a webhook receiver's answer, in bytes.
pub const WEBHOOK_ANSWER_BYTES_MAX: usize = 64 << 10;
