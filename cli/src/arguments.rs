//! What can be asked, as clap parses it. Every option has its environment
//! variable; a test holds it so.

mod backup;
mod ca;
mod certificate;
mod hostname;
mod ledger;
mod stats;
#[cfg(test)]
mod tests;
mod traffic;
mod zone;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::exit;

pub(crate) use backup::{Backup, Opened, Restore};
pub(crate) use ca::{AddCa, Allowed, BindCa, Ca, Kind, SetCa};
pub(crate) use certificate::{Algorithm, Certificate, Reason, Reissue, Upload};
pub(crate) use hostname::{
    AddHostname, Challenge, CheckHostname, Hostname, HostnameRecords, Keys, SetHostname, State,
};
pub(crate) use ledger::{Ledger, Override};
pub(crate) use stats::Stats;
pub(crate) use traffic::{Page, Said, SetTraffic, Trust};
pub(crate) use zone::{Caa, Nameserver, Policy, SetZone, Zone};

/// Operate a hostquorum cluster.
#[derive(Debug, Parser)]
#[command(name = "hostquorum", version, after_help = exit::help(), disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Globals {
    /// A context by its name, or the path of its file; else the current one
    #[arg(
        long,
        global = true,
        env = "HOSTQUORUM_CONTEXT",
        value_name = "NAME|FILE"
    )]
    pub(crate) context: Option<String>,
    /// Speak to these nodes instead of those of the context; as `unix:PATH`, to the daemon of
    /// this machine by its socket, as its administrator and without a context
    #[arg(
        long,
        global = true,
        env = "HOSTQUORUM_ADDRESS",
        value_name = "HOST:PORT",
        value_delimiter = ','
    )]
    pub(crate) address: Vec<String>,
    /// Longest time to wait: 10s for an answer, 5m for a wait
    #[arg(
        long,
        global = true,
        env = "HOSTQUORUM_TIMEOUT",
        value_name = "TIME",
        value_parser = humantime::parse_duration
    )]
    pub(crate) timeout: Option<Duration>,
    /// How to show answers
    #[arg(
        short,
        long,
        global = true,
        env = "HOSTQUORUM_OUTPUT",
        value_enum,
        default_value_t = Format::Table
    )]
    pub(crate) output: Format,
    /// Where contexts are kept; else $XDG_CONFIG_HOME/hostquorum or ~/.config/hostquorum
    #[arg(
        long,
        global = true,
        env = "HOSTQUORUM_CONFIG_DIR",
        value_name = "FOLDER"
    )]
    pub(crate) config_dir: Option<PathBuf>,
}

/// How answers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs; its shape is stable
    Json,
    /// As json
    Yaml,
    /// DNS records as lines of a zone file; all else as a table
    Zone,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Form a cluster, look at it, change its members
    #[command(subcommand)]
    Cluster(Cluster),
    /// Turn a token into an identity and a context
    Login(Login),
    /// Choose the cluster to speak to
    #[command(subcommand)]
    Context(Context),
    /// Authorize hostnames and follow them
    #[command(subcommand)]
    Hostname(Hostname),
    /// Where requests go
    #[command(subcommand)]
    Origin(Origin),
    /// What makes a hostname its tenant's, and what customers point to
    #[command(subcommand)]
    Zone(Zone),
    /// The CAs that certificates come from, and our accounts there
    #[command(subcommand)]
    Ca(Ca),
    /// What the CAs allow, and what is coming
    #[command(subcommand)]
    Ledger(Ledger),
    /// Stop the whole cluster from ordering certificates, and go on
    #[command(subcommand)]
    Issuance(Issuance),
    /// Look at certificates, bring them, revoke and replace them
    #[command(subcommand)]
    Certificate(Certificate),
    /// What the answering node has served for hostnames, since it began
    Stats(Stats),
    /// Take backups, look at them, and form a cluster out of one
    #[command(subcommand)]
    Backup(Backup),
    /// Invite nodes and operators
    #[command(subcommand)]
    Token(Token),
    /// Print a script that completes commands in a shell
    Completion {
        /// Which shell
        shell: Shell,
    },
    /// Write the manual pages, one for each command
    Man {
        /// Into which folder, such as /usr/local/share/man/man1
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Issuance {
    /// Begin no order and carry none on, until it is resumed; what there is is served on
    Pause {
        /// Why, in a line: whoever wonders is told
        reason: String,
    },
    /// Order again
    Resume {
        /// The cluster's id, where it was restored from a backup: make sure first that the one
        /// it was taken of is at work no more
        #[arg(long, env = "HOSTQUORUM_CLUSTER_ID", value_name = "ID")]
        cluster_id: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Form a new cluster with the node of this machine as its first member
    Init(Init),
    /// How the cluster is, as the answering node sees it; exit code 2 without a quorum
    Status,
    /// The members and what they last said of themselves
    Members,
    /// Whether one node may be stopped now, and in which order to upgrade them; exit code 2
    /// if not
    UpgradeCheck,
    /// Hand leadership over
    Transfer {
        /// To whom, by name or id; else to whichever voter is most up to date
        member: Option<String>,
    },
    /// Replace keys of the cluster's own; everything under them is sealed or signed anew while
    /// all goes on
    Rotate {
        /// What: the key that certificates' keys are sealed under, the key that accounts' keys
        /// and the cluster's CA are sealed under, the CA that signs members' certificates
        #[arg(required = true)]
        what: Vec<Rotatable>,
        /// Wait until the old ones are gone
        #[arg(long, env = "HOSTQUORUM_WAIT")]
        wait: bool,
    },
    /// Remove a member for good
    Remove {
        /// Whom, by name or id
        member: String,
        /// Wait until it is gone
        #[arg(long, env = "HOSTQUORUM_WAIT")]
        wait: bool,
    },
}

/// What can be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rotatable {
    ServingKey,
    ControlKey,
    IssuingCa,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Who issues certificates: letsencrypt, letsencrypt-staging, zerossl, google or an https
    /// URL of an ACME directory. There is no default
    #[arg(long, env = "HOSTQUORUM_ACME", value_name = "CA")]
    pub(crate) acme: String,
    /// Trust roots (PEM) of a private CA
    #[arg(long, env = "HOSTQUORUM_ACME_ROOT", value_name = "FILE")]
    pub(crate) acme_root: Option<PathBuf>,
    /// Where the CA may write to, such as mailto:ops@example.com; several are allowed
    #[arg(
        long,
        env = "HOSTQUORUM_CONTACT",
        value_name = "MAILTO",
        value_delimiter = ','
    )]
    pub(crate) contact: Vec<String>,
    /// You agree to the CA's terms of service
    #[arg(long, env = "HOSTQUORUM_AGREE_TO_TERMS")]
    pub(crate) agree_to_terms: bool,
    /// The id that the CA gave for an external account binding; zerossl and google need one
    #[arg(
        long,
        env = "HOSTQUORUM_EAB_KEY_ID",
        value_name = "ID",
        requires = "eab_hmac_file"
    )]
    pub(crate) eab_key_id: Option<String>,
    /// The file that holds the key that the CA gave with it (base64url), or - for standard
    /// input
    #[arg(
        long,
        env = "HOSTQUORUM_EAB_HMAC_FILE",
        value_name = "FILE",
        requires = "eab_key_id"
    )]
    pub(crate) eab_hmac_file: Option<PathBuf>,
    /// Where requests go, such as http://app:8080; may be set later
    #[arg(long, env = "HOSTQUORUM_ORIGIN", value_name = "URL")]
    pub(crate) origin: Option<String>,
    #[command(flatten)]
    pub(crate) founder: Founder,
}

/// Who forms a cluster, with which node, and where the context is kept.
#[derive(Debug, Args)]
pub(crate) struct Founder {
    /// Your name as the audit shows it
    #[arg(
        long,
        env = "HOSTQUORUM_ADMIN_NAME",
        default_value = "admin",
        value_name = "NAME"
    )]
    pub(crate) admin_name: String,
    /// The daemon's socket: hostquorumd.sock in its data directory
    #[arg(
        long,
        env = "HOSTQUORUM_SOCKET",
        value_name = "PATH",
        default_value = "/var/lib/hostquorum/hostquorumd.sock"
    )]
    pub(crate) socket: PathBuf,
    /// Replace a context of that name
    #[arg(long, env = "HOSTQUORUM_OVERWRITE")]
    pub(crate) overwrite: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The file that holds the token, or - for standard input
    #[arg(long, env = "HOSTQUORUM_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// Your name as the audit shows it
    #[arg(long, env = "HOSTQUORUM_NAME")]
    pub(crate) name: String,
    /// Replace a context of that name even if it is of another cluster
    #[arg(long, env = "HOSTQUORUM_OVERWRITE")]
    pub(crate) overwrite: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Context {
    /// All contexts
    List,
    /// Make one the current one
    Use {
        /// Which
        name: String,
    },
    /// The current one, without its key
    Show,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Origin {
    /// Set where requests go
    Set {
        /// http://host:port or https://host:port
        url: String,
        /// Which HTTP to speak
        #[arg(long, env = "HOSTQUORUM_PROTOCOL", value_enum, default_value_t = Protocol::Auto)]
        protocol: Protocol,
        /// Only if this is the zone's revision
        #[arg(
            long,
            env = "HOSTQUORUM_REVISION",
            default_value_t = 0,
            hide_default_value = true
        )]
        revision: u64,
    },
    /// Where requests go now
    Show,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// By ALPN over https, HTTP/1.1 over http
    Auto,
    /// HTTP/1.1
    Http1,
    /// HTTP/2, with prior knowledge over http
    Http2,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token: it works once, and is shown once
    Create {
        /// What its holder becomes
        #[arg(long, env = "HOSTQUORUM_ROLE", value_enum)]
        role: Role,
        /// How long it is good
        #[arg(
            long,
            env = "HOSTQUORUM_TTL",
            value_name = "TIME",
            default_value = "15m",
            value_parser = humantime::parse_duration
        )]
        ttl: Duration,
        /// Write it to a new file of mode 0600 instead of showing it
        #[arg(long, env = "HOSTQUORUM_OUT", value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// All invitations, without their tokens
    List,
    /// Withdraw one that was not used
    Revoke {
        /// Its id, from the list
        id: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// A member of the cluster
    Node,
    /// An operator who may change things
    Admin,
    /// An operator who may look
    Viewer,
}
