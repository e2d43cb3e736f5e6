//! What was served.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Only of this one; - for all together that the node had no room to count apart
    pub(crate) hostname: Option<String>,
    /// Of so many, those with the most requests, at most 1000
    #[arg(
        long,
        env = "HOSTQUORUM_TOP",
        value_name = "NUMBER",
        default_value_t = 20,
        value_parser = clap::value_parser!(i32).range(1..=1000)
    )]
    pub(crate) top: i32,
    /// Of all, by their names
    #[arg(long, env = "HOSTQUORUM_ALL")]
    pub(crate) all: bool,
}
