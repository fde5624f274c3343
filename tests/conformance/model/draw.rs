//! Which command comes next, what it does to the model, and what it is to answer.

use super::state::{Id, MOST, Model, Record, shown, text};

pub(super) enum Step {
    Asked { command: String, expected: String },
    Reload,
}

impl Step {
    pub(super) fn command(&self) -> &str {
        match self {
            Step::Asked { command, .. } => command,
            Step::Reload => "DEBUG RELOAD",
        }
    }
}

fn asked(command: String, expected: impl Into<String>) -> Option<Step> {
    Some(Step::Asked { command, expected: expected.into() })
}

fn array(parts: &[String]) -> String {
    format!("[{}]", parts.join(" "))
}

fn numbers(codes: &[i64]) -> String {
    array(&codes.iter().map(|code| format!(":{code}")).collect::<Vec<_>>())
}

fn words(ids: &[Id]) -> String {
    ids.iter().map(|id| text(*id)).collect::<Vec<_>>().join(" ")
}

/// Numbers that look as if they were random.
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    /// SplitMix64.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }

    fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }

    pub(super) fn one<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize].clone()
    }

    /// Mostly of entries that live or are pending; the same one may come again.
    fn ids(&mut self, model: &Model, most: u64) -> Vec<Id> {
        let pending = model.groups.values().flat_map(|group| group.pending.keys());
        let known: Vec<Id> = model.entries.iter().chain(pending).copied().collect();
        (0..1 + self.below(most))
            .map(|_| match !known.is_empty() && self.percent(85) {
                true => self.one(&known),
                false => (1 + self.below(model.last.0 + 3), 0),
            })
            .collect()
    }

    fn group(&mut self, model: &Model) -> Option<String> {
        let names: Vec<_> = model.groups.keys().cloned().collect();
        (!names.is_empty()).then(|| self.one(&names))
    }

    /// `None` where there is nothing to be done.
    pub(super) fn step(&mut self, model: &mut Model) -> Option<Step> {
        let consumer = self.one(&["a", "b", "c"]);
        match self.below(100) {
            0..16 => Draw::add(self, model),
            16..24 => {
                let group = self.group(model)?;
                self.read(model, &group, consumer, false)
            }
            24..40 => {
                let group = self.group(model)?;
                self.read(model, &group, consumer, true)
            }
            40..44 => self.history(model, consumer),
            44..49 => self.ack(model),
            49..62 => self.nack(model),
            62..69 => self.claim(model, consumer),
            69..75 => self.auto_claim(model, consumer),
            75..78 => self.delete(model),
            78..83 => self.delete_ex(model),
            83..89 => self.ack_delete(model),
            89..92 => self.trim(model),
            92..95 => self.move_cursor(model),
            95..97 => self.groups(model),
            97..98 => self.remove_consumer(model, consumer),
            98..99 => Some(Step::Reload),
            _ => self.pending(model),
        }
    }

    fn add(&mut self, model: &mut Model) -> Option<Step> {
        let id = (model.last.0 + 1 + self.below(2), 0);
        model.entries.insert(id);
        model.last = id;
        model.added += 1;
        asked(format!("XADD s {} f {}", text(id), id.0), text(id))
    }

    fn read(&mut self, m: &mut Model, group: &str, consumer: &str, claims: bool) -> Option<Step> {
        let count = self.one(&[0, 0, 1, 2, 3]);
        let all = self.one(&[0, 0, 0, 3, 5]);
        let no_ack = self.percent(15);
        // Ages are 0, a thousand and two thousand seconds, and the test takes less than 500.
        let idle = self.one(&[0, 0, 0, 500_000, 1_500_000, MOST as u64]);
        let mut command = format!("XREADGROUP GROUP {group} {consumer}");
        for (word, value) in [("COUNT", count), ("MAXCOUNT", all)] {
            if value > 0 {
                command += &format!(" {word} {value}");
            }
        }
        command += if no_ack { " NOACK" } else { "" };
        if claims {
            command += &format!(" CLAIM {idle}");
        }
        command += " STREAMS s >";
        let limit = |limit| if limit == 0 { usize::MAX } else { limit };
        let most = limit(count).min(limit(all));
        let mut rows = Vec::new();
        if claims {
            let due = m.claimable(group);
            let old = |id: &Id| match m.groups[group].pending[id].owner {
                None => idle < MOST as u64,
                Some(_) => m.groups[group].pending[id].age >= idle,
            };
            let due: Vec<Id> = due.into_iter().filter(old).take(most).collect();
            rows = m.claim(group, consumer, &due);
        }
        let new = m.deliver(group, consumer, most - rows.len(), no_ack);
        rows.extend(new.iter().map(|id| shown(*id, claims.then_some(":0 :0"))));
        let streams =
            if rows.is_empty() { "nil*".into() } else { format!("[[s {}]]", array(&rows)) };
        asked(command, streams)
    }

    fn history(&mut self, model: &mut Model, consumer: &str) -> Option<Step> {
        let name = self.group(model)?;
        let turns: Vec<u64> = (0..100).map(|_| model.next_turn()).collect();
        let group = model.groups.get_mut(&name)?;
        group.consumers.insert(consumer.to_owned());
        let count = self.one(&[1, 3, 100]);
        let own = |record: &Record| record.owner.as_deref() == Some(consumer);
        let own = group.pending.iter_mut().filter(|(_, record)| own(record)).take(count);
        let mut rows = Vec::new();
        for ((id, record), turn) in own.zip(turns) {
            if !model.entries.contains(id) {
                rows.push(format!("[{} nil*]", text(*id)));
                continue;
            }
            rows.push(shown(*id, None));
            (record.count, record.age) = (record.count.saturating_add(1), 0);
            record.turn = turn;
        }
        let command = format!("XREADGROUP GROUP {name} {consumer} COUNT {count} STREAMS s 0");
        asked(command, format!("[[s {}]]", array(&rows)))
    }

    fn ack(&mut self, model: &mut Model) -> Option<Step> {
        let (name, ids) = (self.group(model)?, self.ids(model, 4));
        let pending = &mut model.groups.get_mut(&name)?.pending;
        let acked = ids.iter().filter(|id| pending.remove(id).is_some()).count();
        asked(format!("XACK s {name} {}", words(&ids)), format!(":{acked}"))
    }

    fn nack(&mut self, model: &mut Model) -> Option<Step> {
        let (name, ids) = (self.group(model)?, self.ids(model, 5));
        let mode = self.one(&["SILENT", "FAIL", "FATAL"]);
        let retry = self.one(&[None, None, None, Some(0), Some(3), Some(MOST)]);
        let force = self.percent(30);
        let mut released = 0;
        for id in &ids {
            let (turn, lives) = (model.next_turn(), model.entries.contains(id));
            let pending = &mut model.groups.get_mut(&name)?.pending;
            let known = pending.get(id).map(|record| record.count);
            let count = match (known, retry, mode) {
                (None, ..) if !force || !lives => continue,
                (_, Some(count), _) => count,
                (_, None, "FATAL") => MOST,
                (Some(count), None, "SILENT") => (count - 1).max(0),
                (known, None, _) => known.unwrap_or(0),
            };
            pending.insert(*id, Record { owner: None, count, age: 0, turn });
            released += 1;
        }
        let retry = retry.map(|count| format!(" RETRYCOUNT {count}")).unwrap_or_default();
        let force = if force { " FORCE" } else { "" };
        let ids = format!(" IDS {} {}", ids.len(), words(&ids));
        let options = match self.percent(50) {
            true => format!("{retry}{force}{ids}"),
            false => format!("{ids}{force}{retry}"),
        };
        asked(format!("XNACK s {name} {mode}{options}"), format!(":{released}"))
    }

    fn claim(&mut self, model: &mut Model, consumer: &str) -> Option<Step> {
        let (name, ids) = (self.group(model)?, self.ids(model, 4));
        let idle = self.one(&[0, 0, 0, MOST]);
        let age = self.one(&[0, 0, 1_000_000, 2_000_000]);
        let retry = self.one(&[None, None, Some(0), Some(5), Some(MOST)]);
        let (force, just_id) = (self.percent(30), self.percent(40));
        model.groups.get_mut(&name)?.consumers.insert(consumer.to_owned());
        let mut rows = Vec::new();
        for id in &ids {
            let (turn, lives) = (model.next_turn(), model.entries.contains(id));
            let pending = &mut model.groups.get_mut(&name)?.pending;
            if !lives {
                pending.remove(id);
                continue;
            }
            let known = pending.get(id).map(|record| (record.count, record.owner.is_some()));
            let count = match known {
                None if !force => continue,
                Some((_, true)) if idle > 0 => continue,
                known => known.map_or(1, |(count, _)| count),
            };
            let more = if just_id { count } else { count.saturating_add(1) };
            let (owner, count) = (Some(consumer.to_owned()), retry.unwrap_or(more));
            pending.insert(*id, Record { owner, count, age, turn });
            rows.push(if just_id { text(*id) } else { shown(*id, None) });
        }
        let mut command = format!("XCLAIM s {name} {consumer} {idle} {} IDLE {age}", words(&ids));
        command += &retry.map(|count| format!(" RETRYCOUNT {count}")).unwrap_or_default();
        command += if force { " FORCE" } else { "" };
        command += if just_id { " JUSTID" } else { "" };
        asked(command, array(&rows))
    }

    fn auto_claim(&mut self, model: &mut Model, consumer: &str) -> Option<Step> {
        let name = self.group(model)?;
        let start = self.ids(model, 1)[0];
        let count = self.one(&[1, 2, 3, 100]);
        let idle = self.one(&[0, 0, MOST]);
        let just_id = self.percent(40);
        let group = model.groups.get_mut(&name)?;
        group.consumers.insert(consumer.to_owned());
        let all: Vec<Id> = group.pending.range(start..).map(|(id, _)| *id).collect();
        let (mut rows, mut gone, mut next) = (Vec::new(), Vec::new(), (0, 0));
        for (looked, id) in all.into_iter().enumerate() {
            if rows.len() + gone.len() == count || looked == 10 * count {
                next = id;
                break;
            }
            let (turn, lives) = (model.next_turn(), model.entries.contains(&id));
            let pending = &mut model.groups.get_mut(&name)?.pending;
            if !lives {
                pending.remove(&id);
                gone.push(text(id));
                continue;
            }
            let record = pending.get_mut(&id)?;
            if record.owner.is_some() && idle > 0 {
                continue;
            }
            let count = if just_id { record.count } else { record.count.saturating_add(1) };
            *record = Record { owner: Some(consumer.to_owned()), count, age: 0, turn };
            rows.push(if just_id { text(id) } else { shown(id, None) });
        }
        let mut command = format!("XAUTOCLAIM s {name} {consumer} {idle} {}", text(start));
        command += &format!(" COUNT {count}");
        command += if just_id { " JUSTID" } else { "" };
        asked(command, format!("[{} {} {}]", text(next), array(&rows), array(&gone)))
    }

    fn delete(&mut self, model: &mut Model) -> Option<Step> {
        let ids = self.ids(model, 3);
        let deleted = ids.iter().filter(|id| model.delete(**id)).count();
        asked(format!("XDEL s {}", words(&ids)), format!(":{deleted}"))
    }

    fn policy(&mut self) -> &'static str {
        self.one(&["KEEPREF", "DELREF", "ACKED"])
    }

    fn delete_ex(&mut self, model: &mut Model) -> Option<Step> {
        let (ids, policy) = (self.ids(model, 4), self.policy());
        let mut codes = Vec::new();
        for id in &ids {
            if policy == "ACKED" && model.is_referenced(*id) {
                codes.push(2);
                continue;
            }
            if policy == "DELREF" {
                model.forget(*id);
            }
            codes.push(if model.delete(*id) { 1 } else { -1 });
        }
        let command = format!("XDELEX s {policy} IDS {} {}", ids.len(), words(&ids));
        asked(command, numbers(&codes))
    }

    fn ack_delete(&mut self, model: &mut Model) -> Option<Step> {
        let (name, ids, policy) = (self.group(model)?, self.ids(model, 4), self.policy());
        let mut codes = Vec::new();
        for id in &ids {
            if model.groups.get_mut(&name)?.pending.remove(id).is_none() {
                codes.push(-1);
                continue;
            }
            if policy == "ACKED" && model.is_referenced(*id) {
                codes.push(2);
                continue;
            }
            if policy == "DELREF" {
                model.forget(*id);
            }
            model.delete(*id);
            codes.push(1);
        }
        let command = format!("XACKDEL s {name} IDS {} {} {policy}", ids.len(), words(&ids));
        asked(command, numbers(&codes))
    }

    fn trim(&mut self, model: &mut Model) -> Option<Step> {
        let length = model.entries.len().saturating_sub(self.below(4) as usize);
        let policy = self.one(&["", "KEEPREF", "DELREF"]);
        let mut removed = 0;
        while model.entries.len() > length {
            let id = model.entries.pop_first()?;
            if policy == "DELREF" {
                model.forget(id);
            }
            removed += 1;
        }
        asked(format!("XTRIM s MAXLEN {length} {policy}"), format!(":{removed}"))
    }

    fn move_cursor(&mut self, model: &mut Model) -> Option<Step> {
        let (name, some) = (self.group(model)?, self.ids(model, 1)[0]);
        let (word, id) = self.one(&[
            ("-".to_owned(), (0, 0)),
            ("+".to_owned(), (u64::MAX, u64::MAX)),
            ("$".to_owned(), model.last),
            (text(some), some),
        ]);
        let read = self.one(&[None, None, Some(0), Some(model.added), Some(model.added + 5)]);
        let group = model.groups.get_mut(&name)?;
        (group.last, group.read) = (id, read.map(|read| read.min(model.added)));
        let read = read.map(|read| format!(" ENTRIESREAD {read}")).unwrap_or_default();
        asked(format!("XGROUP SETID s {name} {word}{read}"), "+OK")
    }

    fn groups(&mut self, model: &mut Model) -> Option<Step> {
        let name = self.one(&["g0", "g1", "g2"]);
        if model.groups.contains_key(name) {
            if self.percent(50) {
                return None;
            }
            model.groups.remove(name);
            return asked(format!("XGROUP DESTROY s {name}"), ":1");
        }
        let (word, last) = self.one(&[("0", (0, 0)), ("$", model.last)]);
        model.create(name, last);
        asked(format!("XGROUP CREATE s {name} {word}"), "+OK")
    }

    fn remove_consumer(&mut self, model: &mut Model, consumer: &str) -> Option<Step> {
        let name = self.group(model)?;
        let group = model.groups.get_mut(&name)?;
        let before = group.pending.len();
        group.pending.retain(|_, record| record.owner.as_deref() != Some(consumer));
        group.consumers.remove(consumer);
        let lost = before - group.pending.len();
        asked(format!("XGROUP DELCONSUMER s {name} {consumer}"), format!(":{lost}"))
    }

    fn pending(&mut self, model: &mut Model) -> Option<Step> {
        let name = self.group(model)?;
        let idle = self.one(&[0, 500_000, 1_500_000, MOST as u64]);
        let rows: Vec<_> = model.groups[&name]
            .pending
            .iter()
            .filter(|(_, record)| record.owner.is_none() || record.age >= idle)
            .map(|(id, record)| match &record.owner {
                None => format!("[{} \"\" :-1 :{}]", text(*id), record.count),
                Some(owner) => {
                    let (least, most) = (record.age, record.age + 500_000);
                    format!("[{} {owner} :{least}..{most} :{}]", text(*id), record.count)
                }
            })
            .take(7)
            .collect();
        asked(format!("XPENDING s {name} IDLE {idle} - + 7"), array(&rows))
    }
}
