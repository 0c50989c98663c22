//! Numbers of things: a type for each list, so that a number of one list is never looked up in another.

macro_rules! ids {
    ($($(#[$doc:meta])+ $name:ident,)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(usize);

        impl From<usize> for $name {
            fn from(number: usize) -> Self {
                Self(number)
            }
        }

        impl From<$name> for usize {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )+};
}

ids! {
    /// A node that exists: its place in [`Model::nodes`](super::Model::nodes).
    NodeId,
    /// A bin of a solution. The first bins are the nodes that exist, in their order; those that are bought follow.
    BinId,
    /// Pods that no rule can tell apart: their place in [`Model::classes`](super::Model::classes).
    ClassId,
    /// What can be bought: its place in [`Model::offerings`](super::Model::offerings).
    OfferingId,
}

impl NodeId {
    /// The node as a bin.
    pub(crate) const fn bin(self) -> BinId {
        BinId(self.0)
    }
}
