//! What was there after each command, how much of it clients know, and whether a store that was
//! recovered may be what a cut of the power has left.
//!
//! The model has no rules of streams: it is the live store, looked at after each command. Of every
//! stream there are the states from the last one that a client was told of to the last one of all.
//! Each part of a recovered stream (a name, an entry, a pending entry and so on) has to be as in
//! one of these. Whether parts of several states may come together is the simulator's to judge.

use super::view::{GroupLife, Life, View};
use crate::EntryId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

#[derive(Debug, Default)]
pub struct History {
    /// After each command; the first is what was there before.
    views: Vec<View>,
    /// Which of the views a client knows, at least, by streams.
    told: BTreeMap<u64, usize>,
}

/// What a reply tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    Keys(BTreeSet<Vec<u8>>),
    /// All keys there are.
    All,
}

impl Scope {
    pub fn none() -> Scope {
        Scope::Keys(BTreeSet::new())
    }

    pub fn is_some(&self) -> bool {
        *self != Scope::none()
    }

    pub fn extend(&mut self, more: Scope) {
        match (&mut *self, more) {
            (Scope::Keys(keys), Scope::Keys(more)) => keys.extend(more),
            _ => *self = Scope::All,
        }
    }
}

impl History {
    pub fn new(first: View) -> History {
        History { views: vec![first], told: BTreeMap::new() }
    }

    pub fn add(&mut self, view: View) {
        self.views.push(view);
    }

    /// The number of the last view.
    pub fn now(&self) -> usize {
        self.views.len() - 1
    }

    pub fn last(&self) -> &View {
        &self.views[self.now()]
    }

    /// The one before.
    pub fn before(&self) -> &View {
        &self.views[self.now().saturating_sub(1)]
    }

    fn lives(&self) -> BTreeSet<u64> {
        self.views.iter().flat_map(BTreeMap::keys).copied().collect()
    }

    /// A reply was sent that was written behind the view with this number.
    pub fn tell(&mut self, scope: &Scope, number: usize) {
        for life in self.lives() {
            let known = match scope {
                Scope::All => Some(number),
                Scope::Keys(keys) => self.last_under(life, keys, number),
            };
            if let Some(known) = known {
                let told = self.told.entry(life).or_default();
                *told = known.max(*told);
            }
        }
    }

    /// The last view up to `number` at which the stream had one of these names, or lost it.
    fn last_under(&self, life: u64, keys: &BTreeSet<Vec<u8>>, number: usize) -> Option<usize> {
        let had = |view: usize| self.views[view].get(&life).is_some_and(|l| keys.contains(&l.name));
        (0..=number).rev().find(|view| had(*view) || *view > 0 && had(*view - 1))
    }

    /// What is wrong with a recovered store, if something is.
    pub fn check(&self, found: &View) -> Result<(), String> {
        for life in self.lives() {
            let from = self.told.get(&life).copied().unwrap_or_default();
            let all: Vec<Option<&Life>> =
                self.views[from..].iter().map(|view| view.get(&life)).collect();
            let there: Vec<&Life> = all.iter().copied().flatten().collect();
            let about = |what: String| format!("stream {life}: {what}");
            match found.get(&life) {
                None if there.len() == all.len() => {
                    return Err(about("it is gone, and clients know of it".to_owned()));
                }
                None => {}
                Some(_) if there.is_empty() => {
                    return Err(about("it is back, and clients know that it went".to_owned()));
                }
                Some(found) => {
                    // One that clients do not know of yet may have been made, and no more.
                    let unborn = all[0]
                        .is_none()
                        .then(|| Life { name: there[0].name.clone(), ..Life::default() });
                    let states: Vec<&Life> = unborn.iter().chain(there).collect();
                    check_life(found, &states).map_err(about)?;
                }
            }
        }
        let lives = self.lives();
        match found.keys().find(|life| !lives.contains(life)) {
            Some(life) => Err(format!("nobody has made stream {life}")),
            None => Ok(()),
        }
    }
}

fn check_life(found: &Life, states: &[&Life]) -> Result<(), String> {
    among("its name", &found.name, states.iter().map(|state| &state.name))?;
    among("when it goes", &found.expires, states.iter().map(|state| &state.expires))?;
    within("its last ID", found.last_id, states.iter().map(|state| state.last_id))?;
    within("how much was added", found.added, states.iter().map(|state| state.added))?;
    let entries: Vec<_> = states.iter().map(|state| &state.entries).collect();
    each("entry", &found.entries, &entries)?;
    let groups: Vec<_> = states.iter().map(|state| &state.groups).collect();
    let names = |groups: &BTreeMap<Vec<u8>, GroupLife>| {
        groups.keys().map(|name| (name.clone(), ())).collect::<BTreeMap<_, _>>()
    };
    let all: Vec<_> = groups.iter().map(|groups| names(groups)).collect();
    each("group", &names(&found.groups), &all.iter().collect::<Vec<_>>())?;
    for (name, group) in &found.groups {
        let none = GroupLife::default();
        let states = groups.iter().map(|groups| groups.get(name).unwrap_or(&none));
        let checked = check_group(group, &states.collect::<Vec<_>>());
        checked.map_err(|what| format!("group {}: {what}", name.escape_ascii()))?;
    }
    Ok(())
}

fn check_group(found: &GroupLife, states: &[&GroupLife]) -> Result<(), String> {
    // One that lay beyond the end of the log was set back to it.
    within("its position", found.cursor, states.iter().map(|state| state.cursor))?;
    let pending: Vec<_> = states.iter().map(|state| &state.pending).collect();
    each("pending entry", &found.pending, &pending)?;
    let known = |group: &GroupLife| {
        group.consumers.iter().map(|name| (name.clone(), ())).collect::<BTreeMap<_, _>>()
    };
    let all: Vec<_> = states.iter().map(|state| known(state)).collect();
    each("consumer", &known(found), &all.iter().collect::<Vec<_>>())
}

/// Each element is as in one of the states, and there if it is in all of them.
fn each<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    found: &BTreeMap<K, V>,
    states: &[&BTreeMap<K, V>],
) -> Result<(), String> {
    let keys: BTreeSet<&K> = states.iter().flat_map(|state| state.keys()).collect();
    if let Some(key) = found.keys().find(|key| !keys.contains(key)) {
        return Err(format!("{what} {key:?} was not there any more, or never"));
    }
    for key in keys {
        let now = found.get(key);
        if !states.iter().any(|state| state.get(key) == now) {
            let known = states.iter().map(|state| state.get(key)).next();
            return Err(format!("{what} {key:?} is {now:?}, and clients know of {known:?}"));
        }
    }
    Ok(())
}

fn among<'a, T: PartialEq + Debug + 'a>(
    what: &str,
    found: &T,
    mut states: impl Iterator<Item = &'a T>,
) -> Result<(), String> {
    match states.any(|state| state == found) {
        true => Ok(()),
        false => Err(format!("{what} is {found:?}, and clients know better")),
    }
}

fn within<T: Ord + Copy + Debug>(
    what: &str,
    found: T,
    states: impl Iterator<Item = T> + Clone,
) -> Result<(), String> {
    let (least, most) = (states.clone().min(), states.max());
    match Some(found) >= least && Some(found) <= most {
        true => Ok(()),
        false => Err(format!("{what} is {found:?}, and not from {least:?} to {most:?}")),
    }
}

/// Lines of a reply that are IDs.
pub fn ids_in(reply: &[u8]) -> Vec<EntryId> {
    let lines = reply.split(|byte| *byte == b'\n');
    let texts = lines.filter_map(|line| std::str::from_utf8(line).ok());
    let dashed = texts.filter(|text| text.contains('-'));
    dashed.filter_map(|text| text.trim_end().parse().ok()).collect()
}
