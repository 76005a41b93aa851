//! The desk: one thread that takes every command, in order, and answers it.
//!
//! Nothing happens before the command's id and counter are on disk, so that neither a restart nor a repeat acts twice:
//! a crash in between loses the command, and its sender, who got no answer, makes a new one.

use super::keys::Keys;
use super::signed::Signed;
use super::{Ask, Asks, From};
use crate::daemon::audit::Audit;
use crate::daemon::clock::Clock;
use crate::daemon::journal::{Asked, Journal, Order, Reader};
use crate::model::sha256_hex;
use contract::{AlertId, Answer, BedId, Command, MonoMs, Ruling, Status, UtcMs, Verb};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// The disk must take a mark within this, or the command is refused.
const DISK: Duration = Duration::from_secs(2);
/// How often unsent words are tried again.
const TICK: Duration = Duration::from_secs(1);
/// Commands without a right key that stand in the audit log one by one, within a minute; what is more is counted there,
/// so that a flood cannot fill the disk.
const REFUSED_A_MINUTE: u64 = 60;
const MINUTE_MS: u64 = 60_000;
/// Acknowledgements that wait for the broker; the oldest gives way.
const UNSAID_MAX: usize = 1_000;

/// Somebody has seen an alert: what is told to the ward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// The bed, or the node.
    pub bed: BedId,
    /// The alert.
    pub alert: AlertId,
    /// Its revision.
    pub rev: u32,
    /// Who.
    pub by: String,
    /// When.
    pub at: UtcMs,
}

/// Lets the bed, or the node, do what a person asked.
pub type Obey = Box<dyn FnMut(&BedId, &Command, &str) -> Ruling + Send>;

/// What the desk can do to the world.
pub struct Effects {
    /// Obeys.
    pub obey: Obey,
    /// Tells the ward that an alert was seen; whether it could be told now.
    pub tell: Box<dyn FnMut(&Acknowledged) -> bool + Send>,
}

/// The desk.
pub struct Desk {
    /// Where signed commands' keys stand; `None` = none is taken.
    pub keys_file: Option<PathBuf>,
    /// The journal.
    pub journal: Journal,
    /// Its reading end.
    pub reader: Reader,
    /// The audit log.
    pub audit: Audit,
    /// Time.
    pub clock: Clock,
    /// What it can do.
    pub effects: Effects,
    /// The highest counter of each key, as on disk.
    pub marks: BTreeMap<String, u64>,
    /// Acknowledgements that the ward has not been told yet.
    pub unsaid: VecDeque<Acknowledged>,
    /// Since when and how many commands without a right key were refused.
    pub refused: (MonoMs, u64),
}

/// One command as it goes to the audit log.
struct Taken {
    who: String,
    detail: Value,
    answer: Answer,
}

impl Desk {
    /// Answers until the door is closed.
    pub fn run(mut self, asks: &Asks) {
        let mut count = 0_u64;
        loop {
            match asks.recv_timeout(TICK) {
                Ok(Some(ask)) => {
                    count += 1;
                    self.serve(ask, count);
                }
                Ok(None) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            while self.unsaid.front().is_some_and(|ack| (self.effects.tell)(ack)) {
                self.unsaid.pop_front();
            }
        }
    }

    fn serve(&mut self, Ask { from, reply }: Ask, count: u64) {
        let now = self.clock.utc();
        let own = format!("{}-{count}", now.0);
        let kept = matches!(from, From::Signed { retained: true, .. });
        let taken = match from {
            From::Signed { topic, bytes, retained } => self.signed(topic.as_ref(), &bytes, retained, now),
            From::Person { by, bed, command } => {
                let detail = json!({"from": "terminal", "bed": bed, "verb": command.verb(), "args": command.args(&bed)});
                let answer = self.carry_out(&bed, &command, &by, now).answer(&own);
                Taken { who: by, detail, answer }
            }
            From::Sink { name, alert, by } => self.back(&name, alert, &by, &own, now),
        };
        self.write_down(&taken, now);
        if !kept {
            reply(&taken.answer);
        }
    }

    /// Counts a command without a right key; whether it still stands in the audit log by itself.
    fn stands_alone(&mut self, status: Status, now: UtcMs) -> bool {
        let (since, count) = self.refused;
        if self.clock.mono().since(since) >= MINUTE_MS {
            self.refused = (self.clock.mono(), 0);
            if count > REFUSED_A_MINUTE {
                let detail = json!({"more_refused": count - REFUSED_A_MINUTE});
                if let Err(e) = self.audit.append("command", "unknown", &detail, now) {
                    tracing::error!(fault = %e, "refused commands are not in the audit log");
                }
            }
        }
        let strange = matches!(status, Status::Denied | Status::Invalid);
        self.refused.1 += u64::from(strange);
        !strange || self.refused.1 <= REFUSED_A_MINUTE
    }

    /// Every command stands in the audit log, refused ones too.
    fn write_down(&mut self, taken: &Taken, now: UtcMs) {
        if !self.stands_alone(taken.answer.status, now) {
            return;
        }
        let Answer { id, status, why, .. } = &taken.answer;
        let mut detail = taken.detail.clone();
        detail["id"] = json!(id);
        detail["status"] = json!(status);
        if !why.is_empty() {
            detail["why"] = json!(why);
        }
        tracing::info!(who = taken.who, %detail, "command");
        if let Err(e) = self.audit.append("command", &taken.who, &detail, now) {
            tracing::error!(fault = %e, "a command is not in the audit log");
        }
    }

    fn signed(&mut self, topic: Option<&(BedId, Verb)>, bytes: &[u8], retained: bool, now: UtcMs) -> Taken {
        let from = if topic.is_some() { "mqtt" } else { "http" };
        let read = match Signed::read(bytes) {
            Ok(read) => read,
            Err(why) => {
                let detail = json!({"from": from, "bed": topic.map(|t| &t.0), "verb": topic.map(|t| t.1)});
                let answer = Ruling::refused(Status::Invalid, why).answer("");
                return Taken { who: "unknown".into(), detail, answer };
            }
        };
        let Signed { bed, verb, key, args, ctr, .. } = &read;
        let detail = json!({"from": from, "bed": bed, "verb": verb, "key": key, "ctr": ctr, "args": args});
        let answer = self.judge(topic, &read, &sha256_hex(bytes), retained, now);
        Taken { who: read.by, detail, answer }
    }

    /// Everything that must hold before a signed command is obeyed, in the order of what it may give away.
    fn judge(
        &mut self,
        topic: Option<&(BedId, Verb)>,
        read: &Signed,
        digest: &str,
        retained: bool,
        now: UtcMs,
    ) -> Answer {
        let refused = |status, why: &str| Ruling::refused(status, why).answer(&read.id);
        if retained {
            return refused(Status::Denied, "a retained command is of unknown age; publish without retain");
        }
        let Ok(verb) = read.verb.parse::<Verb>() else {
            return refused(Status::Invalid, "there is no such command");
        };
        if topic.is_some_and(|topic| *topic != (read.bed.clone(), verb)) {
            return refused(Status::Denied, "bed and verb are not those of the topic");
        }
        if let Err(why) = self.allowed(read, verb) {
            return refused(Status::Denied, why);
        }
        match self.reader.command(&read.id) {
            Ok(Some((before, answer))) => return stored(&read.id, digest == before, answer.as_deref()),
            Ok(None) => {}
            Err(e) => return refused(Status::Denied, &format!("the journal cannot be read: {e}")),
        }
        if !read.in_time(now) {
            return refused(Status::Expired, "its time is over, or its sender's clock is wrong");
        }
        if self.marks.get(&read.key).is_some_and(|mark| read.ctr <= *mark) {
            return refused(Status::Replayed, "its counter is not above the last one of this key");
        }
        let command = match Command::read(verb, &read.bed, &read.args) {
            Ok(command) => command,
            Err(e) => return refused(Status::Invalid, &e.0),
        };
        if !self.mark(read, digest, now) {
            return refused(Status::Denied, "it cannot be recorded: the disk takes nothing");
        }
        let answer = self.carry_out(&read.bed, &command, &read.by, now).answer(&read.id);
        let told = serde_json::to_string(&answer).unwrap_or_default();
        // Where the journal has no room the answer is lost and a repeat is told that it was interrupted.
        let _ = self.journal.put(Order::Answer { id: read.id.clone(), answer: told });
        let _ = self.journal.flush(DISK);
        answer
    }

    /// Whether the key may ask this and the signature is its own. One reason for all: who holds no key learns nothing.
    fn allowed(&self, read: &Signed, verb: Verb) -> Result<(), &'static str> {
        let Some(path) = &self.keys_file else { return Err("this node takes no signed commands") };
        let keys = Keys::read(path).map_err(|e| {
            tracing::error!(fault = %e, "keys cannot be read");
            "this node cannot read its keys"
        })?;
        let key = keys.find(&read.key).filter(|key| key.may(verb, &read.bed));
        let holds = key.and_then(|key| key.secret().ok()).is_some_and(|secret| read.holds(&secret));
        if holds { Ok(()) } else { Err("the key may not ask this, or the signature does not hold") }
    }

    /// Puts id and counter on disk; nothing happens before.
    fn mark(&mut self, read: &Signed, digest: &str, now: UtcMs) -> bool {
        let (id, key, ctr, digest) = (read.id.clone(), read.key.clone(), read.ctr, digest.to_owned());
        let put = self.journal.put(Order::Command { id, key, ctr, digest, at: now }).is_ok();
        // Also where the disk is too slow: it may have taken it all the same.
        self.marks.insert(read.key.clone(), ctr);
        put && self.journal.flush(DISK)
    }

    fn carry_out(&mut self, bed: &BedId, command: &Command, by: &str, now: UtcMs) -> Ruling {
        let verdict = (self.effects.obey)(bed, command, by);
        if verdict.status != Status::Applied {
            return verdict;
        }
        let alert =
            if let Command::Acknowledge { alert, .. } = command { alert.0.clone() } else { String::new() };
        let asked = Asked {
            at: now,
            bed: bed.to_string(),
            verb: command.verb(),
            by: by.into(),
            alert,
            args: command.args(bed),
        };
        if self.journal.put(Order::Asked(asked)).is_err() || !self.journal.flush(DISK) {
            tracing::error!(%bed, verb = %command.verb(), "a command took effect and is not on disk yet");
        }
        if let (Command::Acknowledge { alert, .. }, Some(rev)) = (command, verdict.rev) {
            let (bed, alert, by) = (bed.clone(), alert.clone(), by.into());
            self.unsaid.push_back(Acknowledged { bed, alert, rev, by, at: now });
            if self.unsaid.len() > UNSAID_MAX {
                self.unsaid.pop_front();
            }
        }
        verdict
    }

    /// A destination names the alert only: its bed stands in the journal.
    fn back(&mut self, name: &str, alert: AlertId, by: &str, id: &str, now: UtcMs) -> Taken {
        let detail = json!({"from": name, "verb": Verb::Ack, "alert": alert});
        let who = format!("{by} ({name})");
        let bed = match self.reader.find(&alert.0) {
            Ok(found) => found.and_then(|entry| BedId::new(&entry.alert.bed).ok()),
            Err(e) => {
                let answer =
                    Ruling::refused(Status::Denied, format!("the journal cannot be read: {e}")).answer(id);
                return Taken { who, detail, answer };
            }
        };
        let verdict = match bed {
            Some(bed) => self.carry_out(&bed, &Command::Acknowledge { alert, rev: None }, &who, now),
            None => Ruling::refused(Status::Unknown, "no such alert in the journal"),
        };
        Taken { who, detail, answer: verdict.answer(id) }
    }
}

/// The answer to an id that came before.
fn stored(id: &str, same: bool, answer: Option<&str>) -> Answer {
    if !same {
        return Ruling::refused(Status::Denied, "this id was used by another command").answer(id);
    }
    match answer.and_then(|told| serde_json::from_str::<Answer>(told).ok()) {
        Some(told) => Answer { status: Status::Stored, ..told },
        None => Ruling::refused(Status::Stored, "it was interrupted; make a new one").answer(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::command::keys::{Secret, read_own};
    use crate::daemon::command::{Commands, door};
    use crate::daemon::testing::alert;
    use contract::Phase;
    use std::path::Path;
    use std::sync::{Arc, Mutex};
    use std::thread::JoinHandle;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A desk over a folder, and what it let happen.
    struct Scene {
        commands: Commands,
        journal: Journal,
        desk: JoinHandle<()>,
        obeyed: Arc<Mutex<Vec<String>>>,
        told: Arc<Mutex<Vec<Acknowledged>>>,
        audit: Audit,
        secret: Secret,
    }

    fn bed(name: &str) -> BedId {
        BedId::new(name).expect("valid")
    }

    fn scene(folder: &Path) -> Scene {
        let (keys_file, own) = (folder.join("keys.json"), folder.join("console.key"));
        if !own.exists() {
            let may = [Verb::Ack, Verb::Pause, Verb::Mark];
            Keys::add(&keys_file, &own, ("console", &may, &["icu".into()]), UtcMs(0)).expect("a key");
        }
        let (journal, _) = Journal::open(&folder.join("j.sqlite"), &[]).expect("opens");
        let reader = journal.reader().expect("opens");
        let (commands, asks) = door(bed("s/_node/n"));
        let (obeyed, told) =
            (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<Vec<Acknowledged>>>::default());
        let (into, heard) = (obeyed.clone(), told.clone());
        let effects = Effects {
            obey: Box::new(move |bed, command, by| {
                into.lock().expect("whole").push(format!("{bed} {} {by}", command.verb()));
                Ruling::applied(matches!(command, Command::Acknowledge { .. }).then_some(3))
            }),
            tell: Box::new(move |ack| {
                heard.lock().expect("whole").push(ack.clone());
                true
            }),
        };
        let desk = Desk {
            keys_file: Some(keys_file),
            journal: journal.clone(),
            marks: reader.marks().expect("reads"),
            reader,
            audit: Audit::new(&folder.join("audit.jsonl")),
            clock: Clock::start(),
            effects,
            unsaid: VecDeque::new(),
            refused: (MonoMs(0), 0),
        };
        let (audit, desk) = (desk.audit.clone(), std::thread::spawn(move || desk.run(&asks)));
        Scene {
            commands,
            journal,
            desk,
            obeyed,
            told,
            audit,
            secret: read_own(&own).expect("its own file").1,
        }
    }

    impl Scene {
        fn signed(&self, id: &str, ctr: u64) -> Signed {
            let command = Command::Pause { minutes: 5, reason: "care".into() };
            let now = (Clock::start().utc(), 30);
            Signed::new(("console", &self.secret), "RN", (&bed("s/icu/b1"), &command), (id, ctr), now)
        }

        fn send(&self, signed: &Signed) -> Answer {
            self.send_as(signed, "s/icu/b1", false).expect("an answer")
        }

        fn send_as(&self, signed: &Signed, place: &str, retained: bool) -> Option<Answer> {
            let (into, answer) = std::sync::mpsc::sync_channel(1);
            let bytes = serde_json::to_vec(signed).expect("plain");
            let reply = Box::new(move |answer: &Answer| into.send(answer.clone()).expect("waits"));
            self.commands.signed(Some((bed(place), Verb::Pause)), bytes, retained, reply).expect("room");
            answer.recv_timeout(PATIENCE).ok()
        }

        fn obeyed(&self) -> Vec<String> {
            self.obeyed.lock().expect("whole").clone()
        }

        fn end(self) -> (u64, Vec<String>) {
            self.commands.close();
            self.desk.join().expect("ends");
            let obeyed = self.obeyed.lock().expect("whole").clone();
            (self.audit.verify().expect("the audit log holds").lines, obeyed)
        }
    }

    #[test]
    fn a_command_takes_effect_once_and_a_repeat_gets_the_stored_answer() {
        let folder = tempfile::tempdir().expect("folder");
        let scene = scene(folder.path());
        let first = scene.signed("a", 1);
        assert_eq!(scene.send(&first).status, Status::Applied);
        let again = scene.send(&first);
        assert_eq!((again.status, again.ok), (Status::Stored, true));
        let other = Signed { by: "somebody else".into(), ..first.clone() };
        assert_eq!(scene.send(&other).status, Status::Denied, "the same id with other bytes");
        assert_eq!(scene.send(&scene.signed("b", 1)).status, Status::Replayed, "the counter stands");
        assert_eq!(scene.send(&scene.signed("c", 2)).status, Status::Applied);
        let (lines, obeyed) = scene.end();
        assert_eq!(obeyed, ["s/icu/b1 pause RN"; 2]);
        assert_eq!(lines, 5, "every command is audited, refused ones too");
    }

    #[test]
    fn nothing_happens_on_what_must_be_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let scene = scene(folder.path());
        let good = || scene.signed("x", 9);
        let now_s = good().ts;
        let resigned = |bed_name: &str, command: Command, at_s: i64, ttl_s| {
            let key = ("console", &scene.secret);
            Signed::new(key, "RN", (&bed(bed_name), &command), ("x", 9), (UtcMs(at_s * 1_000), ttl_s))
        };
        let pause = |minutes| Command::Pause { minutes, reason: "care".into() };
        for (signed, wanted, what) in [
            (Signed { key: "nobody".into(), ..good() }, Status::Denied, "an unknown key"),
            (Signed { args: good().args.replace('5', "9"), ..good() }, Status::Denied, "altered"),
            (Signed { verb: "resume".into(), ..good() }, Status::Denied, "another verb than the topic's"),
            (Signed { verb: "off".into(), ..good() }, Status::Invalid, "no such verb"),
            (resigned("s/icu/b2", pause(5), now_s, 30), Status::Denied, "another bed than the topic's"),
            (resigned("s/icu/b1", pause(5), now_s - 40, 30), Status::Expired, "too old"),
            (resigned("s/icu/b1", pause(5), now_s + 60, 30), Status::Expired, "from the future"),
            (resigned("s/icu/b1", pause(5), now_s, 3_600), Status::Expired, "good for too long"),
            (resigned("s/icu/b1", pause(60), now_s, 30), Status::Invalid, "an hour's pause"),
        ] {
            let answer = scene.send(&signed);
            assert_eq!((answer.status, answer.ok), (wanted, false), "{what}: {answer:?}");
            assert!(!answer.why.is_empty(), "{what}");
        }
        let elsewhere = resigned("s/ccu/b1", pause(5), now_s, 30);
        assert_eq!(
            scene.send_as(&elsewhere, "s/ccu/b1", false).expect("an answer").status,
            Status::Denied,
            "another unit"
        );
        assert_eq!(scene.send_as(&good(), "s/icu/b1", true), None, "a retained command is not even answered");
        Keys::revoke(&folder.path().join("keys.json"), "console", UtcMs(1)).expect("revoked");
        assert_eq!(scene.send(&good()).status, Status::Denied, "a revoked key");
        let (lines, obeyed) = scene.end();
        assert_eq!((obeyed, lines), (Vec::new(), 12));
    }

    #[test]
    fn garbage_is_answered_and_breaks_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let scene = scene(folder.path());
        let place = || Some((bed("s/icu/b1"), Verb::Ack));
        for bytes in [&b""[..], b"{}", b"\xff\xfe", b"[[[[", &[b'{'; 9_000]] {
            let (into, answer) = std::sync::mpsc::sync_channel(1);
            let reply = Box::new(move |answer: &Answer| into.send(answer.status).expect("waits"));
            scene.commands.signed(place(), bytes.to_vec(), false, reply).expect("room");
            assert_eq!(answer.recv_timeout(PATIENCE).expect("an answer"), Status::Invalid);
        }
        assert_eq!(scene.send(&scene.signed("a", 1)).status, Status::Applied);
        assert_eq!(scene.end().0, 6);
    }

    #[test]
    fn a_flood_of_garbage_does_not_fill_the_audit_log() {
        let folder = tempfile::tempdir().expect("folder");
        let scene = scene(folder.path());
        for _ in 0..200 {
            let (into, answer) = std::sync::mpsc::sync_channel(1);
            let reply = Box::new(move |_: &Answer| into.send(()).expect("waits"));
            scene.commands.signed(None, b"garbage".to_vec(), false, reply).expect("room");
            answer.recv_timeout(PATIENCE).expect("an answer");
        }
        assert_eq!(scene.send(&scene.signed("a", 1)).status, Status::Applied);
        assert_eq!(scene.end().0, REFUSED_A_MINUTE + 1, "the right one stands there by itself");
    }

    #[test]
    fn a_restart_reopens_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let before = scene(folder.path());
        let first = before.signed("a", 7);
        assert_eq!(before.send(&first).status, Status::Applied);
        before.end();
        let after = scene(folder.path());
        assert_eq!(after.send(&first).status, Status::Stored);
        assert_eq!(after.send(&after.signed("b", 7)).status, Status::Replayed);
        assert_eq!(after.send(&after.signed("c", 8)).status, Status::Applied);
        assert_eq!(after.end().1, ["s/icu/b1 pause RN"]);
    }

    #[test]
    fn what_cannot_be_put_on_disk_takes_no_effect() {
        let folder = tempfile::tempdir().expect("folder");
        let scene = scene(folder.path());
        let other = rusqlite::Connection::open(folder.path().join("j.sqlite")).expect("opens");
        other.execute_batch("BEGIN IMMEDIATE").expect("locked");
        let signed = scene.signed("a", 1);
        let answer = scene.send(&signed);
        assert_eq!(answer.status, Status::Denied, "{answer:?}");
        assert!(scene.obeyed().is_empty());
        other.execute_batch("COMMIT").expect("unlocked");
        assert!(scene.journal.flush(PATIENCE));
        let again = scene.send(&signed);
        assert_eq!((again.status, again.ok), (Status::Stored, false), "it is on disk and was never obeyed");
        assert_eq!(scene.send(&scene.signed("b", 2)).status, Status::Applied);
        scene.end();
    }

    #[test]
    fn terminal_and_destinations_go_the_same_way() {
        let folder = tempfile::tempdir().expect("folder");
        let scene = scene(folder.path());
        let told = alert("25", 0, Phase::Start);
        scene.journal.put_waiting(Order::Alert(Box::new(told.clone()), UtcMs(1)));
        assert!(scene.journal.flush(PATIENCE));
        scene.commands.back("pager", told.id.clone(), "pager 12").expect("room");
        scene.commands.back("pager", AlertId("none".into()), "pager 12").expect("room");
        let command = Command::Acknowledge { alert: told.id, rev: Some(0) };
        let answer = scene.commands.act("RN", &bed("s/u/b"), command).wait(PATIENCE).expect("an answer");
        assert_eq!((answer.status, answer.rev), (Status::Applied, Some(3)));
        let heard = scene.told.clone();
        assert!(Clock::start().wait(PATIENCE, || heard.lock().expect("whole").len() == 2));
        assert_eq!(scene.obeyed(), ["s/u/b ack pager 12 (pager)", "s/u/b ack RN"]);
        assert_eq!(scene.end().0, 3);
    }
}
