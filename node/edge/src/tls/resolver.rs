//! From a hello to the key it is answered with, or to the alert.

use std::sync::Arc;

use rustls::AlertDescription;
use state::{Certificate, Hostname, Index};

use super::hello::{Hello, Name};
use crate::{
    metrics::Counters,
    view::{Served, View},
};

/// What becomes of a connection after its hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The hello is not whole yet.
    More,
    /// Go on with the handshake.
    Serve {
        name: String,
        certificate: Arc<Certificate>,
        claim: Index,
    },
    /// The name has no certificate yet.
    Pending(String),
    /// The name is not authorized here.
    Unknown(String),
    /// Show a CA that the name is ours, and nothing else.
    Prove { name: String, digest: [u8; 32] },
    /// A CA asks for a name without a challenge here: the leader may know of one.
    Ask(Hostname),
    /// End it with this alert.
    Alert(AlertDescription),
    /// End it without a word: it is no TLS.
    Close,
}

/// Pure but for counting.
pub(crate) fn choose(hello: Hello, view: &View, counters: &Counters) -> Choice {
    let name = match hello {
        Hello::Partial => return Choice::More,
        Hello::NotTls => {
            counters.not_tls.add();
            return Choice::Close;
        }
        Hello::Malformed(fault) => {
            counters.not_tls.add();
            tracing::debug!(fault, "malformed ClientHello");
            return Choice::Alert(AlertDescription::DecodeError);
        }
        Hello::Complete(Name::Host(name)) => name,
        Hello::Validation(Name::Host(name)) => return prove(name, view, counters),
        Hello::Complete(Name::Absent | Name::Address | Name::Invalid)
        | Hello::Validation(Name::Absent | Name::Address | Name::Invalid) => {
            counters.names_unknown.add();
            return Choice::Alert(AlertDescription::UnrecognisedName);
        }
    };
    match view.served(&name) {
        Served::With { certificate, claim } => Choice::Serve {
            name,
            certificate,
            claim,
        },
        Served::Pending => Choice::Pending(name),
        Served::Unknown => Choice::Unknown(name),
    }
}

/// Who offers `acme-tls/1` alone gets the proof or nothing: never a certificate
/// that is served.
fn prove(name: String, view: &View, counters: &Counters) -> Choice {
    if let Some(digest) = view.alpn_digest(&name) {
        return Choice::Prove { name, digest };
    }
    // Below a wildcard there is no end of names, and none of them is validated so.
    match view.hostname(&name) {
        Some(hostname) if view.is_authorized(&name) => Choice::Ask(hostname),
        Some(_) => {
            counters.validations_refused.add();
            Choice::Alert(AlertDescription::NoApplicationProtocol)
        }
        None => {
            counters.names_unknown.add();
            Choice::Alert(AlertDescription::UnrecognisedName)
        }
    }
}

/// A fatal alert as the only record of a connection (RFC 8446 section 6).
pub(crate) fn alert_record(alert: AlertDescription) -> [u8; 7] {
    const ALERT: u8 = 21;
    const FATAL: u8 = 2;
    [ALERT, 3, 3, 0, 2, FATAL, u8::from(alert)]
}
