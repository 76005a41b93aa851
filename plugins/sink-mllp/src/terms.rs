//! The codes on the wire and the short texts beside them. All words that a nurse-call screen shows stand here or come
//! with the alert.

use crate::options::Codes;
use contract::{AlertClass, Code, LeadId, Mode, Priority};

pub const EVENT_ALARM: &str = "196616^MDC_EVT_ALARM^MDC";
pub const EVENT_ACTIVE: &str = "258047^MDC_EVT_ACTIVE^MDC";
pub const LEAD_OFF: &str = "196680^MDC_EVT_LEAD_OFF^MDC";
pub const MONITOR: &str = "69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC";
pub const CONFIRM_TIMEOUT: &str = "67860^MDC_ATTR_CONFIRM_TIMEOUT^MDC";
pub const SECONDS: &str = "264320^MDC_DIM_SEC^MDC";

/// The title of a code: OBX-5.2 of the first facet.
pub fn title(code: Code) -> &'static str {
    match code {
        Code::Uncertain => "ECG analysis uncertain",
        Code::New => "ECG shapes not seen while learning",
        Code::Changed => "ECG pattern differs from this patient's baseline",
        Code::Signal => "ECG signal unusable",
        Code::NoData => "No ECG data",
        Code::Clock => "ECG time stamps unreliable",
        Code::Node => "Wardbeat behind or alert undelivered",
    }
}

/// Said before the text of anything that is not real, for screens that do not look at MSH-11.
pub fn mode_mark(mode: Mode) -> &'static str {
    match mode {
        Mode::Real => "",
        Mode::Test => "TEST ",
        Mode::Demo => "DEMO ",
    }
}

/// MSH-11.
pub fn processing(mode: Mode) -> &'static str {
    match mode {
        Mode::Real => "P",
        Mode::Test => "T",
        Mode::Demo => "D",
    }
}

/// The priority letters. There is no PH: high is left to the bedside monitors.
pub fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Info => "PI",
        Priority::Low => "PL",
        Priority::Medium => "PM",
    }
}

/// The type letters. There is no SP: Wardbeat reports on an analysis, never on a physiological condition.
pub fn alert_type(class: AlertClass) -> &'static str {
    match class {
        AlertClass::Analysis => "SA",
        AlertClass::Technical => "ST",
    }
}

/// `MDC_ECG_ELEC_POTL`, a lead that has no number of its own.
const BASE: u32 = 131_328;
/// Numbers of the standard leads above it; III and the augmented leads were numbered later.
const OFFSETS: [u32; 12] = [1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8];

/// What the alert is about: the first lead, or the monitor where no lead is named or the fault is not a lead's.
pub fn source(code: Code, leads: &[LeadId]) -> String {
    if matches!(code, Code::Clock | Code::Node) {
        return MONITOR.into();
    }
    match leads.first().and_then(LeadId::standard) {
        Some(i) => {
            format!("{}^MDC_ECG_ELEC_POTL_{}^MDC", BASE + OFFSETS[i], LeadId::STANDARD[i].to_uppercase())
        }
        None => format!("{BASE}^MDC_ECG_ELEC_POTL^MDC"),
    }
}

/// The identifiers of facets 2 to 7 (source, phase, state, inactivation, priority, type).
pub fn facets(codes: Codes) -> [&'static str; 6] {
    const CURRENT: [&str; 6] = [
        "68480^MDC_ATTR_ALERT_SOURCE^MDC",
        "68481^MDC_ATTR_EVENT_PHASE^MDC",
        "68482^MDC_ATTR_ALARM_STATE^MDC",
        "68483^MDC_ATTR_ALARM_INACTIVATION_STATE^MDC",
        "68484^MDC_ATTR_ALARM_PRIORITY^MDC",
        "68485^MDC_ATTR_ALERT_TYPE^MDC",
    ];
    const LEGACY: [&str; 6] = [
        "68164^MDC_ATTR_ALERT_SOURCE^MDC",
        "68165^MDC_ATTR_EVENT_PHASE^MDC",
        "68166^MDC_ATTR_ALARM_STATE^MDC",
        "68167^MDC_ATTR_ALARM_INACTIVATION_STATE^MDC",
        "68168^MDC_ATTR_ALARM_PRIORITY^MDC",
        CURRENT[5],
    ];
    match codes {
        Codes::Current => CURRENT,
        Codes::Legacy => LEGACY,
        Codes::GeMixed => [LEGACY[0], LEGACY[1], LEGACY[2], LEGACY[3], CURRENT[4], CURRENT[5]],
    }
}
