//! The CA's JSON documents, and what is made of them: every URL checked to be the CA's.

use std::collections::BTreeMap;

use http::Uri;
use serde::Deserialize;
use state::{Hostname, Timestamp};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{answer::Answer, directory::Hosts};
use crate::issuance::authority::{
    AuthorityError, AuthorizationStatus, AuthorizationView, ChallengeKind, ChallengeStatus,
    ChallengeView, OrderStatus, OrderView, Persist, Problem, RenewalInfo, Subproblem,
};

/// Most authorizations of an order, and challenges of an authorization, that are taken: we
/// ask for two names, and there are a handful of kinds.
const ITEMS_MOST: usize = 32;

/// The order in an answer, found at `url`.
pub(super) fn order(
    answer: &Answer,
    url: &str,
    hosts: &Hosts,
    now: Timestamp,
) -> Result<OrderView, AuthorityError> {
    let order: OrderDocument = answer.document("order")?;
    if order.authorizations.is_empty() || order.authorizations.len() > ITEMS_MOST {
        let count = order.authorizations.len();
        let text = format!("an order with {count} authorizations");
        return Err(AuthorityError::Malformed(text));
    }
    let links = order.authorizations.iter().chain(&order.certificate);
    for link in links.chain([&order.finalize]) {
        hosts.check(link)?;
    }
    hosts.check(url)?;
    let status = match order.status.as_str() {
        "pending" => OrderStatus::Pending,
        "ready" => OrderStatus::Ready,
        "processing" => OrderStatus::Processing,
        "valid" => OrderStatus::Valid,
        // Some CAs say `deactivated` or `expired`: over, all of them.
        _ => OrderStatus::Invalid,
    };
    let identifiers = order.identifiers.into_iter().map(|it| it.value).collect();
    Ok(OrderView {
        url: url.to_owned(),
        status,
        identifiers,
        authorization_urls: order.authorizations,
        finalize_url: order.finalize,
        certificate_url: order.certificate,
        profile: order.profile,
        replaces: order.replaces,
        expires: order.expires.as_deref().and_then(timestamp),
        error: order.error.and_then(ProblemDocument::into_problem),
        retry_after: answer.retry_after(now),
    })
}

/// The authorization in an answer, found at `url`.
pub(super) fn authorization(
    answer: &Answer,
    url: &str,
    hosts: &Hosts,
    now: Timestamp,
) -> Result<AuthorizationView, AuthorityError> {
    let document: AuthorizationDocument = answer.document("authorization")?;
    let status = match document.status.as_str() {
        "pending" => AuthorizationStatus::Pending,
        "valid" => AuthorizationStatus::Valid,
        _ => AuthorizationStatus::Invalid,
    };
    let name = document.identifier.value;
    // A few CAs leave the `*.` in the name.
    let bare = name.strip_prefix("*.");
    let hostname = Hostname::parse(bare.unwrap_or(&name)).map_err(|error| {
        AuthorityError::Malformed(format!("an authorization for what is no hostname: {error}"))
    })?;
    let challenges = document.challenges.into_iter().take(ITEMS_MOST);
    Ok(AuthorizationView {
        url: url.to_owned(),
        hostname,
        wildcard: document.wildcard || bare.is_some(),
        status,
        expires: document.expires.as_deref().and_then(timestamp),
        challenges: challenges
            .map(|challenge| challenge.into_view(hosts))
            .collect::<Result<_, _>>()?,
        retry_after: answer.retry_after(now),
    })
}

/// The renewal information in an answer.
pub(super) fn renewal_info(answer: &Answer, now: Timestamp) -> Result<RenewalInfo, AuthorityError> {
    let document: RenewalDocument = answer.document("renewal information")?;
    let window = document.suggested_window;
    let moments = timestamp(&window.start).zip(timestamp(&window.end));
    let Some((start, end)) = moments.filter(|(start, end)| start < end) else {
        let text = "renewal information without a window".to_owned();
        return Err(AuthorityError::Malformed(text));
    };
    Ok(RenewalInfo {
        start,
        end,
        explanation_url: document.explanation_url,
        retry_after: answer.retry_after(now),
    })
}

/// How the account in an answer stands, if it says.
pub(super) fn account_status(answer: &Answer) -> Option<String> {
    let document: AccountDocument = serde_json::from_slice(answer.body()).ok()?;
    document.status
}

fn timestamp(text: &str) -> Option<Timestamp> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let millis = moment.unix_timestamp_nanos() / 1_000_000;
    u64::try_from(millis).ok().map(Timestamp)
}

/// RFC 8555 section 8.1 allows a token nothing else, and it becomes a part of paths.
fn is_token(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=256).contains(&text.len()) && text.bytes().all(plain)
}

/// RFC 8555 section 7.1.1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DirectoryDocument {
    pub(super) new_nonce: String,
    pub(super) new_account: String,
    pub(super) new_order: String,
    pub(super) revoke_cert: Option<String>,
    pub(super) key_change: Option<String>,
    pub(super) renewal_info: Option<String>,
    #[serde(default)]
    pub(super) meta: MetaDocument,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetaDocument {
    pub(super) terms_of_service: Option<String>,
    pub(super) website: Option<String>,
    #[serde(default)]
    pub(super) caa_identities: Vec<String>,
    #[serde(default)]
    pub(super) external_account_required: bool,
    #[serde(default)]
    pub(super) profiles: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct OrderDocument {
    status: String,
    #[serde(default)]
    identifiers: Vec<IdentifierDocument>,
    authorizations: Vec<String>,
    finalize: String,
    certificate: Option<String>,
    profile: Option<String>,
    replaces: Option<String>,
    expires: Option<String>,
    error: Option<ProblemDocument>,
}

#[derive(Default, Deserialize)]
struct IdentifierDocument {
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct AuthorizationDocument {
    identifier: IdentifierDocument,
    status: String,
    #[serde(default)]
    wildcard: bool,
    expires: Option<String>,
    challenges: Vec<ChallengeDocument>,
}

#[derive(Deserialize)]
struct ChallengeDocument {
    #[serde(rename = "type")]
    kind: String,
    url: String,
    token: Option<String>,
    #[serde(default)]
    status: String,
    error: Option<ProblemDocument>,
    accounturi: Option<String>,
    #[serde(rename = "issuer-domain-names", default)]
    issuer_domain_names: Vec<String>,
}

impl ChallengeDocument {
    fn into_view(self, hosts: &Hosts) -> Result<ChallengeView, AuthorityError> {
        hosts.check(&self.url)?;
        let kind = ChallengeKind::of(&self.kind);
        let token = self.token.filter(|token| !token.is_empty());
        if token.as_deref().is_some_and(|token| !is_token(token)) {
            let text = "a challenge's token is not base64url".to_owned();
            return Err(AuthorityError::Malformed(text));
        }
        let persist = (kind == ChallengeKind::DnsPersist01).then_some(Persist {
            account_uri: self.accounturi,
            issuer_domain_names: self.issuer_domain_names,
        });
        Ok(ChallengeView {
            kind,
            url: self.url,
            token,
            persist,
            status: match self.status.as_str() {
                "processing" => ChallengeStatus::Processing,
                "valid" => ChallengeStatus::Valid,
                "invalid" => ChallengeStatus::Invalid,
                _ => ChallengeStatus::Pending,
            },
            error: self.error.and_then(ProblemDocument::into_problem),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RenewalDocument {
    suggested_window: WindowDocument,
    #[serde(rename = "explanationURL")]
    explanation_url: Option<String>,
}

#[derive(Deserialize)]
struct WindowDocument {
    start: String,
    end: String,
}

#[derive(Deserialize)]
struct AccountDocument {
    status: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ProblemDocument {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    detail: String,
    instance: Option<Box<str>>,
    #[serde(default)]
    subproblems: Vec<SubproblemDocument>,
}

#[derive(Deserialize)]
struct SubproblemDocument {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    identifier: IdentifierDocument,
}

impl ProblemDocument {
    /// `None` if it says nothing: then it is some other JSON.
    pub(super) fn into_problem(self) -> Option<Problem> {
        if self.kind.is_empty() && self.detail.is_empty() {
            return None;
        }
        let subproblems = self.subproblems.into_iter();
        let subproblems = subproblems.take(Problem::SUBPROBLEMS_MOST);
        Some(Problem {
            kind: bare(&self.kind),
            instance: self.instance.or_else(|| link_in(&self.detail)),
            detail: self.detail,
            subproblems: subproblems
                .map(|sub| Subproblem {
                    identifier: sub.identifier.value,
                    kind: bare(&sub.kind),
                    detail: sub.detail,
                })
                .collect(),
            ..Problem::default()
        })
    }
}

fn bare(kind: &str) -> String {
    let acme = kind.strip_prefix("urn:ietf:params:acme:error:");
    acme.unwrap_or(kind).to_owned()
}

/// Boulder tells where to go inside the text.
fn link_in(detail: &str) -> Option<Box<str>> {
    let (_, link) = detail.split_once("visit: ")?;
    let link = link.split_whitespace().next()?;
    let uri: Uri = link.parse().ok()?;
    (uri.scheme_str() == Some("https")).then(|| link.into())
}

#[cfg(test)]
mod tests;
