//! Issued certificates: reading and revoking them (RFC 8555 sections 7.4.2 and 7.6).

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::authenticate::SignedBy;
use crate::authority::Leaf;
use crate::authorization::AuthorizationStatus;
use crate::book::{Record, Row};
use crate::core::{Core, expect_empty, read};
use crate::key::PublicKey;
use crate::moment::Moment;
use crate::order::Order;
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::routes::Route;
use crate::step::Turn;
use crate::timestamp::Timestamp;

/// The reasons of RFC 5280 section 5.3.1 that a subscriber may give: unspecified,
/// keyCompromise, affiliationChanged, superseded, cessationOfOperation,
/// privilegeWithdrawn. The others speak about CAs, or are not final.
const REASONS: [u8; 6] = [0, 1, 3, 4, 5, 9];

/// Chains beside the usual one, at most: each has a root of its own.
const MAX_ALTERNATES: u8 = 8;

/// One certificate that this CA issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The serial number, lower-case hex.
    pub(crate) serial: String,
    pub(crate) order: String,
    pub(crate) account: String,
    pub(crate) names: Vec<String>,
    /// DER, in base64.
    der: String,
    pub(crate) issued: Timestamp,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) revoked: Option<Revocation>,
    /// `issued` in milliseconds since the epoch; zero in records that are older than this.
    #[serde(default, skip_serializing_if = "Moment::is_epoch")]
    pub(crate) made: Moment,
    /// Whether its key is RSA, and not of an elliptic curve.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_rsa: bool,
}

/// That a certificate was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// When, in Unix seconds.
    pub at: Timestamp,
    /// Why: a code of RFC 5280 section 5.3.1.
    pub reason: u8,
}

impl Row for Certificate {
    fn id(&self) -> &str {
        &self.serial
    }
}

impl Certificate {
    pub(crate) fn new(leaf: Leaf, is_rsa: bool, order: &Order, now: Moment) -> Self {
        Self {
            serial: HEXLOWER.encode(&leaf.serial),
            order: order.id.clone(),
            account: order.account.clone(),
            names: order.names.clone(),
            der: BASE64.encode(&leaf.der),
            issued: now.timestamp(),
            made: now,
            is_rsa,
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            revoked: None,
        }
    }

    /// The leaf alone, as RFC 7468 writes it.
    fn pem(&self) -> String {
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        let mut rest = self.der.as_str();
        while !rest.is_empty() {
            let (line, tail) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = tail;
        }
        pem + "-----END CERTIFICATE-----\n"
    }
}

#[derive(Deserialize)]
struct Revoke {
    certificate: String,
    reason: Option<u64>,
}

impl Core {
    /// RFC 8555 section 7.4.2: the leaf and the intermediate; the root is the client's.
    /// `number` is zero for the usual chain, else one of the alternate ones.
    pub(crate) fn certificate(
        &mut self,
        account: &Account,
        serial: &str,
        number: u8,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Reply, Problem> {
        let certificate = self.book.certificates.get(serial);
        let certificate = certificate
            .ok_or_else(|| Problem::not_found(&format!("the certificate {serial:?}")))?;
        if certificate.account != account.id {
            return Err(self.anothers(&format!("the certificate {serial:?}")));
        }
        expect_empty(payload)?;
        let leaf = certificate.pem();
        let alternates = self.behaviour.alternate_chains.min(MAX_ALTERNATES);
        if number > alternates {
            return Err(Problem::not_found(&format!("chain {number} of {serial:?}")));
        }
        self.authority
            .grow_alternates(alternates, turn.now, turn.entropy)
            .map_err(|error| Problem::new(Kind::ServerInternal, error.to_string()))?;
        let intermediate = self.authority.intermediate_pem(number);
        let chain = leaf + intermediate.unwrap_or_default();
        let mut reply = Reply::body(StatusCode::OK, "application/pem-certificate-chain", chain);
        for other in (0..=alternates).filter(|other| *other != number) {
            let route = match other {
                0 => Route::Certificate(serial.into()),
                _ => Route::AlternateChain(serial.into(), other),
            };
            reply = reply.link(&self.links.to(&route), "alternate");
        }
        Ok(reply)
    }

    /// RFC 8555 section 7.6.
    pub(crate) fn revoke(
        &mut self,
        by: &SignedBy,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Reply, Problem> {
        let request: Revoke = read(payload)?;
        let der = BASE64URL_NOPAD
            .decode(request.certificate.as_bytes())
            .map_err(|error| {
                Problem::malformed(format!(
                    "\"certificate\" is not unpadded base64url: {error}"
                ))
            })?;
        let (mut certificate, key) = self.issued(&der)?;
        if !self.may_revoke(by, &certificate, &key, turn.now) {
            return Err(Problem::unauthorized(
                "only the account that ordered the certificate, an account with valid \
                 authorizations for all its names, or its own key may revoke it",
            ));
        }
        let reason = u8::try_from(request.reason.unwrap_or(0))
            .ok()
            .filter(|reason| REASONS.contains(reason))
            .ok_or_else(|| {
                let detail = format!("the reason is none of the codes {REASONS:?} of RFC 5280");
                Problem::new(Kind::BadRevocationReason, detail)
            })?;
        if let Some(earlier) = &certificate.revoked {
            return Err(Problem::new(
                Kind::AlreadyRevoked,
                format!("the certificate was revoked at {}", earlier.at),
            ));
        }
        certificate.revoked = Some(Revocation {
            at: turn.now,
            reason,
        });
        self.put(Record::Certificate(certificate), turn);
        Ok(Reply::empty(StatusCode::OK))
    }

    /// Finds a certificate of ours by its bytes.
    fn issued(&self, der: &[u8]) -> Result<(Certificate, PublicKey), Problem> {
        let (_, parsed) = x509_parser::parse_x509_certificate(der)
            .map_err(|_| Problem::malformed("\"certificate\" is not a DER certificate"))?;
        let serial = HEXLOWER.encode(parsed.raw_serial());
        let certificate = self.book.certificates.get(&serial);
        let certificate = certificate
            .filter(|certificate| certificate.der == BASE64.encode(der))
            .ok_or_else(|| Problem::not_found("a certificate of these bytes"))?;
        let key = PublicKey::from_spki(parsed.public_key())
            .map_err(|error| Problem::malformed(error.to_string()))?;
        Ok((certificate.clone(), key))
    }

    fn may_revoke(
        &self,
        by: &SignedBy,
        certificate: &Certificate,
        key: &PublicKey,
        now: Timestamp,
    ) -> bool {
        match by {
            SignedBy::Key(signer) => signer == key,
            SignedBy::Account(account) => {
                account.id == certificate.account
                    || self.is_authorized_for(account, &certificate.names, now)
            }
        }
    }

    fn is_authorized_for(&self, account: &Account, names: &[String], now: Timestamp) -> bool {
        names.iter().all(|name| {
            self.book.authorizations.rows().iter().any(|row| {
                row.account == account.id
                    && row.name == *name
                    && row.status(now) == AuthorizationStatus::Valid
            })
        })
    }
}
