//! Hostnames.

use clap::{Args, Subcommand, ValueEnum};

use super::SetTraffic;

#[derive(Debug, Subcommand)]
pub(crate) enum Hostname {
    /// Authorize hostnames: from now on they may get certificates
    Add(AddHostname),
    /// Change what certificates a hostname is to have, and how its traffic is served
    Set(Box<SetHostname>),
    /// All hostnames, in the order of their names
    List {
        /// Only those in this state
        #[arg(long, env = "HOSTQUORUM_STATE", value_enum)]
        state: Option<State>,
        /// Only those of this tenant
        #[arg(long, env = "HOSTQUORUM_TENANT", value_name = "NAME")]
        tenant: Option<String>,
        /// At most so many
        #[arg(long, env = "HOSTQUORUM_LIMIT", value_name = "NUMBER")]
        limit: Option<usize>,
    },
    /// One hostname; exit code 2 if it failed or is parked
    Show {
        /// Which
        hostname: String,
    },
    /// One hostname now and after each change
    Watch {
        /// Which
        hostname: String,
    },
    /// Wait until a hostname is live; exit code 2 if it fails
    Wait {
        /// Which
        hostname: String,
        /// And until every node serves it
        #[arg(long, env = "HOSTQUORUM_EVERYWHERE")]
        everywhere: bool,
    },
    /// Why a hostname is as it is; exit code 2 if it failed or is parked
    Explain {
        /// Which
        hostname: String,
    },
    /// Look at a hostname's records now; exit code 2 if something is wrong
    Check(CheckHostname),
    /// What the owner of a hostname is to publish
    Records(HostnameRecords),
    /// Claim a hostname for another tenant than it is: nothing changes before that is proven
    Contest {
        /// Which
        hostname: String,
        /// For whom
        #[arg(long, env = "HOSTQUORUM_TENANT", value_name = "NAME")]
        tenant: String,
    },
    /// Give such a claim up
    EndContest {
        /// To which hostname
        hostname: String,
    },
    /// Withdraw the authorization: the nodes stop serving it
    Remove {
        /// Which
        hostname: String,
        /// Only if this is its revision
        #[arg(
            long,
            env = "HOSTQUORUM_REVISION",
            default_value_t = 0,
            hide_default_value = true
        )]
        revision: u64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddHostname {
    /// Which, such as shop.example
    #[arg(required = true)]
    pub(crate) hostnames: Vec<String>,
    /// Whose they are: 1 to 64 of letters, digits and -_.:
    #[arg(
        long,
        env = "HOSTQUORUM_TENANT",
        value_name = "NAME",
        default_value = "default"
    )]
    pub(crate) tenant: String,
    /// Every name one label below, too: *.shop.example beside shop.example
    #[arg(long, env = "HOSTQUORUM_WILDCARD")]
    pub(crate) wildcard: bool,
    /// With which keys
    #[arg(long, env = "HOSTQUORUM_KEYS", value_enum, default_value_t = Keys::Ecdsa)]
    pub(crate) keys: Keys,
    /// From that CA only; else by rank
    #[arg(long, env = "HOSTQUORUM_CA", value_name = "NAME")]
    pub(crate) ca: Option<String>,
    /// The CA's profile to ask for; else as the CA is configured
    #[arg(long, env = "HOSTQUORUM_PROFILE", value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Prove it to the CA by that only
    #[arg(long, env = "HOSTQUORUM_CHALLENGE", value_enum, default_value_t = Challenge::Auto)]
    pub(crate) challenge: Challenge,
    /// Order nothing: only what is uploaded is served
    #[arg(long, env = "HOSTQUORUM_MANUAL")]
    pub(crate) manual: bool,
    /// Wait until each is live
    #[arg(long, env = "HOSTQUORUM_WAIT")]
    pub(crate) wait: bool,
    /// Wait until each is live and every node serves it
    #[arg(long, env = "HOSTQUORUM_EVERYWHERE")]
    pub(crate) everywhere: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("changes").required(true).multiple(true))]
pub(crate) struct SetHostname {
    /// Which
    pub(crate) hostname: String,
    /// Every name one label below, too
    #[arg(
        long,
        env = "HOSTQUORUM_WILDCARD",
        value_name = "BOOL",
        group = "changes"
    )]
    pub(crate) wildcard: Option<bool>,
    /// With which keys
    #[arg(long, env = "HOSTQUORUM_KEYS", value_enum, group = "changes")]
    pub(crate) keys: Option<Keys>,
    /// From that CA only; an empty name: by rank
    #[arg(long, env = "HOSTQUORUM_CA", value_name = "NAME", group = "changes")]
    pub(crate) ca: Option<String>,
    /// The CA's profile to ask for; an empty name: as the CA is configured
    #[arg(
        long,
        env = "HOSTQUORUM_PROFILE",
        value_name = "NAME",
        group = "changes"
    )]
    pub(crate) profile: Option<String>,
    /// Prove it to the CA by that only
    #[arg(long, env = "HOSTQUORUM_CHALLENGE", value_enum, group = "changes")]
    pub(crate) challenge: Option<Challenge>,
    /// Order nothing: only what is uploaded is served
    #[arg(
        long,
        env = "HOSTQUORUM_MANUAL",
        value_name = "BOOL",
        group = "changes"
    )]
    pub(crate) manual: Option<bool>,
    #[command(flatten)]
    pub(crate) traffic: SetTraffic,
    /// Only if this is its revision
    #[arg(
        long,
        env = "HOSTQUORUM_REVISION",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(crate) revision: u64,
}

#[derive(Debug, Args)]
pub(crate) struct CheckHostname {
    /// Which
    pub(crate) hostname: String,
    /// For the tenant that contests it, not for the one that has it
    #[arg(long, env = "HOSTQUORUM_CONTEST")]
    pub(crate) contest: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HostnameRecords {
    /// Which
    pub(crate) hostname: String,
    /// For the tenant that contests it, not for the one that has it
    #[arg(long, env = "HOSTQUORUM_CONTEST")]
    pub(crate) contest: bool,
    /// Those of dns-persist-01, too, for CAs that offer it
    #[arg(long, env = "HOSTQUORUM_PERSIST")]
    pub(crate) persist: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keys {
    /// One certificate, P-256
    Ecdsa,
    /// One certificate, RSA with 2048 bits
    Rsa,
    /// Two certificates, one after the other
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Challenge {
    /// By what fits
    Auto,
    /// An answer on port 80
    #[value(name = "http-01")]
    Http01,
    /// A handshake on port 443
    #[value(name = "tls-alpn-01")]
    TlsAlpn01,
    /// A TXT record
    #[value(name = "dns-01")]
    Dns01,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    Pending,
    Issuing,
    Live,
    Renewing,
    Failed,
    Unproven,
    Parked,
}
