//! Numbers with a meaning. Each is drawn from a replicated counter or from Raft;
//! none is ever used twice for two things.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<u64> for $name {
            fn from(value: u64) -> Self {
                Self(value)
            }
        }
    };
}

id! {
    /// A position in the replicated log. 0 is before the first entry.
    Index
}
id! {
    /// A Raft term, and so the epoch of one leader's duties.
    Term
}
id! {
    /// A member of the cluster. Begins at 1; an id outlives its member.
    NodeId
}
id! {
    /// An ACME order as the cluster counts them; not the CA's URL.
    OrderId
}
id! {
    /// A right to join or to log in.
    InvitationId
}
id! {
    /// Somebody who may use the admin API.
    OperatorId
}
