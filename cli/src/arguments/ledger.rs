//! The ledger.

use clap::{Args, Subcommand};

use super::{Allowed, Kind};

#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// How much the CAs still allow
    Show {
        /// Only this CA's
        #[arg(long, env = "HOSTQUORUM_CA", value_name = "NAME")]
        ca: Option<String>,
        /// Only this limit's
        #[arg(long, env = "HOSTQUORUM_KIND", value_enum)]
        kind: Option<Kind>,
        /// Only of this registered domain, set of names or name
        #[arg(long, env = "HOSTQUORUM_KEY", value_name = "KEY")]
        key: Option<String>,
        /// At most so many
        #[arg(long, env = "HOSTQUORUM_LIMIT", value_name = "NUMBER")]
        limit: Option<usize>,
    },
    /// What will be asked of the CAs by day, and what a limit would hold up
    Forecast {
        /// How far to look ahead, at most 400
        #[arg(
            long,
            env = "HOSTQUORUM_DAYS",
            value_name = "NUMBER",
            default_value_t = 90
        )]
        days: u32,
    },
    /// Tell of an exception that a CA granted, or that it ended
    Override(Override),
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Override {
    /// Which CA's
    pub(crate) ca: String,
    /// What it allows instead: certificates-per-domain=300/34m
    #[arg(
        long,
        env = "HOSTQUORUM_ALLOW",
        value_name = "KIND=BURST/TIME",
        group = "what"
    )]
    pub(crate) allow: Option<Allowed>,
    /// There is no exception any more
    #[arg(
        long,
        env = "HOSTQUORUM_CLEAR",
        value_name = "KIND",
        value_enum,
        group = "what"
    )]
    pub(crate) clear: Option<Kind>,
    /// For which registered domain, set of names or name; none for the account's orders
    #[arg(
        long,
        env = "HOSTQUORUM_KEY",
        value_name = "KEY",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) key: String,
}
