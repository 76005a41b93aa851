//! Commands as MQTT brings them: from the topic to the desk, and the answer back to the reply topic.

use super::Commands;
use crate::daemon::outlet::Outlet;
use crate::daemon::publish;
use contract::{BedId, Verb, topic};
use rumqttc::v5::mqttbytes::v5::Publish;

/// The link's ear for commands.
pub struct Inbox {
    /// The door.
    pub commands: Commands,
    /// The site: first level of every bed.
    pub site: String,
    /// This node's name.
    pub node: String,
}

impl Inbox {
    /// What to subscribe to.
    #[must_use]
    pub fn filter(&self) -> String {
        format!("{}/{}/+/+/cmd/+", topic::ROOT, self.site)
    }

    /// A message has come. Never waits: where the desk is far behind it is refused, and its sender gets no answer.
    pub fn heard(&self, publish: &Publish, outlet: &Outlet) {
        let name = String::from_utf8_lossy(&publish.topic);
        let Some(place) = place(&name) else {
            return tracing::warn!(topic = %name, "not the topic of a command");
        };
        let (asked, outlet) = (publish.properties.clone(), outlet.clone());
        let (site, node) = (self.site.clone(), self.node.clone());
        let reply = Box::new(move |answer: &contract::Answer| {
            let told = publish::reply(&site, &node, asked.as_ref(), answer).map(|m| outlet.send(m));
            if let Some(Err(why)) = told {
                tracing::warn!(id = answer.id, why, "the answer to a command is lost");
            }
        });
        let taken = self.commands.signed(Some(place), publish.payload.to_vec(), publish.retain, reply);
        if let Err(why) = taken {
            tracing::warn!(topic = %name, why, "command refused");
        }
    }
}

/// Bed and verb of a topic.
fn place(name: &str) -> Option<(BedId, Verb)> {
    let (bed, leaf) = topic::split_any(name).ok()?;
    Some((bed, leaf.strip_prefix("cmd/")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_names_bed_and_verb() {
        let found = |name: &str| place(name).map(|(bed, verb)| (bed.to_string(), verb));
        assert_eq!(found("wardbeat/v1/s/u/b/cmd/ack"), Some(("s/u/b".into(), Verb::Ack)));
        assert_eq!(found("wardbeat/v1/s/_node/n/cmd/test"), Some(("s/_node/n".into(), Verb::Test)));
        for none in ["wardbeat/v1/s/u/b/cmd/off", "wardbeat/v1/s/u/b/cmd", "wardbeat/v1/s/u/b/state", "x"] {
            assert_eq!(found(none), None, "{none}");
        }
    }
}
