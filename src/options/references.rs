//! What becomes of the groups' references when entries are removed, and of deliveries given back.

/// What the removal of an entry means for the groups, and they for it: the words KEEPREF, DELREF
/// and ACKED of XADD, XTRIM, XDELEX and XACKDEL.
///
/// A group *references* an entry that it has still to be given (it lies above the group's
/// last-delivered ID), or that is pending there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefPolicy {
    /// `KEEPREF`: the entry goes, and stays pending where it is so.
    #[default]
    KeepRef,
    /// `DELREF`: the entry goes, and is no longer pending in any group.
    DelRef,
    /// `ACKED`: the entry goes only if no group references it. Without groups it always goes.
    Acked,
}

/// What became of one ID in [`Stream::delete_with`](crate::Stream::delete_with) and
/// [`Group::ack_delete`](crate::Group::ack_delete).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Redis's 1: the entry is gone. (An acknowledged one may have been gone before.)
    Deleted,
    /// Redis's -1: there is no such entry, or for an acknowledgement none that is pending.
    NotFound,
    /// Redis's 2: a group references the entry, and [`RefPolicy::Acked`] keeps it.
    Referenced,
}
