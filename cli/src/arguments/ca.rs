//! CAs.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Ca {
    /// Add a CA: letsencrypt, letsencrypt-staging, zerossl, google or an https URL
    Add(Box<AddCa>),
    /// All CAs, in the order in which they are asked
    List,
    /// One CA with its limits and our account
    Show {
        /// Which
        name: String,
    },
    /// Change what was decided about a CA
    Set(Box<SetCa>),
    /// Tell how the CA knows us otherwise (external account binding)
    Bind(BindCa),
    /// Forget that
    Unbind {
        /// Of which CA
        name: String,
    },
    /// Have the leader change the account's key
    Rollover {
        /// At which CA
        name: String,
    },
    /// Ask no more of a CA
    Remove {
        /// Which
        name: String,
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
pub(crate) struct AddCa {
    /// letsencrypt, letsencrypt-staging, zerossl, google or an https URL of a directory
    pub(crate) ca: String,
    /// What to call it: 1 to 40 of a-z, 0-9 and -; needed with a URL
    #[arg(long, env = "HOSTQUORUM_NAME", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// You agree to the CA's terms of service
    #[arg(long, env = "HOSTQUORUM_AGREE_TO_TERMS")]
    pub(crate) agree_to_terms: bool,
    /// Where the CA may write to; several are allowed
    #[arg(
        long,
        env = "HOSTQUORUM_CONTACT",
        value_name = "MAILTO",
        value_delimiter = ','
    )]
    pub(crate) contact: Vec<String>,
    /// The lowest is asked first; else it comes behind all others
    #[arg(long, env = "HOSTQUORUM_RANK", value_name = "NUMBER")]
    pub(crate) rank: Option<u32>,
    /// Trust roots (PEM) of a private CA
    #[arg(long, env = "HOSTQUORUM_ACME_ROOT", value_name = "FILE")]
    pub(crate) acme_root: Option<PathBuf>,
    /// The profile to ask for unless a hostname has its own
    #[arg(long, env = "HOSTQUORUM_PROFILE", value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Of several chains the one whose top has an issuer of this common name
    #[arg(long, env = "HOSTQUORUM_PREFERRED_CHAIN", value_name = "NAME")]
    pub(crate) preferred_chain: Option<String>,
    /// How CAA records name it; several are allowed
    #[arg(
        long,
        env = "HOSTQUORUM_CAA_IDENTITY",
        value_name = "DOMAIN",
        value_delimiter = ','
    )]
    pub(crate) caa_identity: Vec<String>,
    /// What it allows: orders=300/36s means 300 at once and one more each 36 s; several are
    /// allowed
    #[arg(
        long,
        env = "HOSTQUORUM_ALLOW",
        value_name = "KIND=BURST/TIME",
        value_delimiter = ','
    )]
    pub(crate) allow: Vec<Allowed>,
    /// Of two finalize requests for one order it refuses one: no wait after a takeover
    #[arg(long, env = "HOSTQUORUM_FINALIZE_ATOMIC")]
    pub(crate) finalize_atomic: bool,
    /// The id that the CA gave for an external account binding
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
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("settings").required(true).multiple(true))]
pub(crate) struct SetCa {
    /// Which
    pub(crate) name: String,
    /// Another directory, before there is an account
    #[arg(
        long,
        env = "HOSTQUORUM_DIRECTORY",
        value_name = "URL",
        group = "settings"
    )]
    pub(crate) directory: Option<String>,
    /// You agree to the CA's terms of service
    #[arg(long, env = "HOSTQUORUM_AGREE_TO_TERMS", group = "settings")]
    pub(crate) agree_to_terms: bool,
    /// Where the CA may write to; an empty value: nowhere
    #[arg(
        long,
        env = "HOSTQUORUM_CONTACT",
        value_name = "MAILTO",
        value_delimiter = ',',
        group = "settings"
    )]
    pub(crate) contact: Option<Vec<String>>,
    /// The lowest is asked first
    #[arg(
        long,
        env = "HOSTQUORUM_RANK",
        value_name = "NUMBER",
        group = "settings"
    )]
    pub(crate) rank: Option<u32>,
    /// Trust roots (PEM) of a private CA; an empty value: the system's
    #[arg(
        long,
        env = "HOSTQUORUM_ACME_ROOT",
        value_name = "FILE",
        group = "settings"
    )]
    pub(crate) acme_root: Option<PathBuf>,
    /// The profile to ask for; an empty name: the CA's default
    #[arg(
        long,
        env = "HOSTQUORUM_PROFILE",
        value_name = "NAME",
        group = "settings"
    )]
    pub(crate) profile: Option<String>,
    /// Which of several chains; an empty name: the CA's first
    #[arg(
        long,
        env = "HOSTQUORUM_PREFERRED_CHAIN",
        value_name = "NAME",
        group = "settings"
    )]
    pub(crate) preferred_chain: Option<String>,
    /// How CAA records name it; an empty value: as its directory says
    #[arg(
        long,
        env = "HOSTQUORUM_CAA_IDENTITY",
        value_name = "DOMAIN",
        value_delimiter = ',',
        group = "settings"
    )]
    pub(crate) caa_identity: Option<Vec<String>>,
    /// All that it allows, in the place of what was known
    #[arg(
        long,
        env = "HOSTQUORUM_ALLOW",
        value_name = "KIND=BURST/TIME",
        value_delimiter = ',',
        group = "settings"
    )]
    pub(crate) allow: Option<Vec<Allowed>>,
    /// Of two finalize requests for one order it refuses one
    #[arg(
        long,
        env = "HOSTQUORUM_FINALIZE_ATOMIC",
        value_name = "BOOL",
        group = "settings"
    )]
    pub(crate) finalize_atomic: Option<bool>,
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
pub(crate) struct BindCa {
    /// Which CA
    pub(crate) name: String,
    /// The id that the CA gave
    #[arg(long, env = "HOSTQUORUM_EAB_KEY_ID", value_name = "ID")]
    pub(crate) eab_key_id: String,
    /// The file that holds the key that the CA gave with it (base64url), or - for standard
    /// input
    #[arg(long, env = "HOSTQUORUM_EAB_HMAC_FILE", value_name = "FILE")]
    pub(crate) eab_hmac_file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// New orders of the account
    Orders,
    /// Certificates for a registered domain
    CertificatesPerDomain,
    /// Certificates for exactly the same names
    CertificatesPerSet,
    /// Failed validations of one name
    FailedValidations,
}

/// `orders=300/36s`: so many at once, and one more each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) kind: Kind,
    pub(crate) burst: u32,
    pub(crate) refill: Duration,
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || "it looks like orders=300/36s".to_owned();
        let (kind, rest) = text.split_once('=').ok_or_else(shape)?;
        let (burst, refill) = rest.split_once('/').ok_or_else(shape)?;
        let burst = burst.parse().ok().filter(|burst| *burst > 0);
        Ok(Self {
            kind: Kind::from_str(kind, false)?,
            burst: burst.ok_or("at least one is allowed at once")?,
            refill: humantime::parse_duration(refill).map_err(|error| error.to_string())?,
        })
    }
}
