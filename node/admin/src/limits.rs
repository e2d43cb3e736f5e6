//! Every bound of the operators' API, and its reason.

use std::time::Duration;

/// Largest request: the longest legitimate one is a hostname or an origin, below
/// 1 KiB.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Largest response: what gRPC clients accept unless told otherwise.
pub const RESPONSE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A page ends early at this size, so that a thousand long failure reasons still
/// fit into a response.
pub(crate) const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Entries on a page unless the caller asks for another number.
pub(crate) const PAGE_SIZE: usize = 100;

/// Most entries on a page.
pub(crate) const PAGE_SIZE_MAX: usize = 1000;

/// Most records looked at for one page: a filter that matches nothing must not
/// walk a million hostnames in one call (about 10 ms).
pub(crate) const PAGE_LOOKED_AT_MAX: usize = 20_000;

/// Most requests at work at once. Most are writes that wait for the log, which
/// holds a bounded number itself.
pub(crate) const CALLS_MAX: usize = 512;

/// Most requests of one operator at work at once: room for 200 concurrent writes
/// of one script, and for the others beside it.
pub(crate) const CALLS_PER_OPERATOR_MAX: usize = 256;

/// Most watches at once: each looks at the state several times a second.
pub(crate) const WATCHES_MAX: usize = 512;

/// Most watches of one operator.
pub(crate) const WATCHES_PER_OPERATOR_MAX: usize = 128;

/// A watch ends after this; the caller begins another. Thus a forgotten one, or
/// one whose operator was removed meanwhile, does not live for ever.
pub(crate) const WATCH_LIFE: Duration = Duration::from_secs(3600);

/// How long a watch waits for a slow caller to hear why it ends.
pub(crate) const LAST_WORDS_WITHIN: Duration = Duration::from_secs(5);

/// How often a watch looks at what is no part of the state: which nodes serve it,
/// and the passing of time.
pub(crate) const WATCH_TICK: Duration = Duration::from_millis(250);

/// A write is answered within this; with the way there and back it stays below
/// three seconds.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_millis(2500);

/// Whatever happens, and however slowly a request's body comes, its answer has
/// begun by then.
pub(crate) const CALL_WITHIN: Duration = Duration::from_millis(2900);

/// How long the removal of a hostname waits for the nodes to stop serving it,
/// before it tells which of them did.
pub(crate) const PUBLISHED_WITHIN: Duration = Duration::from_millis(1000);

/// How long the status waits for a quorum to answer before it says that there is
/// none: twice the longest election.
pub(crate) const QUORUM_WITHIN: Duration = Duration::from_millis(1500);

/// How long an explanation waits for the disk: it must be given while a disk
/// hangs, which is when somebody asks.
pub(crate) const TIMELINE_WITHIN: Duration = Duration::from_millis(1000);

/// Most timelines read at once: a hung disk must not use up the runtime's threads
/// for blocking work.
pub(crate) const TIMELINES_MAX: usize = 8;

/// A voter that was heard within this counts as present when a removal is judged.
pub(crate) const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// Up to this many hostnames the status counts the live ones anew each time (a
/// few milliseconds); beyond, off the runtime's threads and at most every
/// [`TALLY_AGE_MAX`].
pub(crate) const TALLY_AT_ONCE_MAX: usize = 10_000;

/// How old the count of live hostnames may be in a large cluster.
pub(crate) const TALLY_AGE_MAX: Duration = Duration::from_secs(10);

/// Shortest life of an invitation, in seconds.
pub(crate) const TTL_MIN: u32 = 60;

/// Longest life of an invitation, in seconds: a day.
pub(crate) const TTL_MAX: u32 = 86_400;

/// Life of an invitation unless the caller asks for another, in seconds.
pub(crate) const TTL: u32 = 900;

/// Longest name of an origin accepted, in bytes.
pub(crate) const ORIGIN_URL_MAX: usize = 512;

/// Denials that are written to the audit at once; further ones wait for
/// [`DENIALS_EVERY`]: an attacker must not fill the disk through the audit.
pub(crate) const DENIALS_BURST: u32 = 20;

/// One more denial is written each time this has passed.
pub(crate) const DENIALS_EVERY: Duration = Duration::from_secs(1);
