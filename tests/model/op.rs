//! The operations that are played, as plain values that shrink, and how they are chosen.
//!
//! An operation names IDs by what they are to the stream ([`Pick`]), not by their numbers: so it
//! still means something when shrinking has taken away those before it.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use streamlog::{NackMode, RefPolicy};

pub(crate) const STREAMS: [&str; 3] = ["a", "b", "c"];
pub(crate) const GROUPS: [&str; 2] = ["g", "h"];
pub(crate) const CONSUMERS: [&str; 3] = ["x", "y", "z"];

/// How a store is opened and how its streams are laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) level: Level,
    pub(crate) segments: u8,
    pub(crate) block_entries: u32,
    pub(crate) block_bytes: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    Manual,
    Often,
    Always,
}

/// An ID, by what it is to the stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pick {
    /// One that lives.
    Live(u8),
    /// One that lived once.
    Gone(u8),
    /// One that is pending in some group, be its entry there or not.
    Pending(u8),
    /// This far above the last ID.
    Above(u8, u8),
    /// This far below the last ID.
    Below(u8),
    Zero,
    Largest,
}

/// The ID that an append asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want {
    Auto,
    /// `ms-*`, so far above or below the milliseconds of the last ID.
    Within(i8),
    Exact(Pick),
}

/// The fields of an entry: so many, the values so long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) fields: u8,
    pub(crate) len: u16,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    MaxLen(u8),
    MinId(Pick),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) to: To,
    pub(crate) approximate: bool,
    pub(crate) limit: Option<u8>,
}

/// One end of a range.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edge {
    Open,
    With(Pick),
    Without(Pick),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Begin {
    First,
    Last,
    After(Pick),
}

/// A consumer, by its numbers in the lists above.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    pub(crate) stream: usize,
    pub(crate) group: usize,
    pub(crate) consumer: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Ways {
    /// `Store::close`, then open.
    Close,
    /// The last handle goes, then open.
    Drop,
    /// The store goes on in a copy of its directory, as a process would find it that was killed.
    Abandon,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Now,
    LongAgo,
    LongAgoAt,
    Future,
}

#[derive(Clone, Debug)]
pub(crate) struct ClaimHow {
    pub(crate) old_only: bool,
    pub(crate) when: When,
    pub(crate) retry: Option<u8>,
    pub(crate) force: bool,
    pub(crate) last_id: Option<Pick>,
    pub(crate) ids_only: bool,
}

/// What becomes of what was read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    Nothing,
    AckFirst,
    AckAll,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Append { stream: usize, id: Want, shape: Shape, cut: Option<Cut>, durable: bool },
    Once { stream: usize, producer: u8, iid: u8, shape: Shape },
    AppendTrim { stream: usize, shape: Shape, cut: Cut, policy: RefPolicy },
    Batch { stream: usize, entries: Vec<(Want, Shape)>, durable: Option<bool> },
    Get { stream: usize, id: Pick },
    Range { stream: usize, from: Edge, to: Edge, snapshot: bool },
    Snapshot { stream: usize },
    Look { which: u8 },
    Read { stream: usize, from: Begin, count: u8, bytes: u16 },
    ReadMany { from: Vec<(usize, Begin)>, count: u8, bytes: u16 },
    Delete { stream: usize, ids: Vec<Pick> },
    Trim { stream: usize, cut: Cut },
    DeleteWith { stream: usize, ids: Vec<Pick>, policy: RefPolicy },
    TrimWith { stream: usize, cut: Cut, policy: RefPolicy },
    SetId { stream: usize, last: Pick, added: Option<i8>, max_deleted: Option<Pick> },
    Keep { stream: usize, max_len: Option<u8>, min_id: Option<Pick>, unacked: bool },
    SetOptions { stream: usize, block_entries: u32, keep: Option<u8> },
    Info { stream: usize, count: u8 },
    Remove { stream: usize },
    Rename { from: usize, to: usize },
    Copy { from: usize, to: usize, replace: bool },
    Sync { stream: Option<usize> },
    Compare,
    Reopen(Ways),
    CreateGroup { who: Who, start: Begin, read: Option<u8>, or_get: bool },
    SetGroup { who: Who, to: Begin, read: Option<u8> },
    RemoveGroup { who: Who },
    CreateConsumer { who: Who },
    RemoveConsumer { who: Who },
    ReadNew { who: Who, count: u8, bytes: u16, no_ack: bool, then: Then },
    History { who: Who, after: Pick, count: u8, then: Then },
    ReadGroups { from: Vec<(Who, Option<Pick>)>, count: u8, no_ack: bool },
    Ack { who: Who, ids: Vec<Pick> },
    PendingRange { who: Who, from: Edge, to: Edge, count: Option<u8>, old: bool, own: bool },
    Claim { who: Who, ids: Vec<Pick>, how: ClaimHow },
    AutoClaim { who: Who, from: Pick, old_only: bool, count: u8, ids_only: bool },
    ReadClaim { who: Who, old_only: bool, count: u8, no_ack: bool, then: Then },
    AckDelete { who: Who, ids: Vec<Pick>, policy: RefPolicy },
    Nack { who: Who, ids: Vec<Pick>, mode: NackMode, retry: Option<u8>, force: bool },
}

fn stream() -> impl Strategy<Value = usize> {
    prop_oneof![8 => Just(0usize), 3 => Just(1usize), 1 => Just(2usize)]
}

fn who() -> impl Strategy<Value = Who> {
    (stream(), prop_oneof![3 => Just(0usize), 1 => Just(1usize)], 0..3usize)
        .prop_map(|(stream, group, consumer)| Who { stream, group, consumer })
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        8 => any::<u8>().prop_map(Pick::Live),
        3 => any::<u8>().prop_map(Pick::Pending),
        2 => any::<u8>().prop_map(Pick::Gone),
        2 => (0..4u8, 0..3u8).prop_map(|(ms, seq)| Pick::Above(ms, seq)),
        1 => (0..20u8).prop_map(Pick::Below),
        1 => Just(Pick::Zero),
        1 => Just(Pick::Largest),
    ]
}

/// As [`pick`], but hardly ever what leaves no IDs above it.
fn position() -> impl Strategy<Value = Pick> {
    pick().prop_map(|pick| match pick {
        Pick::Largest => Pick::Above(200, 0),
        other => other,
    })
}

fn want() -> impl Strategy<Value = Want> {
    prop_oneof![
        120 => Just(Want::Auto),
        200 => (0..4i8).prop_map(Want::Within),
        30 => (-3..0i8).prop_map(Want::Within),
        200 => (0..4u8, 0..3u8).prop_map(|(ms, seq)| Want::Exact(Pick::Above(ms, seq))),
        30 => position().prop_map(Want::Exact),
        1 => Just(Want::Exact(Pick::Largest)),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        30 => (1..4u8, 0..40u16).prop_map(|(fields, len)| Shape { fields, len }),
        20 => (1..3u8, 100..700u16).prop_map(|(fields, len)| Shape { fields, len }),
        1 => Just(Shape { fields: 0, len: 0 }),
        1 => Just(Shape { fields: 1, len: 9000 }),
    ]
}

fn cut() -> impl Strategy<Value = Cut> {
    let to = prop_oneof![(0..12u8).prop_map(To::MaxLen), pick().prop_map(To::MinId)];
    let how = prop_oneof![
        8 => Just((false, None)),
        4 => Just((true, None)),
        2 => (0..9u8).prop_map(|limit| (true, Some(limit))),
        1 => Just((false, Some(1))),
    ];
    (to, how).prop_map(|(to, (approximate, limit))| Cut { to, approximate, limit })
}

fn policy() -> impl Strategy<Value = RefPolicy> {
    prop_oneof![Just(RefPolicy::KeepRef), Just(RefPolicy::DelRef), Just(RefPolicy::Acked)]
}

fn mode() -> impl Strategy<Value = NackMode> {
    prop_oneof![Just(NackMode::Silent), Just(NackMode::Fail), Just(NackMode::Fatal)]
}

fn edge() -> impl Strategy<Value = Edge> {
    prop_oneof![Just(Edge::Open), pick().prop_map(Edge::With), pick().prop_map(Edge::Without)]
}

fn begin() -> impl Strategy<Value = Begin> {
    prop_oneof![
        4 => Just(Begin::First),
        1 => Just(Begin::Last),
        3 => position().prop_map(Begin::After),
    ]
}

fn bytes() -> impl Strategy<Value = u16> {
    prop_oneof![2 => Just(0u16), 1 => 1..2000u16]
}

fn then() -> impl Strategy<Value = Then> {
    prop_oneof![4 => Just(Then::Nothing), 1 => Just(Then::AckFirst), 1 => Just(Then::AckAll)]
}

fn how() -> impl Strategy<Value = ClaimHow> {
    let when = prop_oneof![
        3 => Just(When::Now),
        1 => Just(When::LongAgo),
        1 => Just(When::LongAgoAt),
        1 => Just(When::Future),
    ];
    let rare = any::<(bool, bool, bool)>();
    (rare, when, option::of(0..9u8), option::weighted(0.2, position()))
        .prop_map(|((old_only, force, ids_only), when, retry, last_id)| ClaimHow {
            old_only,
            when,
            retry,
            force,
            last_id,
            ids_only,
        })
        .boxed()
}

fn appends() -> BoxedStrategy<Op> {
    let trims = (stream(), shape(), cut(), policy())
        .prop_map(|(stream, shape, cut, policy)| Op::AppendTrim { stream, shape, cut, policy });
    let cut = option::weighted(0.2, cut());
    let one = (stream(), want(), shape(), cut, prop::bool::weighted(0.1)).prop_map(
        |(stream, id, shape, cut, durable)| Op::Append { stream, id, shape, cut, durable },
    );
    // With IDs of one kind a batch is taken as a rule, with others refused.
    let alike =
        (prop_oneof![Just(Want::Auto), (0..4i8).prop_map(Want::Within)], vec(shape(), 0..9))
            .prop_map(|(want, shapes)| shapes.into_iter().map(|shape| (want, shape)).collect());
    let entries = prop_oneof![3 => alike, 1 => vec((want(), shape()), 0..9)];
    let batch = (stream(), entries, option::weighted(0.3, any::<bool>()))
        .prop_map(|(stream, entries, durable)| Op::Batch { stream, entries, durable });
    let once = (stream(), 0..2u8, 0..3u8, shape())
        .prop_map(|(stream, producer, iid, shape)| Op::Once { stream, producer, iid, shape });
    prop_oneof![8 => one, 2 => batch, 3 => once, 1 => trims].boxed()
}

fn reads() -> BoxedStrategy<Op> {
    prop_oneof![
        (stream(), pick()).prop_map(|(stream, id)| Op::Get { stream, id }),
        (stream(), edge(), edge(), any::<bool>())
            .prop_map(|(stream, from, to, snapshot)| Op::Range { stream, from, to, snapshot }),
        stream().prop_map(|stream| Op::Snapshot { stream }),
        any::<u8>().prop_map(|which| Op::Look { which }),
        (stream(), begin(), 0..6u8, bytes()).prop_map(|(stream, from, count, bytes)| Op::Read {
            stream,
            from,
            count,
            bytes
        }),
        (vec((stream(), begin()), 1..4), 0..6u8, bytes())
            .prop_map(|(from, count, bytes)| Op::ReadMany { from, count, bytes }),
        (stream(), 0..5u8).prop_map(|(stream, count)| Op::Info { stream, count }),
    ]
    .boxed()
}

fn changes() -> BoxedStrategy<Op> {
    let keep = (stream(), option::of(0..20u8), option::weighted(0.3, position()), any::<bool>());
    prop_oneof![
        6 => (stream(), vec(pick(), 0..5)).prop_map(|(stream, ids)| Op::Delete { stream, ids }),
        4 => (stream(), cut()).prop_map(|(stream, cut)| Op::Trim { stream, cut }),
        3 => (stream(), vec(pick(), 0..5), policy())
            .prop_map(|(stream, ids, policy)| Op::DeleteWith { stream, ids, policy }),
        3 => (stream(), cut(), policy())
            .prop_map(|(stream, cut, policy)| Op::TrimWith { stream, cut, policy }),
        3 => (stream(), position(), option::of(-3..9i8), option::weighted(0.3, position()))
            .prop_map(|(stream, last, added, max_deleted)| {
                Op::SetId { stream, last, added, max_deleted }
            }),
        2 => keep.prop_map(|(stream, max_len, min_id, unacked)| {
            Op::Keep { stream, max_len, min_id, unacked }
        }),
        1 => (stream(), 0..5u32, option::weighted(0.3, 0..20u8))
            .prop_map(|(stream, block_entries, keep)| {
                Op::SetOptions { stream, block_entries, keep }
            }),
    ]
    .boxed()
}

fn names() -> BoxedStrategy<Op> {
    let two = || (0..3usize, 0..3usize);
    prop_oneof![
        1 => stream().prop_map(|stream| Op::Remove { stream }),
        2 => two().prop_map(|(from, to)| Op::Rename { from, to }),
        2 => (two(), any::<bool>())
            .prop_map(|((from, to), replace)| Op::Copy { from, to, replace }),
        1 => option::of(stream()).prop_map(|stream| Op::Sync { stream }),
        1 => Just(Op::Compare),
    ]
    .boxed()
}

fn reopenings() -> BoxedStrategy<Op> {
    prop_oneof![Just(Ways::Close), Just(Ways::Drop), Just(Ways::Abandon)]
        .prop_map(Op::Reopen)
        .boxed()
}

fn groups() -> BoxedStrategy<Op> {
    let read = || option::weighted(0.2, 0..30u8);
    prop_oneof![
        6 => (who(), begin(), read(), any::<bool>()).prop_map(|(who, start, read, or_get)| {
            Op::CreateGroup { who, start, read, or_get }
        }),
        2 => (who(), begin(), read()).prop_map(|(who, to, read)| Op::SetGroup { who, to, read }),
        1 => who().prop_map(|who| Op::RemoveGroup { who }),
        1 => who().prop_map(|who| Op::CreateConsumer { who }),
        1 => who().prop_map(|who| Op::RemoveConsumer { who }),
    ]
    .boxed()
}

fn nack() -> impl Strategy<Value = Op> {
    let ids = vec(prop_oneof![4 => any::<u8>().prop_map(Pick::Pending), 1 => pick()], 0..6);
    (who(), ids, mode(), option::weighted(0.3, 0..9u8), any::<bool>())
        .prop_map(|(who, ids, mode, retry, force)| Op::Nack { who, ids, mode, retry, force })
}

fn deliveries() -> BoxedStrategy<Op> {
    let new = (who(), 0..6u8, bytes(), prop::bool::weighted(0.1), then()).prop_map(
        |(who, count, bytes, no_ack, then)| Op::ReadNew { who, count, bytes, no_ack, then },
    );
    let history = (who(), pick(), 0..4u8, then())
        .prop_map(|(who, after, count, then)| Op::History { who, after, count, then });
    let item = (who(), option::weighted(0.3, pick()));
    prop_oneof![
        6 => new,
        2 => history,
        1 => (vec(item, 1..4), 0..5u8, prop::bool::weighted(0.1))
            .prop_map(|(from, count, no_ack)| Op::ReadGroups { from, count, no_ack }),
        2 => (who(), vec(pick(), 0..5)).prop_map(|(who, ids)| Op::Ack { who, ids }),
        1 => (who(), edge(), edge(), option::of(0..5u8), any::<(bool, bool)>()).prop_map(
            |(who, from, to, count, (old, own))| {
                Op::PendingRange { who, from, to, count, old, own }
            },
        ),
        3 => (who(), vec(pick(), 0..6), how())
            .prop_map(|(who, ids, how)| Op::Claim { who, ids, how }),
        3 => (who(), pick(), any::<(bool, bool)>(), 0..7u8).prop_map(
            |(who, from, (old_only, ids_only), count)| {
                Op::AutoClaim { who, from, old_only, count, ids_only }
            },
        ),
        3 => (who(), 0..4u8, any::<bool>(), prop::bool::weighted(0.2), then()).prop_map(
            |(who, count, old_only, no_ack, then)| {
                Op::ReadClaim { who, old_only, count, no_ack, then }
            },
        ),
        2 => (who(), vec(pick(), 0..5), policy())
            .prop_map(|(who, ids, policy)| Op::AckDelete { who, ids, policy }),
        5 => nack(),
    ]
    .boxed()
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => appends(),
        5 => reads(),
        6 => changes(),
        1 => names(),
        2 => reopenings(),
        3 => groups(),
        9 => deliveries(),
    ]
}

/// A layout and what is done with it.
pub(crate) fn script() -> impl Strategy<Value = (Layout, Vec<Op>)> {
    let level = prop_oneof![
        6 => Just(Level::Manual),
        2 => Just(Level::Often),
        1 => Just(Level::Always),
    ];
    let blocks = prop_oneof![Just(100u32), Just(1), Just(2), Just(3), Just(5)];
    let bytes = prop_oneof![Just(4096u32), Just(0), Just(256)];
    let layout = (level, 1..3u8, blocks, bytes).prop_map(|(level, segments, entries, bytes)| {
        Layout { level, segments, block_entries: entries, block_bytes: bytes }
    });
    (layout, vec(op(), 1..100))
}
