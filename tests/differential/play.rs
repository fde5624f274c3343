//! Plays a script on both servers and compares what they say.

use crate::generate::{FUTURE_MS, Script, Step, makes_consumer};
use crate::masks;
use crate::reply::Reply;
use crate::server::Server;
use crate::side::{CLIENTS, Side, Words};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Two replies that should have been the same.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) step: usize,
    pub(crate) client: usize,
    pub(crate) words: Words,
    pub(crate) redis: String,
    pub(crate) ours: String,
}

/// What a connection is in the middle of.
#[derive(Clone, Default)]
struct State {
    /// The call that waits.
    blocked: Option<Words>,
    /// What was sent behind it.
    behind: Option<Words>,
    /// What a transaction holds so far.
    multi: Option<Vec<Words>>,
}

pub(crate) struct Player {
    redis: Side,
    ours: Side,
    states: Vec<State>,
    step: usize,
    /// How often which deviation was met, and how often which command was no error.
    met: BTreeMap<String, u64>,
    commands: BTreeMap<String, u64>,
    pub(crate) compared: u64,
    served: u64,
}

/// How the two servers go on after a command that may wait.
enum Outcome {
    Replied,
    Blocked,
}

/// What is to be done with a command before it is sent.
enum Adjusted {
    Skip,
    Send(Words),
}

fn upper(words: &Words, n: usize) -> Vec<u8> {
    words.get(n).map(|word| word.to_ascii_uppercase()).unwrap_or_default()
}

fn is(words: &Words, name: &[u8]) -> bool {
    upper(words, 0) == name
}

/// The time that a call wants to wait, if it may.
fn blocks(words: &Words) -> Option<i64> {
    let reads = is(words, b"XREAD") || is(words, b"XREADGROUP");
    let at = words.iter().rposition(|word| word.eq_ignore_ascii_case(b"BLOCK"))?;
    let text = std::str::from_utf8(words.get(at + 1)?).ok()?;
    text.parse().ok().filter(|_| reads)
}

/// 7.0.15 waits for the first of the positions that such a call has.
fn names_a_key_twice(words: &Words) -> bool {
    let Some(at) = words.iter().position(|word| word.eq_ignore_ascii_case(b"STREAMS")) else {
        return false;
    };
    let keys = words.get(at + 1..at + 1 + (words.len() - at) / 2).unwrap_or_default();
    keys.iter().enumerate().any(|(n, key)| keys.iter().take(n).any(|other| other == key))
}

/// Whether entries, groups or keys may go by a command.
fn loses(words: &Words) -> bool {
    let names: [&[u8]; 8] =
        [b"DEL", b"XDEL", b"XTRIM", b"RENAME", b"COPY", b"XSETID", b"EXPIREAT", b"PEXPIREAT"];
    let trims = |word: &Vec<u8>| {
        word.eq_ignore_ascii_case(b"MAXLEN") || word.eq_ignore_ascii_case(b"MINID")
    };
    names.contains(&upper(words, 0).as_slice())
        || (is(words, b"XADD") && words.iter().any(trims))
        || upper(words, 1) == b"DESTROY"
}

impl Player {
    pub(crate) fn new(redis: &Server, ours: &Server) -> Player {
        Player {
            redis: Side::new(redis),
            ours: Side::new(ours),
            states: vec![State::default(); CLIENTS],
            step: 0,
            met: BTreeMap::new(),
            commands: BTreeMap::new(),
            compared: 0,
            served: 0,
        }
    }

    pub(crate) fn play(&mut self, script: &Script) -> Result<(), Failure> {
        self.redis.clear(script);
        self.ours.clear(script);
        for (n, step) in script.steps.iter().enumerate() {
            self.step = n;
            match step {
                Step::Unblock { client, with_error } => self.unblock(*client, *with_error)?,
                Step::Command { client, words } => self.command(*client, words)?,
                Step::Burst { client, all } => self.burst(*client, all)?,
            }
        }
        self.step = script.steps.len();
        self.finish()
    }

    /// Releases everybody, and compares what there is.
    fn finish(&mut self) -> Result<(), Failure> {
        for client in 0..CLIENTS {
            self.unblock(client, false)?;
            if self.states[client].multi.is_some() {
                self.command(client, &crate::generate::of("DISCARD"))?;
            }
            self.command(client, &crate::generate::of("UNWATCH"))?;
        }
        for key in ["a", "b", "c", ""] {
            for line in ["XINFO STREAM # FULL COUNT 0", "XRANGE # - +", "XINFO GROUPS #"] {
                let mut words = crate::generate::of(line);
                for word in words.iter_mut().filter(|word| *word == b"#") {
                    *word = key.as_bytes().to_vec();
                }
                for client in [0, 1] {
                    self.command(client, &words)?;
                }
            }
        }
        Ok(())
    }

    fn met(&mut self, deviation: &str) {
        *self.met.entry(deviation.to_owned()).or_default() += 1;
    }

    fn any_blocked(&self) -> bool {
        self.states.iter().any(|state| state.blocked.is_some())
    }

    fn any_reads_as_group(&self) -> bool {
        let group = |words: &Words| is(words, b"XREADGROUP");
        self.states.iter().any(|state| state.blocked.as_ref().is_some_and(group))
    }

    /// What 7.0.15 does otherwise is not played where it would go on to show.
    fn adjust(&mut self, client: usize, words: &Words, unseen: bool) -> Adjusted {
        let in_multi = self.states[client].multi.is_some();
        let losing = |state: &State| state.multi.as_ref().is_some_and(|all| all.iter().any(loses));
        if in_multi && loses(words) && (self.any_blocked() || is(words, b"XSETID")) {
            return Adjusted::Skip;
        }
        if blocks(words).is_some() && !in_multi && self.states.iter().any(losing) {
            return Adjusted::Skip;
        }
        // 7.0.15 does not refuse times that it cannot count to, and its delivery counts wrap.
        let far = |word: &Vec<u8>| word == b"9223372036854775807";
        if (is(words, b"XCLAIM") && words.iter().any(far)) || blocks(words) == Some(i64::MAX) {
            return Adjusted::Skip;
        }
        if blocks(words).is_some() && names_a_key_twice(words) {
            return Adjusted::Skip;
        }
        if upper(words, 1) == b"DELCONSUMER" && self.any_reads_as_group() {
            return Adjusted::Skip;
        }
        if is(words, b"XSETID") && self.is_below_deleted(words) {
            self.met("xsetid-max-deleted");
            return Adjusted::Skip;
        }
        let mut words = words.clone();
        if is(&words, b"XADD")
            && let Some(at) = words.iter().position(|word| word == b"*")
            && (unseen || in_multi || !self.lies_in_future(&words))
        {
            words[at] = format!("{FUTURE_MS}-*").into_bytes();
        }
        Adjusted::Send(words)
    }

    fn fact(&mut self, words: &Words, field: &str) -> Option<(u64, u64)> {
        let key = words.get(1)?;
        let info = self.ours.control(&[b"XINFO", b"STREAM", key]);
        let text = info.get(field).ok()?.text().ok()?;
        let (ms, seq) = text.split_once('-')?;
        Some((ms.parse().ok()?, seq.parse().ok()?))
    }

    fn lies_in_future(&mut self, words: &Words) -> bool {
        self.fact(words, "last-generated-id").is_some_and(|(ms, _)| ms >= FUTURE_MS)
    }

    /// 7.0.15 does not look at the highest deleted ID.
    fn is_below_deleted(&mut self, words: &Words) -> bool {
        let deleted = self.fact(words, "max-deleted-entry-id").unwrap_or_default();
        let Some(text) = words.get(2).and_then(|word| std::str::from_utf8(word).ok()) else {
            return false;
        };
        let (ms, seq) = text.split_once('-').unwrap_or((text, "0"));
        let (Ok(ms), Ok(seq)) = (ms.parse(), seq.parse()) else {
            return deleted > (0, 0);
        };
        (ms, seq) < deleted
    }

    fn command(&mut self, client: usize, words: &Words) -> Result<(), Failure> {
        if self.states[client].blocked.is_some() {
            return Ok(());
        }
        let Adjusted::Send(words) = self.adjust(client, words, false) else {
            return Ok(());
        };
        self.redis.send(client, &words);
        self.ours.send(client, &words);
        let in_multi = self.states[client].multi.is_some();
        let waits = blocks(&words).filter(|_| !in_multi);
        if let Some(longest) = waits
            && !(1..10_000).contains(&longest)
            && matches!(self.outcome(client, &words)?, Outcome::Blocked)
        {
            self.appear(&words);
            self.states[client].blocked = Some(words);
            if self.step.is_multiple_of(3) {
                let behind = crate::generate::of("XLEN a");
                self.redis.send(client, &behind);
                self.ours.send(client, &behind);
                self.states[client].behind = Some(behind);
            }
            return Ok(());
        }
        let (redis, ours) = self.read(client, &words)?;
        self.compare(client, &words, &redis, &ours)?;
        self.note(client, &words, &ours);
        self.woken(&words)?;
        if is(&words, b"RENAME") || is(&words, b"COPY") {
            // Who waits for the name has looked at another stream.
            let waiting: Vec<Words> =
                self.states.iter().filter_map(|state| state.blocked.clone()).collect();
            waiting.iter().for_each(|words| self.appear(words));
        }
        Ok(())
    }

    /// Several commands in one write. None of them waits or begins a transaction.
    fn burst(&mut self, client: usize, all: &[Words]) -> Result<(), Failure> {
        if self.states[client].blocked.is_some() || self.states[client].multi.is_some() {
            return Ok(());
        }
        let mut sent: Vec<Words> = Vec::new();
        for words in all {
            let first = upper(words, 0);
            let left_out: [&[u8]; 4] = [b"MULTI", b"EXEC", b"DISCARD", b"XSETID"];
            if blocks(words).is_some()
                || left_out.contains(&first.as_slice())
                || (loses(words) && self.any_blocked())
            {
                continue;
            }
            if let Adjusted::Send(words) = self.adjust(client, words, true) {
                sent.push(words);
            }
        }
        self.redis.send_all(client, &sent);
        self.ours.send_all(client, &sent);
        for words in &sent {
            let (redis, ours) = self.read(client, words)?;
            self.compare(client, words, &redis, &ours)?;
            // The consumers were made within the burst, and may be gone by now.
            self.count(words, &ours);
        }
        match sent.last() {
            Some(last) => self.woken(last),
            None => Ok(()),
        }
    }

    fn failure(&self, client: usize, words: &Words, redis: String, ours: String) -> Failure {
        Failure { step: self.step, client, words: words.clone(), redis, ours }
    }

    fn read(&mut self, client: usize, words: &Words) -> Result<(Reply, Reply), Failure> {
        let (redis, ours) = (self.redis.read(client), self.ours.read(client));
        match (redis, ours) {
            (Ok(redis), Ok(ours)) => Ok((redis, ours)),
            (redis, ours) => {
                let told =
                    |reply: Result<Reply, String>| reply.map_or_else(|e| e, |r| r.to_string());
                Err(self.failure(client, words, told(redis), told(ours)))
            }
        }
    }

    /// Waits until it is clear whether a call waits.
    fn outcome(&mut self, client: usize, words: &Words) -> Result<Outcome, Failure> {
        let before = self.states.iter().filter(|state| state.blocked.is_some()).count();
        let waits = |side: &mut Side| {
            let deadline = Instant::now() + Duration::from_secs(20);
            while Instant::now() < deadline {
                if side.blocked() > before {
                    return true;
                }
                if side.has_reply(client) {
                    return false;
                }
            }
            false
        };
        match (waits(&mut self.redis), waits(&mut self.ours)) {
            (true, true) => Ok(Outcome::Blocked),
            (false, false) => Ok(Outcome::Replied),
            (true, false) => {
                let ours = self.ours.read(client).map_or_else(|e| e, |reply| reply.to_string());
                Err(self.failure(client, words, "waits".into(), ours))
            }
            (false, true) => {
                let redis = self.redis.read(client).map_or_else(|e| e, |reply| reply.to_string());
                Err(self.failure(client, words, redis, "waits".into()))
            }
        }
    }

    fn compare(
        &mut self,
        client: usize,
        words: &Words,
        redis: &Reply,
        ours: &Reply,
    ) -> Result<(), Failure> {
        self.compared += 1;
        let held = self.states[client].multi.clone().filter(|_| is(words, b"EXEC"));
        if let (Some(held), Reply::Array(redis), Reply::Array(ours)) = (held, redis, ours)
            && held.len() == redis.len()
            && redis.len() == ours.len()
        {
            for (words, (redis, ours)) in held.iter().zip(redis.iter().zip(ours)) {
                self.compare(client, words, redis, ours)?;
            }
            return Ok(());
        }
        if masks::masked(words, redis) == masks::masked(words, ours) {
            return Ok(());
        }
        match masks::explained(redis, ours) {
            Some(deviation) => {
                self.met(deviation);
                Ok(())
            }
            None => Err(self.failure(client, words, redis.to_string(), ours.to_string())),
        }
    }

    /// Whether a command was accepted.
    fn count(&mut self, words: &Words, ours: &Reply) -> bool {
        let good = !matches!(ours, Reply::Error(_));
        if good {
            let name = String::from_utf8_lossy(&upper(words, 0)).into_owned();
            *self.commands.entry(name).or_default() += 1;
        }
        good
    }

    /// What a reply has changed.
    fn note(&mut self, client: usize, words: &Words, ours: &Reply) {
        let good = self.count(words, ours);
        let state = &mut self.states[client];
        let queued = matches!(ours, Reply::Simple(text) if text == "QUEUED");
        match upper(words, 0).as_slice() {
            _ if queued => {
                if let Some(held) = &mut state.multi {
                    held.push(words.clone());
                }
            }
            b"MULTI" if good => state.multi = Some(Vec::new()),
            b"EXEC" | b"DISCARD" if words.len() == 1 => state.multi = None,
            _ if good => self.appear(words),
            _ => {}
        }
    }

    /// 7.0.15 makes a consumer only when it gets something.
    fn appear(&mut self, words: &Words) {
        for made in makes_consumer(words).into_iter().flatten() {
            let made: Vec<&[u8]> = made.iter().map(Vec::as_slice).collect();
            if self.redis.control(&made) == Reply::Int(1) {
                self.met("consumers-appear");
            }
        }
    }

    fn unblock(&mut self, client: usize, with_error: bool) -> Result<(), Failure> {
        let Some(words) = self.states[client].blocked.take() else {
            return Ok(());
        };
        let redis = self.redis.unblock(client, with_error);
        let ours = self.ours.unblock(client, with_error);
        self.compare(client, &words, &redis, &ours)?;
        let (redis, ours) = self.read(client, &words)?;
        self.compare(client, &words, &redis, &ours)?;
        self.behind(client)
    }

    /// A command that was sent behind a call that waited is run now.
    fn behind(&mut self, client: usize) -> Result<(), Failure> {
        let Some(words) = self.states[client].behind.take() else {
            return Ok(());
        };
        let (redis, ours) = self.read(client, &words)?;
        self.compare(client, &words, &redis, &ours)
    }

    /// Compares the replies of those who waited, after a command of somebody else.
    fn woken(&mut self, cause: &Words) -> Result<(), Failure> {
        loop {
            let waiting = self.states.iter().filter(|state| state.blocked.is_some()).count();
            if waiting == 0 {
                return Ok(());
            }
            let (redis, ours) = (self.redis.blocked(), self.ours.blocked());
            if redis == waiting && ours == waiting {
                return Ok(());
            }
            let deadline = Instant::now() + Duration::from_secs(5);
            while !self.take_woken()? {
                if Instant::now() > deadline {
                    let count = |n: usize| format!("{n} of {waiting} wait, and nobody is told");
                    return Err(self.failure(CLIENTS, cause, count(redis), count(ours)));
                }
            }
        }
    }

    /// Takes the replies of one client that was woken. `false` if there is none.
    fn take_woken(&mut self) -> Result<bool, Failure> {
        for client in 0..CLIENTS {
            let Some(words) = self.states[client].blocked.clone() else {
                continue;
            };
            let (redis, ours) = (self.redis.has_reply(client), self.ours.has_reply(client));
            if !redis && !ours {
                continue;
            }
            self.states[client].blocked = None;
            if redis && !ours {
                let reply = self
                    .redis
                    .read(client)
                    .map_err(|error| self.failure(client, &words, error, "waits".into()))?;
                // It may only be slow.
                if masks::gives_nothing(&reply) && !self.ours.has_reply(client) {
                    self.met("woken-for-nothing");
                    self.ours.unblock(client, false);
                    drop(self.ours.read(client));
                    self.behind(client)?;
                    return Ok(true);
                }
                let ours = self
                    .ours
                    .read(client)
                    .map_err(|error| self.failure(client, &words, reply.to_string(), error))?;
                self.served(client, &words, &reply, &ours)?;
                return Ok(true);
            }
            let (redis, ours) = self.read(client, &words)?;
            self.served(client, &words, &redis, &ours)?;
            return Ok(true);
        }
        Ok(false)
    }

    fn served(
        &mut self,
        client: usize,
        words: &Words,
        redis: &Reply,
        ours: &Reply,
    ) -> Result<(), Failure> {
        self.served += 1;
        if is(words, b"XREAD") && masks::is_part(redis, ours) {
            self.met("served-from-one-key");
        } else {
            self.compare(client, words, redis, ours)?;
        }
        self.behind(client)
    }

    pub(crate) fn summary(&self) -> String {
        format!(
            "{} replies compared, {} of waiting calls\nnot refused: {:?}\ndeviations met: {:?}",
            self.compared, self.served, self.commands, self.met
        )
    }

    /// A run in which nothing happens compares nothing.
    pub(crate) fn check_coverage(&self) {
        let names = [
            "XADD",
            "XREAD",
            "XREADGROUP",
            "XACK",
            "XGROUP",
            "XPENDING",
            "XCLAIM",
            "XAUTOCLAIM",
            "XDEL",
            "XTRIM",
            "XRANGE",
            "XREVRANGE",
            "XLEN",
            "XINFO",
            "XSETID",
            "EXEC",
            "RENAME",
            "COPY",
            "DEL",
        ];
        let times = self.compared / 2000;
        for name in names {
            let count = self.commands.get(name).copied().unwrap_or(0);
            assert!(count >= times, "{name} was accepted {count} times only");
        }
        assert!(self.served >= times, "{} waiting calls were served", self.served);
    }
}
