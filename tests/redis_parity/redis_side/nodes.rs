//! Redis's nodes where XSETID went back over dead entries: brought to what our blocks are.
//!
//! Ours goes on in a new block there, and what lies above the new last ID is in no block any more.
//! Redis goes on in the node and keeps the dead entries in it.

use super::*;
use crate::op::{Cut, CutTo};
use crate::resp::NODE_ENTRIES;

/// What is known of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nodes {
    /// The highest ID of its entries, dead or alive, since it was last set back.
    top: EntryId,
    /// The next entry goes into a new node.
    fresh: bool,
    /// A node holds dead entries with IDs above those of later ones.
    mixed: bool,
}

fn cut_of(op: &mut Op) -> Option<(Name, &mut Option<Cut>)> {
    match op {
        Op::Add { key, cut, .. } => Some((key, cut)),
        _ => None,
    }
}

impl RedisSide {
    fn nodes(&mut self, key: &[u8]) -> &mut Nodes {
        self.nodes.entry(key.to_vec()).or_default()
    }

    /// XADD, into a new node where that is due.
    pub(super) fn add_to_node(&mut self, op: &Op) -> Reply {
        let mut op = op.clone();
        let Some((key, cut)) = cut_of(&mut op) else {
            unreachable!("not an XADD: {op:?}");
        };
        let Nodes { fresh, mixed, .. } = *self.nodes(key);
        // The trim comes behind: its limit depends on the size of nodes, and it takes another form.
        let valid = |cut: &mut Cut| cut.approximate || cut.limit.is_none();
        let trim = if fresh || mixed { cut.take_if(valid) } else { None };
        if fresh {
            self.limit_nodes(1);
        }
        let reply = self.plain(&op);
        if fresh {
            self.limit_nodes(NODE_ENTRIES);
        }
        if let Reply::Ids(ids) = &reply {
            let nodes = self.nodes(key);
            (nodes.top, nodes.fresh) = (ids[0], false);
            if let Some(cut) = trim {
                assert!(matches!(self.trim_nodes(key, cut), Reply::Int(_)));
            }
        }
        reply
    }

    fn limit_nodes(&mut self, entries: u32) {
        let entries = entries.to_string();
        let words: [&[u8]; 4] = [b"CONFIG", b"SET", b"stream-node-max-entries", entries.as_bytes()];
        assert_eq!(self.ask(&words), Value::Simple("OK".into()));
    }

    /// XTRIM. The length that an exact MINID leaves removes the same entries, and nodes in which
    /// nothing lives with them.
    pub(super) fn trim_nodes(&mut self, key: Name, mut cut: Cut) -> Reply {
        if let (true, CutTo::MinId(id), false) =
            (self.nodes(key).mixed, cut.to, cut.approximate || cut.limit.is_some())
        {
            let id = format!("{}-{}", id.ms, id.seq);
            let left = self.ask(&[b"XRANGE", key, id.as_bytes(), b"+"]);
            if let Value::Array(left) = left {
                cut.to = CutTo::MaxLen(left.len() as u64);
            }
        }
        self.plain(&Op::Trim { key, cut })
    }

    /// An approximate MINID looks at the last entry of a node, dead or not: exact where there are
    /// such ones.
    pub(super) fn without_dead_ends(&mut self, op: &Op) -> Op {
        let mut op = op.clone();
        let (key, cut) = match &mut op {
            Op::Add { key, cut: Some(cut), .. } | Op::Trim { key, cut } => (*key, cut),
            _ => return op,
        };
        if self.nodes(key).mixed && cut.approximate && matches!(cut.to, CutTo::MinId(_)) {
            (cut.approximate, cut.limit) = (false, None);
        }
        op
    }

    /// The last ID was set.
    pub(super) fn was_set(&mut self, key: &[u8], last: EntryId, length: u64) {
        let nodes = self.nodes(key);
        if last < nodes.top {
            nodes.top = last;
            if length > 0 {
                (nodes.fresh, nodes.mixed) = (true, true);
                self.met(dev::XSETID_ENDS_A_NODE);
            }
        }
    }

    /// What a call on the keys means for what is known of the streams.
    pub(super) fn keys_changed(&mut self, op: &Op, reply: &Reply) {
        let (to, known) = match (op, reply) {
            (Op::Remove { key }, Reply::Int(1)) => (key, Nodes::default()),
            (Op::Rename { from, to }, Reply::Ok) => {
                (to, self.nodes.remove(*from).unwrap_or_default())
            }
            (Op::Copy { to, .. }, Reply::Int(1)) => {
                // A copy has the entries that live.
                let newest = self.counts(to).and_then(|counts| counts.newest);
                (to, Nodes { top: newest.unwrap_or_default(), ..Nodes::default() })
            }
            _ => return,
        };
        self.nodes.insert(to.to_vec(), known);
    }
}
