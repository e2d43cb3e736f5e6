//! Certificates.

use proto::admin::v1 as wire;
use serde::Serialize;

use super::{id, moment};
use crate::output::{Shape, clean, pairs, rows};

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Certificate {
    /// 64 hexadecimal digits.
    pub(crate) id: String,
    pub(crate) hostname: String,
    /// It is for every name one label below, too.
    pub(crate) wildcard: bool,
    /// ecdsa or rsa.
    pub(crate) algorithm: &'static str,
    /// The CA that issued it, or uploaded.
    pub(crate) source: String,
    /// Hexadecimal.
    pub(crate) serial: String,
    pub(crate) issuer: String,
    pub(crate) not_before: Option<String>,
    pub(crate) not_after: Option<String>,
    /// Absent if it is replaced by hand only.
    pub(crate) renew_at: Option<String>,
    /// When its CA suggests to renew it (RFC 9773).
    pub(crate) window: Option<Window>,
    /// calm or urgent if its replacement was asked for before its time, else empty.
    pub(crate) reissue: String,
    pub(crate) revocation: Option<Revocation>,
    /// False if another took its place or its hostname was removed.
    pub(crate) served: bool,
    /// It waits for its removed hostname to come back.
    pub(crate) kept: bool,
    /// Absent while it is served.
    pub(crate) forget_at: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Window {
    pub(crate) start: Option<String>,
    pub(crate) end: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Revocation {
    /// The reason's name, as RFC 5280 section 5.3.1 has it.
    pub(crate) reason: String,
    pub(crate) asked_at: Option<String>,
    /// wanted, done or refused.
    pub(crate) state: String,
    /// The CA's words.
    pub(crate) refusal: String,
    pub(crate) next_try: Option<String>,
}

impl From<wire::Certificate> for Certificate {
    fn from(wire: wire::Certificate) -> Self {
        let window = wire.window_start.is_some().then(|| Window {
            start: moment(wire.window_start.as_ref()),
            end: moment(wire.window_end.as_ref()),
        });
        Self {
            algorithm: match wire.algorithm() {
                wire::KeyAlgorithm::Unspecified => "unknown",
                wire::KeyAlgorithm::Ecdsa => "ecdsa",
                wire::KeyAlgorithm::Rsa => "rsa",
            },
            not_before: moment(wire.not_before.as_ref()),
            not_after: moment(wire.not_after.as_ref()),
            renew_at: moment(wire.renew_at.as_ref()),
            window,
            forget_at: moment(wire.forget_at.as_ref()),
            source: match id(&wire.ca) {
                "" => "uploaded".to_owned(),
                ca => ca.to_owned(),
            },
            hostname: id(&wire.hostname).to_owned(),
            id: wire.id,
            wildcard: wire.wildcard,
            serial: wire.serial,
            issuer: wire.issuer,
            reissue: wire.reissue,
            revocation: wire.revocation.map(Revocation::from),
            served: wire.served,
            kept: wire.kept,
        }
    }
}

impl From<wire::Revocation> for Revocation {
    fn from(wire: wire::Revocation) -> Self {
        let reason = wire.reason().as_str_name();
        let reason = reason.strip_prefix("REVOCATION_REASON_").unwrap_or(reason);
        Self {
            reason: reason.to_lowercase().replace('_', "-"),
            asked_at: moment(wire.asked_at.as_ref()),
            next_try: moment(wire.next_try.as_ref()),
            state: wire.state,
            refusal: wire.refusal,
        }
    }
}

impl Certificate {
    /// What is special about it.
    fn remark(&self) -> String {
        let mut said = Vec::new();
        if let Some(revocation) = &self.revocation {
            said.push(format!("revocation {}", revocation.state));
        }
        if !self.reissue.is_empty() {
            said.push(format!("to be replaced ({})", self.reissue));
        }
        match (self.served, self.kept) {
            (true, _) => {}
            (false, true) => said.push("waits for its hostname's return".to_owned()),
            (false, false) => said.push("served no more".to_owned()),
        }
        said.join(", ")
    }

    fn names(&self) -> String {
        let below = if self.wildcard {
            format!(", *.{}", self.hostname)
        } else {
            String::new()
        };
        format!("{}{below}", self.hostname)
    }
}

impl Shape for Certificate {
    fn table(&self) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let window = self.window.as_ref().map(|window| {
            let (start, end) = (text(&window.start), text(&window.end));
            format!("{start} to {end}")
        });
        let revocation = self.revocation.as_ref().map(|revocation| {
            let Revocation {
                reason,
                state,
                refusal,
                ..
            } = revocation;
            format!("{state} ({reason}) {refusal}")
                .trim_end()
                .to_owned()
        });
        let renew = match (&self.renew_at, self.served) {
            (None, true) => "by hand only".to_owned(),
            (at, _) => text(at),
        };
        pairs(vec![
            ("id", self.id.clone()),
            ("names", self.names()),
            ("key", self.algorithm.to_owned()),
            ("source", self.source.clone()),
            ("issuer", self.issuer.clone()),
            ("serial", self.serial.clone()),
            ("not before", text(&self.not_before)),
            ("not after", text(&self.not_after)),
            ("renew at", renew),
            ("ca's window", window.unwrap_or_default()),
            ("revocation", revocation.unwrap_or_default()),
            ("remark", self.remark()),
            ("forgotten at", text(&self.forget_at)),
        ])
    }
}

/// Many certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Certificates {
    pub(crate) certificates: Vec<Certificate>,
}

impl Shape for Certificates {
    fn table(&self) -> String {
        let header = ["id", "names", "key", "source", "issuer", "not after", ""];
        let row = |certificate: &Certificate| {
            vec![
                certificate.id.clone(),
                certificate.names(),
                certificate.algorithm.to_owned(),
                certificate.source.clone(),
                certificate.issuer.clone(),
                certificate.not_after.clone().unwrap_or_default(),
                certificate.remark(),
            ]
        };
        rows(&header, self.certificates.iter().map(row).collect())
    }
}

/// A certificate and its issuers, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Pem {
    pub(crate) pem: String,
}

impl Shape for Pem {
    fn table(&self) -> String {
        self.pem.clone()
    }
}

/// A certificate that is served now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Uploaded {
    pub(crate) certificate: Option<Certificate>,
    /// What may surprise.
    pub(crate) warnings: Vec<String>,
}

impl Shape for Uploaded {
    fn table(&self) -> String {
        let mut text = self
            .certificate
            .as_ref()
            .map(Shape::table)
            .unwrap_or_default();
        for warning in &self.warnings {
            text.push_str(&format!("\nnote: {}", clean(warning)));
        }
        text
    }
}

/// A request for a CA of one's own to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Request {
    pub(crate) hostname: String,
    pub(crate) csr_pem: String,
    pub(crate) created_at: Option<String>,
    /// Where it was written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
}

impl From<wire::CertificateRequest> for Request {
    fn from(wire: wire::CertificateRequest) -> Self {
        Self {
            created_at: moment(wire.created_at.as_ref()),
            hostname: id(&wire.hostname).to_owned(),
            csr_pem: wire.csr_pem,
            file: None,
        }
    }
}

impl Shape for Request {
    fn table(&self) -> String {
        match &self.file {
            None => self.csr_pem.clone(),
            Some(file) => format!("the request for {} is in {file}", self.hostname),
        }
    }
}

/// A mass reissue: what it would be, or what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Plan {
    pub(crate) certificates: u64,
    pub(crate) hostnames: u64,
    /// Matching ones that were uploaded: they are left.
    pub(crate) uploaded: u64,
    /// The first few hostnames.
    pub(crate) sample: Vec<String>,
    /// When the last is there; absent if that is beyond a year.
    pub(crate) done_at: Option<String>,
    pub(crate) notes: Vec<String>,
    /// Of how many hostnames it was asked for; absent if it was only planned.
    pub(crate) asked: Option<u64>,
}

impl From<wire::ReissuePlan> for Plan {
    fn from(wire: wire::ReissuePlan) -> Self {
        Self {
            done_at: moment(wire.done_at.as_ref()),
            certificates: wire.certificates,
            hostnames: wire.hostnames,
            uploaded: wire.uploaded,
            sample: wire.sample,
            notes: wire.notes,
            asked: None,
        }
    }
}

impl Shape for Plan {
    fn table(&self) -> String {
        let mut sample = self.sample.join(", ");
        let named = u64::try_from(self.sample.len()).unwrap_or(u64::MAX);
        if self.hostnames > named {
            sample.push_str(", ...");
        }
        let asked = match self.asked {
            None => "nothing: give --yes to do it".to_owned(),
            Some(asked) => format!("of {asked} hostnames"),
        };
        let done = self.done_at.clone();
        pairs(vec![
            (
                "matching",
                format!(
                    "{} certificates of {} hostnames",
                    self.certificates, self.hostnames
                ),
            ),
            ("such as", sample),
            ("done by", done.unwrap_or("later than in a year".to_owned())),
            ("note", self.notes.join("; ")),
            ("asked for", asked),
        ])
    }
}
