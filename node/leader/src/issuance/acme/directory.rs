//! A CA's directory (RFC 8555 section 7.1.1), and which hosts are the CA's.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use http::Uri;

use super::{
    answer::{Answer, Failure},
    document::{DirectoryDocument, MetaDocument},
    pacer::Endpoint,
};
use crate::issuance::authority::{AuthorityError, DirectoryView, Feature};

/// What a CA offers, and where.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) new_nonce: String,
    pub(super) new_account: String,
    new_order: String,
    revocation: Option<String>,
    key_change: Option<String>,
    renewal_info: Option<String>,
    pub(super) hosts: Hosts,
    pub(super) view: Arc<DirectoryView>,
    /// As it came, for instant-acme.
    pub(super) bytes: Bytes,
}

impl Directory {
    /// The directory in an answer, read at `url`.
    pub(super) fn read(answer: &Answer, url: &Uri) -> Result<Self, AuthorityError> {
        let document: DirectoryDocument = answer.document("directory")?;
        let DirectoryDocument {
            new_nonce,
            new_account,
            new_order,
            revoke_cert: revocation,
            key_change,
            renewal_info,
            meta,
        } = document;
        let mut hosts = Hosts::of(url);
        let optional = revocation.iter().chain(&key_change).chain(&renewal_info);
        for link in [&new_nonce, &new_account, &new_order]
            .into_iter()
            .chain(optional)
        {
            hosts.add(link)?;
        }
        let view = Arc::new(DirectoryView {
            has_renewal_info: renewal_info.is_some(),
            has_key_change: key_change.is_some(),
            ..view(meta)
        });
        Ok(Self {
            new_nonce,
            new_account,
            new_order,
            revocation,
            key_change,
            renewal_info,
            hosts,
            view,
            bytes: answer.body().clone(),
        })
    }

    pub(super) fn key_change(&self) -> Result<&str, AuthorityError> {
        offered(self.key_change.as_deref(), Feature::KeyChange)
    }

    pub(super) fn revocation(&self) -> Result<&str, AuthorityError> {
        offered(self.revocation.as_deref(), Feature::Revocation)
    }

    pub(super) fn renewal_info(&self) -> Result<&str, AuthorityError> {
        offered(self.renewal_info.as_deref(), Feature::RenewalInfo)
    }

    /// Which of the CA's rates a request counts against.
    pub(super) fn endpoint(&self, uri: &str) -> Endpoint {
        let is = |known: &Option<String>| known.as_deref() == Some(uri);
        let renewal = self.renewal_info.as_deref();
        if uri == self.new_nonce {
            Endpoint::NewNonce
        } else if uri == self.new_order {
            Endpoint::NewOrder
        } else if uri == self.new_account {
            Endpoint::NewAccount
        } else if is(&self.revocation) {
            Endpoint::Revocation
        } else if renewal.is_some_and(|base| uri.starts_with(base)) {
            Endpoint::RenewalInfo
        } else {
            Endpoint::Other
        }
    }
}

fn offered(link: Option<&str>, feature: Feature) -> Result<&str, AuthorityError> {
    link.ok_or(AuthorityError::Unsupported(feature))
}

fn view(meta: MetaDocument) -> DirectoryView {
    DirectoryView {
        profiles: meta.profiles,
        caa_identities: meta.caa_identities,
        terms_of_service: meta.terms_of_service,
        website: meta.website,
        external_account_required: meta.external_account_required,
        ..DirectoryView::default()
    }
}

/// The hosts of a CA, with their ports: that of its directory, and those that its
/// directory names. Nothing is ever asked of another: a link that leads away (a Location
/// above all) would have us sign requests for a stranger.
#[derive(Clone, Debug)]
pub(super) struct Hosts(HashSet<String>);

impl Hosts {
    /// That of the directory alone.
    pub(super) fn of(directory: &Uri) -> Self {
        Self(host_of(directory).into_iter().collect())
    }

    fn add(&mut self, link: &str) -> Result<(), AuthorityError> {
        match host_in(link) {
            Some(host) => {
                self.0.insert(host);
                Ok(())
            }
            None => Err(AuthorityError::Malformed(
                "a link in its directory is no https URL".to_owned(),
            )),
        }
    }

    pub(super) fn contains(&self, uri: &Uri) -> bool {
        host_of(uri).is_some_and(|host| self.0.contains(&host))
    }

    /// That a link leads to one of them, over HTTPS.
    pub(super) fn check(&self, link: &str) -> Result<(), AuthorityError> {
        if host_in(link).is_some_and(|host| self.0.contains(&host)) {
            return Ok(());
        }
        let shown: String = link.chars().filter(|c| !c.is_control()).take(200).collect();
        Err(Failure::Stray(shown).into())
    }
}

fn host_in(link: &str) -> Option<String> {
    let uri: Uri = link.parse().ok()?;
    (uri.scheme_str() == Some("https")).then(|| host_of(&uri))?
}

fn host_of(uri: &Uri) -> Option<String> {
    let authority = uri.authority()?;
    let host = authority.host().to_ascii_lowercase();
    let port = authority.port_u16().unwrap_or(443);
    // `https://ca.example@evil.example` would go to the latter.
    (!authority.as_str().contains('@')).then(|| format!("{host}:{port}"))
}
