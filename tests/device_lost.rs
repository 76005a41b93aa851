//! A GPU that is lost in mid-run, through the whole daemon: the CPU goes on without a gap, and one alert says so.

mod ward;

use candle_core::Device;
use std::sync::Arc;
use ward::{Listener, Monitor, PATIENCE, Voice, settings, until};
use wardbeat::daemon;
use wardbeat::model::{Bundle, CandleEngine, Engine, Fallback, LeadMask, ModelError, Stream, Work};

/// A device that answers so many calls and is then gone.
struct Loses {
    inner: CandleEngine,
    calls: usize,
}

impl Engine for Loses {
    fn family(&self) -> &'static str {
        "cuda"
    }
    fn open(&self, mask: LeadMask) -> Stream {
        self.inner.open(mask)
    }
    fn advance(&mut self, work: &mut [Work<'_>]) -> Result<(), ModelError> {
        if self.calls == 0 {
            return Err(ModelError::Device("the driver does not answer".into()));
        }
        self.calls -= 1;
        self.inner.advance(work)
    }
}

#[test]
fn the_cpu_goes_on_without_a_gap_and_a_technical_alert_about_the_node_says_so() {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = Arc::new(Bundle::tiny(7));
    let inner = CandleEngine::new(bundle.manifest.network.clone(), &bundle.weights, Device::Cpu);
    let device = Box::new(Loses { inner: inner.expect("arrays fit"), calls: 8 });
    let engine = Box::new(Fallback::new(device, &bundle));
    let listener = Listener::new(broker.port(), "listener", "wardbeat/v1/#");
    let running =
        daemon::start_on(settings(broker.port(), folder.path()), bundle, vec![engine]).expect("starts");
    assert!(running.joined(PATIENCE), "the daemon does not join");
    let status = || listener.json("/_node/node-a/status").pop().map(|(_, told)| told);
    until("a status that names the device", || status().is_some_and(|told| told["engine"] == "cuda"));

    let voice = Voice::new(broker.port(), "monitor");
    let mut monitor = Monitor::new("b01", 4);
    let heard = || listener.json("/b01/state");
    for second in 1..=24 {
        voice.say(&monitor.topic(), monitor.frame());
        // One hop a call, so that the device is lost in the middle of the stream.
        until("the window", || heard().len() + 1 >= second);
    }
    let not_read: Vec<_> = heard().into_iter().filter_map(|(_, s)| s.get("not_read").cloned()).collect();
    assert!(not_read.iter().all(|why| why == "warming"), "{not_read:?}");
    assert!(not_read.len() < 6, "only the start of the stream is warming: {not_read:?}");

    let topic = "wardbeat/v1/site1/_node/node-a/alert/WB-NODE";
    until("the alert", || listener.last(topic).is_some_and(|p| !p.payload.is_empty()));
    let alert: serde_json::Value =
        serde_json::from_slice(&listener.last(topic).expect("there").payload).expect("JSON");
    assert_eq!((&alert["class"], &alert["phase"]), (&"technical".into(), &"start".into()));
    assert!(alert["text"].as_str().is_some_and(|text| text.contains("GPU is lost")), "{alert}");
    until("the status names the engine in its place", || {
        status().is_some_and(|told| told["engine"].as_str().is_some_and(|e| e.starts_with("cpu")))
    });
}
