//! A reader of PCD-04 of its own, written from the standard's side and not from the sender's, as an independent check.

use std::collections::BTreeMap;

/// What a receiver needs of `ORU^R40`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AlertMessage {
    /// MSH-10.
    pub control_id: String,
    /// MSH-11.
    pub mode: String,
    /// MSH-3, to answer to.
    pub sender: String,
    /// From OBR-3, before the last hyphen.
    pub id: String,
    /// From OBR-3, after it.
    pub rev: u32,
    /// PV1-3.
    pub place: String,
    /// OBX-5 of the facets, by the last number of OBX-4.
    pub facets: BTreeMap<u32, String>,
    /// OBX-8 of the first facet.
    pub marks: String,
}

impl AlertMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// What is wrong, in words for the ledger.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8")?;
        if !text.starts_with("MSH|^~\\&|") {
            return Err("does not begin with MSH and the standard delimiters".into());
        }
        if text.contains('\n') || !text.ends_with('\r') {
            return Err("segments must end in CR alone".into());
        }
        let mut read = Self::default();
        for line in text.split_terminator('\r') {
            let fields: Vec<&str> = line.split('|').collect();
            let field = |i: usize| fields.get(i).copied().unwrap_or_default();
            match fields[0] {
                // The first delimiter is MSH-1, so MSH-n stands at n - 1.
                "MSH" => {
                    if field(8) != "ORU^R40^ORU_R40" || field(11) != "2.6" {
                        return Err(format!("not a v2.6 ORU^R40: {} {}", field(8), field(11)));
                    }
                    read.control_id = field(9).into();
                    read.mode = field(10).into();
                    read.sender = field(2).into();
                }
                "PV1" => read.place = field(3).into(),
                "OBR" => {
                    let named = field(3).split('^').next().unwrap_or_default();
                    let (id, rev) = named.rsplit_once('-').unwrap_or((named, ""));
                    read.id = id.into();
                    read.rev = rev.parse().unwrap_or_default();
                }
                "OBX" => {
                    let facet = field(4).strip_prefix("1.0.0.0.").and_then(|n| n.parse().ok());
                    if let Some(facet) = facet {
                        read.facets.insert(facet, field(5).into());
                    }
                    if facet == Some(1) {
                        read.marks = field(8).into();
                    }
                }
                "PID" => {}
                other => return Err(format!("segment {other:?} has no place in a PCD-04 message")),
            }
        }
        match (read.control_id.len(), read.phase()) {
            (1..=20, Some(_)) => Ok(read),
            (1..=20, None) => Err("no event phase in facet 3".into()),
            (n, _) => Err(format!("MSH-10 of {n} characters instead of 1 to 20")),
        }
    }

    /// Facet 3.
    #[must_use]
    pub fn phase(&self) -> Option<&str> {
        const PHASES: [&str; 7] = ["start", "continue", "end", "update", "escalate", "de-escalate", "tpoint"];
        self.facets.get(&3).map(String::as_str).filter(|phase| PHASES.contains(phase))
    }
}
