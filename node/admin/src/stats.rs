//! Who knows what this node has served for hostnames.

use proto::admin::v1;

/// What this node has served for hostnames, since it began.
pub trait Stats: Send + Sync {
    /// Who counts, since when, and until now.
    fn counting(&self) -> v1::Counting;

    /// A hostname's numbers; zeros where nothing was served for it.
    fn hostname(&self, hostname: &str) -> v1::HostnameStats;

    /// Those of all hostnames that have none of their own, together.
    fn others(&self) -> v1::HostnameStats;

    /// Those of the first `most` hostnames after `last`, by their names.
    fn after(&self, last: &str, most: usize) -> Vec<v1::HostnameStats>;

    /// Those of the `most` hostnames with the most requests, the most first.
    fn top(&self, most: usize) -> Vec<v1::HostnameStats>;
}
