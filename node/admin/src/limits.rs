//! Every bound of the operators' API, and its reason.

use std::time::Duration;

/// Largest request: the longest legitimate one is a CA with its trust roots
/// ([`ROOTS_MAX`]) and [`OVERRIDES_MAX`] exceptions; most are below 1 KiB.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;

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

/// Longest reason for a pause: it stands in every explanation.
pub(crate) const REASON_BYTES_MAX: usize = 200;

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

/// A look at a hostname's records ends by then: its questions end sooner as a rule, and a
/// caller must hear which servers are silent rather than nothing.
pub(crate) const CHECK_WITHIN: Duration = Duration::from_secs(30);

/// Bytes of a backup that are sent at once.
pub(crate) const BACKUP_CHUNK_BYTES: usize = 64 * 1024;

/// How long whoever fetches or brings a backup may stand still.
pub(crate) const BACKUP_STALLED: Duration = Duration::from_secs(60);

/// How long one part of a backup may take to be agreed on: a disk may be slow.
pub(crate) const RESTORED_WITHIN: Duration = Duration::from_secs(60);

/// When a part that was not agreed on is proposed again.
pub(crate) const RESTORED_RETRY: Duration = Duration::from_millis(200);

/// How long a restore may take in all: a million hostnames take minutes, on slow disks an
/// hour.
const RESTORE_WITHIN: Duration = Duration::from_secs(4 * 3600);

/// Largest part of a backup: what `backup` reads at most.
pub(crate) const FRAME_BYTES_MAX: usize = 17 * 1024 * 1024;

/// How long the call of a method may take in all.
pub(crate) fn call_within(method: &str) -> Duration {
    if method.ends_with(".Backups/RestoreBackup") {
        return RESTORE_WITHIN;
    }
    if method.ends_with(".Checks/CheckHostname") {
        CHECK_WITHIN + CALL_WITHIN
    } else {
        CALL_WITHIN
    }
}

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

/// Most of all settings of a hostname or of its zone together: an entry of the log, and
/// memory on each node.
pub(crate) const TRAFFIC_BYTES_MAX: usize = 64 * 1024;

/// Most origins of one hostname: each core of each node keeps connections to each.
pub(crate) const ORIGINS_MAX: usize = 16;

/// Largest weight of an origin.
pub(crate) const WEIGHT_MAX: u32 = 1000;

/// How often an origin is asked whether it is well, unless told otherwise.
pub(crate) const CHECK_EVERY: Duration = Duration::from_secs(10);
/// At most so often: each node asks for itself.
pub(crate) const CHECK_EVERY_MIN: Duration = Duration::from_secs(1);
/// At least so often, or it would say nothing about now.
pub(crate) const CHECK_EVERY_MAX: Duration = Duration::from_secs(3600);
/// When no answer counts as a bad one, unless told otherwise.
pub(crate) const CHECK_PATIENCE: Duration = Duration::from_secs(2);
/// Below this a busy origin would be taken for an ill one.
pub(crate) const CHECK_PATIENCE_MIN: Duration = Duration::from_millis(100);

/// How long an origin that failed is left alone, unless told otherwise.
pub(crate) const EJECTED_FOR: Duration = Duration::from_secs(10);

/// Most pins: the keys in use and the next ones.
pub(crate) const PINS_MAX: usize = 8;

/// Longest path of a rule.
pub(crate) const PATH_MAX: usize = 1024;

/// Most redirects: each is compared with each request.
pub(crate) const REDIRECTS_MAX: usize = 16;
/// Longest target of a redirect: what browsers and proxies take for a URL.
pub(crate) const REDIRECT_TARGET_MAX: usize = 2048;

/// Most rules by path, for the same reason.
pub(crate) const PATHS_MAX: usize = 16;

/// Most changes of header fields in one direction: a message has at most 100 fields.
pub(crate) const HEADER_RULES_MAX: usize = 32;
/// Longest name of a field.
pub(crate) const HEADER_NAME_MAX: usize = 128;
/// Longest value of a field: policies of content are near 2 KiB.
pub(crate) const HEADER_VALUE_MAX: usize = 4096;

/// Most things that origins are told of a hostname.
pub(crate) const METADATA_MAX: usize = 16;
/// Longest key of them.
pub(crate) const METADATA_KEY_MAX: usize = 64;
/// Longest value.
pub(crate) const METADATA_VALUE_MAX: usize = 1024;

/// Two years, the longest that browsers' lists speak of.
pub(crate) const HSTS_MAX: u32 = 2 * 365 * 86_400;
/// The shortest that browsers' lists take.
pub(crate) const HSTS_PRELOAD_MIN: u32 = 365 * 86_400;

/// Largest body, and what holds unless told otherwise: as the edge's own bound.
pub(crate) const BODY_MAX: u64 = 10 << 30;

/// Most requests in a second that can be told apart from no limit.
pub(crate) const RATE_MAX: u32 = 1_000_000;

/// Most connections that can be told apart from no limit.
pub(crate) const CONNECTIONS_MAX: u32 = 1_000_000;

/// Largest maintenance page: held in memory by every node.
pub(crate) const MAINTENANCE_BODY_MAX: usize = 16 * 1024;
/// A week.
pub(crate) const MAINTENANCE_RETRY_MAX: u32 = 7 * 86_400;
/// Longest type of a page.
pub(crate) const CONTENT_TYPE_MAX: usize = 128;

/// Denials that are written to the audit at once; further ones wait for
/// [`DENIALS_EVERY`]: an attacker must not fill the disk through the audit.
pub(crate) const DENIALS_BURST: u32 = 20;

/// One more denial is written each time this has passed.
pub(crate) const DENIALS_EVERY: Duration = Duration::from_secs(1);

/// Longest URL or contact: what the state's log entry is planned for.
pub(crate) const URL_MAX: usize = 2048;

/// Most contacts of a CA's account.
pub(crate) const CONTACTS_MAX: usize = 8;

/// Largest trust roots of a private CA, in PEM: a handful of certificates.
pub(crate) const ROOTS_MAX: usize = 64 * 1024;

/// Most names by which CAA records mean a CA; the CAs that we know have two.
pub(crate) const CAA_IDENTITIES_MAX: usize = 16;

/// Longest common name of a chain's top: X.520 allows 64 characters, of four bytes.
pub(crate) const COMMON_NAME_MAX: usize = 256;

/// Longest name of a profile; those of CAs have about ten.
pub(crate) const PROFILE_MAX: usize = 64;

/// Most exceptions from a CA's limits, as the state takes them.
pub(crate) const OVERRIDES_MAX: usize = 1000;

/// Slowest refill of a limit: a year.
pub(crate) const REFILL_MAX: Duration = Duration::from_secs(366 * 86_400);

/// Longest id and longest key of an external account; CAs give some 30 and 60.
pub(crate) const EXTERNAL_KEY_ID_MAX: usize = 256;
/// Shortest HMAC key: the output of SHA-256 (RFC 7518 section 3.2) would be 32, but
/// CAs have given shorter ones.
pub(crate) const EXTERNAL_HMAC_MIN: usize = 16;
/// Longest HMAC key.
pub(crate) const EXTERNAL_HMAC_MAX: usize = 256;

/// Most addresses of the zone, or of one name server: what fits a DNS answer of
/// 1232 bytes beside the rest.
pub(crate) const ADDRESSES_MAX: usize = 16;

/// Most name servers of a zone, for the same reason.
pub(crate) const NAMESERVERS_MAX: usize = 13;

/// How often a change of some fields is tried again when something else changed the
/// record in between.
pub(crate) const EDITS_MAX: usize = 4;

/// Largest chain that is uploaded, in PEM: four certificates of 4 KiB and comments.
pub(crate) const CHAIN_PEM_MAX: usize = 64 * 1024;

/// Largest private key that is uploaded, in PEM: one of RSA with 8192 bits has 6.5 KiB.
pub(crate) const KEY_PEM_MAX: usize = 16 * 1024;

/// Most requests' keys made at once: one of RSA takes up to a second of a core.
pub(crate) const KEYS_MADE_MAX: usize = 2;

/// How long making a key may take before the caller is told to try again.
pub(crate) const KEY_MADE_WITHIN: Duration = Duration::from_millis(1500);

/// Most plans of a mass reissue at once: each looks at every certificate.
pub(crate) const PLANS_MAX: usize = 2;

/// How long a plan or a forecast may take: a million certificates in about a second.
pub(crate) const PLAN_WITHIN: Duration = Duration::from_millis(2400);

/// Most conditions of a reissue.
pub(crate) const CONDITIONS_MAX: usize = 8;

/// Hostnames of a plan that are named.
pub(crate) const SAMPLE: usize = 10;

/// Days of a forecast unless the caller asks for another number.
pub(crate) const FORECAST_DAYS: u32 = 90;

/// Most days of a forecast, as `state::forecast::DAYS_MAX`.
pub(crate) const FORECAST_DAYS_MAX: u32 = 400;

/// Most sentences of warning in a status.
pub(crate) const WARNINGS_MAX: usize = 20;
