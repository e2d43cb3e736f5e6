//! Orders, certificates and their renewal (RFC 8555 sections 7.4 and 7.6, RFC 9773).

use std::collections::BTreeSet;

use instant_acme::{
    CertificateIdentifier, Identifier, NewOrder, RevocationReason as Reason, RevocationRequest,
};
use rustls::pki_types::CertificateDer;
use serde_json::json;

use super::{Acme, answer::Answer, directory::Directory, document, instant::call, jws::encode};
use crate::{
    fence::Permit,
    issuance::authority::{
        AuthorityError, ChainView, Feature, FinalizeRequest, OrderRequest, OrderView, Problem,
        RenewalInfo, RevocationReason,
    },
};

impl Acme {
    pub(super) async fn place_order(
        &self,
        request: &OrderRequest<'_>,
        permit: Permit,
    ) -> Result<OrderView, AuthorityError> {
        let session = self.session().await?;
        may_ask(&session.directory, request)?;
        let identifiers: Vec<Identifier> = request
            .identifiers()
            .into_iter()
            .map(Identifier::Dns)
            .collect();
        let mut order = NewOrder::new(&identifiers);
        if let Some(profile) = request.profile {
            order = order.profile(profile);
        }
        if let Some(replaces) = request.replaces {
            order = order.replaces(identifier(replaces)?);
        }
        let asked = call(
            Some(permit),
            || self.site.now(),
            || session.account.new_order(&order),
        );
        let answer = asked.await.map_err(|error| not_replaced(request, error))?;
        let url = answer.location("an order")?;
        let view = self.order_in(&answer, url).await?;
        as_asked(request, view)
    }

    pub(super) async fn read_order(&self, url: &str) -> Result<OrderView, AuthorityError> {
        let session = self.session().await?;
        let asked = call(
            None,
            || self.site.now(),
            || session.account.order(url.to_owned()),
        );
        self.order_in(&asked.await?, url).await
    }

    pub(super) async fn finalize_order(
        &self,
        request: &FinalizeRequest<'_>,
        permit: Permit,
    ) -> Result<OrderView, AuthorityError> {
        let payload = json!({ "csr": encode(request.csr) }).to_string();
        let act = self.act(request.finalize_url, payload.as_bytes(), permit);
        let answer = act.await?;
        self.order_in(&answer, request.order_url).await
    }

    async fn order_in(&self, answer: &Answer, url: &str) -> Result<OrderView, AuthorityError> {
        let directory = self.site.directory().await?;
        document::order(answer, url, &directory.hosts, self.site.now())
    }

    pub(super) async fn download(&self, url: &str) -> Result<ChainView, AuthorityError> {
        let answer = self.read(url).await?;
        let directory = self.site.directory().await?;
        let mut alternates = answer.alternates();
        // A stray one is no reason to do without the certificate.
        alternates.retain(|link| directory.hosts.check(link).is_ok());
        Ok(ChainView {
            pem: answer.pem()?,
            alternates,
        })
    }

    pub(super) async fn revoke_certificate(
        &self,
        leaf: &[u8],
        reason: RevocationReason,
        permit: Permit,
    ) -> Result<(), AuthorityError> {
        let session = self.session().await?;
        session.directory.revocation()?;
        let certificate = CertificateDer::from(leaf);
        let request = RevocationRequest {
            certificate: &certificate,
            reason: Some(match reason {
                RevocationReason::Unspecified => Reason::Unspecified,
                RevocationReason::KeyCompromise => Reason::KeyCompromise,
                RevocationReason::Superseded => Reason::Superseded,
                RevocationReason::CessationOfOperation => Reason::CessationOfOperation,
            }),
        };
        let asked = call(
            Some(permit),
            || self.site.now(),
            || session.account.revoke(&request),
        );
        match asked.await {
            Err(error) if error.kind() == "alreadyRevoked" => Ok(()),
            done => done.map(|_| ()),
        }
    }

    pub(super) async fn read_renewal_info(
        &self,
        renewal_id: &str,
    ) -> Result<RenewalInfo, AuthorityError> {
        // Also what it may be made of: it becomes a part of the URL.
        identifier(renewal_id)?;
        let directory = self.site.directory().await?;
        let url = format!("{}/{renewal_id}", directory.renewal_info()?);
        let answer = self.site.get(&url).await;
        let answer = answer.map_err(|error| match &error {
            AuthorityError::Refused(Problem { status: 404, .. })
            | AuthorityError::Unavailable { status: 404, .. } => {
                AuthorityError::Unsupported(Feature::RenewalInfo)
            }
            _ => error,
        })?;
        document::renewal_info(&answer, self.site.now())
    }
}

/// What the directory rules out costs no order.
fn may_ask(directory: &Directory, request: &OrderRequest<'_>) -> Result<(), AuthorityError> {
    if request.replaces.is_some() {
        directory.renewal_info()?;
    }
    let profiles = &directory.view.profiles;
    match request.profile {
        Some(profile) if !profiles.contains_key(profile) => Err(AuthorityError::ProfileUnknown {
            profile: profile.to_owned(),
            offered: profiles.keys().cloned().collect(),
        }),
        _ => Ok(()),
    }
}

/// A refusal of `replaces`, told from others: Boulder says `alreadyReplaced` (409) when
/// another order or certificate took the place, and CAs that do not know the certificate
/// answer 404, which newOrder has no other reason for.
fn not_replaced(request: &OrderRequest<'_>, error: AuthorityError) -> AuthorityError {
    match error {
        AuthorityError::Refused(problem)
            if request.replaces.is_some()
                && (problem.kind == "alreadyReplaced" || matches!(problem.status, 404 | 409)) =>
        {
            AuthorityError::ReplacesRefused(problem)
        }
        other => other,
    }
}

/// The order is what was asked for, in all that it says of itself.
fn as_asked(request: &OrderRequest<'_>, view: OrderView) -> Result<OrderView, AuthorityError> {
    let wanted = request.identifiers();
    let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let got: BTreeSet<&str> = view.identifiers.iter().map(String::as_str).collect();
    if !got.is_empty() && got != wanted {
        let text = format!("the order {} is for other names", view.url);
        return Err(AuthorityError::Malformed(text));
    }
    if let Some(profile) = request.profile
        && view.profile.as_deref() != Some(profile)
    {
        return Err(AuthorityError::ProfileIgnored {
            profile: profile.to_owned(),
            order_url: view.url,
        });
    }
    if request.replaces.is_some() && view.replaces.as_deref() != request.replaces {
        return Err(AuthorityError::ReplacesIgnored(Box::new(view)));
    }
    Ok(view)
}

/// A renewal id as instant-acme takes it: two parts in base64url.
fn identifier(renewal_id: &str) -> Result<CertificateIdentifier<'_>, AuthorityError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let part = |part: &str| !part.is_empty() && part.bytes().all(plain);
    match renewal_id.split_once('.') {
        Some((authority, serial)) if part(authority) && part(serial) => Ok(CertificateIdentifier {
            authority_key_identifier: authority.into(),
            serial: serial.into(),
        }),
        _ => Err(AuthorityError::Unusable(
            "a certificate to be replaced is named by no renewal id".to_owned(),
        )),
    }
}
