//! Certificates.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

#[derive(Debug, Subcommand)]
pub(crate) enum Certificate {
    /// All certificates that are served
    List {
        /// Only those that end within so many days
        #[arg(long, env = "HOSTQUORUM_EXPIRING", value_name = "DAYS")]
        expiring: Option<u32>,
        /// Only those of this hostname, replaced ones among them
        #[arg(long, env = "HOSTQUORUM_HOSTNAME", value_name = "NAME")]
        hostname: Option<String>,
        /// At most so many
        #[arg(long, env = "HOSTQUORUM_LIMIT", value_name = "NUMBER")]
        limit: Option<usize>,
    },
    /// One certificate
    Show {
        /// Its id, from the list
        id: String,
        /// The certificate and its issuers in PEM, and nothing else
        #[arg(long, env = "HOSTQUORUM_PEM")]
        pem: bool,
    },
    /// Serve a certificate of your own
    Upload(Upload),
    /// Make a key that never leaves the cluster, and a request for your own CA to sign
    Request {
        /// For which hostname
        hostname: String,
        /// The kind of key
        #[arg(long, env = "HOSTQUORUM_ALGORITHM", value_enum, default_value_t = Algorithm::Ecdsa)]
        algorithm: Algorithm,
        /// Write it to a new file instead of showing it
        #[arg(long, env = "HOSTQUORUM_OUT", value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Have a certificate revoked by its CA, and replaced before everything else
    Revoke {
        /// Its id, from the list
        id: String,
        /// Why, as the CA is told
        #[arg(long, env = "HOSTQUORUM_REASON", value_enum, default_value_t = Reason::Unspecified)]
        reason: Reason,
    },
    /// Replace many before their time; without --yes only says what would be done
    Reissue(Reissue),
}

#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// For which hostname
    pub(crate) hostname: String,
    /// The file that holds the certificate and its issuers (PEM), the hostname's own first
    #[arg(long, env = "HOSTQUORUM_CERT", value_name = "FILE")]
    pub(crate) cert: PathBuf,
    /// The file that holds its private key (PEM), or - for standard input; left out if it was
    /// signed for the hostname's request
    #[arg(long, env = "HOSTQUORUM_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// When to replace it by one that is ordered, such as 2026-03-01T00:00:00Z; else when a
    /// third of its life is left
    #[arg(
        long,
        env = "HOSTQUORUM_MOVE_AT",
        value_name = "MOMENT",
        conflicts_with = "keep",
        value_parser = moment
    )]
    pub(crate) move_at: Option<OffsetDateTime>,
    /// Never replace it but by hand
    #[arg(long, env = "HOSTQUORUM_KEEP")]
    pub(crate) keep: bool,
    /// Only if this is the hostname's revision
    #[arg(
        long,
        env = "HOSTQUORUM_REVISION",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(crate) revision: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Reissue {
    /// Which: issuer=R11, ca=letsencrypt, tenant=acme, hostname=shop.example or expiring<30d;
    /// given several times all must hold; or all
    #[arg(
        long = "where",
        env = "HOSTQUORUM_WHERE",
        value_name = "CONDITION",
        required = true
    )]
    pub(crate) conditions: Vec<String>,
    /// Before everything else, to the last of what the CAs allow
    #[arg(long, env = "HOSTQUORUM_URGENT")]
    pub(crate) urgent: bool,
    /// Do it
    #[arg(long, env = "HOSTQUORUM_YES")]
    pub(crate) yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Algorithm {
    /// P-256
    Ecdsa,
    /// RSA with 2048 bits
    Rsa,
}

/// RFC 5280 section 5.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reason {
    Unspecified,
    KeyCompromise,
    CaCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
    CertificateHold,
    PrivilegeWithdrawn,
    AaCompromise,
}

fn moment(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "a moment looks like 2026-03-01T00:00:00Z".to_owned())
}
