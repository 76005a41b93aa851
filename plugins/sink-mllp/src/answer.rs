//! What comes back: general acknowledgements and PCD-05 reports. A reader of just these fields, tolerant of LF and of
//! other delimiters.

use crate::escape::{escape, unescape};
use contract::AlertId;

/// A message cut into segments and fields.
pub struct Message {
    segments: Vec<Vec<String>>,
    component: char,
}

impl Message {
    /// Reads a frame; `None` if it does not begin with an MSH segment.
    #[must_use]
    pub fn read(frame: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(frame);
        let mut marks = text.trim_start().strip_prefix("MSH")?.chars();
        let (field, component) = (marks.next()?, marks.next()?);
        let lines = text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty());
        let segments = lines.map(|line| line.split(field).map(String::from).collect()).collect();
        Some(Self { segments, component })
    }

    /// Field `index` of the first segment `name` as it stands, empty if absent.
    #[must_use]
    pub fn field(&self, name: &str, index: usize) -> &str {
        // The separator itself is MSH-1.
        let index = if name == "MSH" { index - 1 } else { index };
        let segment = self.segments.iter().find(|s| s.first().is_some_and(|n| n == name));
        segment.and_then(|s| s.get(index)).map_or("", String::as_str)
    }

    /// The components of a field, unescaped.
    fn parts(&self, name: &str, index: usize) -> Vec<String> {
        self.field(name, index).split(self.component).map(|part| unescape(part.trim())).collect()
    }
}

/// How the receiver took a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// CA, AA.
    Accepted,
    /// CE, AE, or a code that is none.
    Error,
    /// CR, AR.
    Rejected,
}

/// A general acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its meaning.
    pub verdict: Verdict,
    /// MSA-1 as sent.
    pub code: String,
    /// MSA-2: the message it answers.
    pub control_id: String,
    /// What MSA-3 or ERR say, at most 200 characters.
    pub text: String,
}

impl Answer {
    /// The acknowledgement in a message; `None` if it has no MSA segment.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        let code = message.field("MSA", 1).trim().to_ascii_uppercase();
        if code.is_empty() {
            return None;
        }
        let verdict = match code.as_str() {
            "CA" | "AA" => Verdict::Accepted,
            "CR" | "AR" => Verdict::Rejected,
            _ => Verdict::Error,
        };
        let said = [message.field("MSA", 3), message.field("ERR", 8), message.field("ERR", 3)];
        let text = said.into_iter().find(|t| !t.is_empty()).unwrap_or("no reason given");
        let text = unescape(text).chars().filter(|c| !c.is_control()).take(200).collect();
        Some(Self { verdict, code, control_id: unescape(message.field("MSA", 2).trim()), text })
    }
}

/// What became of an alert at the receiver (PCD-05): `ORA^R41`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// The alert that OBR-3 (or OBR-2) names.
    pub alert: AlertId,
    /// PRT-3 in lower case: `delivered`, `read`, `accepted`, `rejected` …
    pub status: String,
    /// The person or device in PRT-5 or PRT-10.
    pub by: String,
}

impl StatusReport {
    /// The report in a message.
    ///
    /// # Errors
    /// What is missing, as the text of the refusal.
    pub fn of(message: &Message) -> Result<Self, &'static str> {
        let kind = message.parts("MSH", 9);
        if !(kind[0] == "ORA" && kind.get(1).is_none_or(|trigger| trigger == "R41")) {
            return Err("only ORA^R41 is taken here");
        }
        let mut named = [3, 2].iter().flat_map(|&i| message.parts("OBR", i));
        let alert = named.find_map(|part| alert_id(&part)).ok_or("OBR-3 names no alert")?;
        let status = message.parts("PRT", 3).into_iter().find(|p| !p.is_empty()).ok_or("PRT-3 is empty")?;
        let person = message.parts("PRT", 5);
        let name = person.get(2).into_iter().chain(person.get(1)).filter(|p| !p.is_empty());
        let name = name.cloned().collect::<Vec<_>>().join(" ");
        let device = message.parts("PRT", 10);
        let by = [name, person[0].clone(), device[0].clone(), message.parts("MSH", 3)[0].clone()];
        let by = by.into_iter().find(|b| !b.is_empty()).unwrap_or_else(|| "nurse call".into());
        let by = by.chars().filter(|c| !c.is_control()).take(64).collect();
        Ok(Self { alert, status: status.to_ascii_lowercase(), by })
    }
}

/// The id in `{id}-{rev}`.
fn alert_id(part: &str) -> Option<AlertId> {
    let id = part.split('-').next()?;
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then(|| AlertId(id.to_ascii_lowercase()))
}

/// The acknowledgement of a PCD-05 report; `None` where MSH-15 asks for none.
#[must_use]
pub fn acknowledge(message: &Message, fault: Option<&str>) -> Option<String> {
    if message.field("MSH", 15) == "NE" {
        return None;
    }
    let id = escape(&unescape(message.field("MSH", 10).trim()));
    let time = escape(&unescape(message.field("MSH", 7)));
    let code = if fault.is_some() { "CR" } else { "CA" };
    let why = fault.map(|f| format!("|{}", escape(f))).unwrap_or_default();
    Some(format!("MSH|^~\\&|WARDBEAT||||{time}||ACK^R41^ACK|WB{id}|P|2.6\rMSA|{code}|{id}{why}\r"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Option<Answer> {
        Answer::of(&Message::read(text.as_bytes())?)
    }

    #[test]
    fn acknowledgements_are_told_apart() {
        let head = r"MSH|^~\&|AM_GATEWAY|SITE1|||20261122222328||ACK^R40^ACK|A77|P|2.6";
        for (code, verdict) in [
            ("CA", Verdict::Accepted),
            ("AA", Verdict::Accepted),
            ("AE", Verdict::Error),
            ("CE", Verdict::Error),
            ("AR", Verdict::Rejected),
            ("CR", Verdict::Rejected),
            ("XX", Verdict::Error),
        ] {
            for end in ["\r", "\n", "\r\n"] {
                let found =
                    answer(&format!("{head}{end}MSA|{code}|WB2500be5134ba93-000")).expect("an answer");
                assert_eq!((found.verdict, found.control_id.as_str()), (verdict, "WB2500be5134ba93-000"));
            }
        }
        for bad in ["", "MSH", "MSH|", head, "MSA|CA|1", "\u{fffd}\0"] {
            assert_eq!(answer(bad), None, "{bad:?}");
        }
        let strange = answer("MSH#$~%!#A\rMSA#AE#77#bed\\F\\7 unknown").expect("other delimiters");
        assert_eq!((strange.control_id.as_str(), strange.text.as_str()), ("77", "bed|7 unknown"));
    }

    #[test]
    fn a_report_names_alert_status_and_person() {
        let report = |obr: &str, prt: &str| {
            let text = format!("MSH|^~\\&|AM|S|||1||ORA^R41^ORA_R41|9|P|2.6\rOBR|1|{obr}\rPRT|1|{prt}\r");
            StatusReport::of(&Message::read(text.as_bytes()).expect("a message"))
        };
        let id = "2500be5134ba93ff8ae3d893580d3c33";
        let good =
            report(&format!("|{id}-0^WARDBEAT^02^EUI-64"), "UC|Accepted|AAP^x|12^Berger^Ida").expect("ok");
        assert_eq!(
            (good.alert.0.as_str(), good.status.as_str(), good.by.as_str()),
            (id, "accepted", "Ida Berger")
        );
        let counted = report(&format!("|1^{id}"), "|Delivered").expect("another form");
        assert_eq!((counted.status.as_str(), counted.by.as_str()), ("delivered", "AM"));
        assert!(report("|x-0", "|Read").is_err());
        assert!(report(&format!("|{id}-0"), "").is_err());
    }
}
