//! The CA's resources and their URLs, both ways.

use http::Method;

/// The ways to prove control of a hostname that this CA offers.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum ChallengeKind {
    /// A file fetched over HTTP (RFC 8555 section 8.3).
    #[serde(rename = "http-01")]
    Http01,
    /// A certificate seen in a TLS handshake (RFC 8737).
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    /// A TXT record (RFC 8555 section 8.4).
    #[serde(rename = "dns-01")]
    Dns01,
}

impl ChallengeKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Http01, Self::TlsAlpn01, Self::Dns01];

    /// Its name in ACME.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
        }
    }
}

/// What a path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Directory,
    Terms,
    Website,
    Root,
    /// The root of an alternate chain, counted from one.
    AlternateRoot(u8),
    Ledger,
    RenewalInfo(String),
    NewNonce,
    NewAccount,
    Account(String),
    AccountOrders(String),
    KeyChange,
    NewOrder,
    Order(String),
    Finalize(String),
    Authorization(String),
    Challenge(String, ChallengeKind),
    Certificate(String),
    /// A certificate with another chain, counted from one.
    AlternateChain(String, u8),
    Revoke,
}

impl Route {
    /// The route of a path, if it is one of ours.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let segments: Vec<_> = path.strip_prefix('/')?.split('/').collect();
        Some(match segments.as_slice() {
            [""] => Self::Website,
            ["directory"] => Self::Directory,
            ["terms"] => Self::Terms,
            ["management", "root"] => Self::Root,
            ["management", "root", number] => Self::AlternateRoot(number.parse().ok()?),
            ["renewal-info", id] => Self::RenewalInfo((*id).into()),
            ["management", "ledger"] => Self::Ledger,
            ["nonce"] => Self::NewNonce,
            ["account"] => Self::NewAccount,
            ["account", id] => Self::Account((*id).into()),
            ["account", id, "orders"] => Self::AccountOrders((*id).into()),
            ["key-change"] => Self::KeyChange,
            ["order"] => Self::NewOrder,
            ["order", id] => Self::Order((*id).into()),
            ["order", id, "finalize"] => Self::Finalize((*id).into()),
            ["authorization", id] => Self::Authorization((*id).into()),
            ["authorization", id, name] => Self::Challenge(
                (*id).into(),
                ChallengeKind::ALL
                    .into_iter()
                    .find(|kind| kind.name() == *name)?,
            ),
            ["certificate", serial] => Self::Certificate((*serial).into()),
            ["certificate", serial, number] => {
                Self::AlternateChain((*serial).into(), number.parse().ok()?)
            }
            ["revoke"] => Self::Revoke,
            _ => return None,
        })
    }

    /// The path of this route.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Website => "/".into(),
            Self::Directory => "/directory".into(),
            Self::Terms => "/terms".into(),
            Self::Root => "/management/root".into(),
            Self::AlternateRoot(number) => format!("/management/root/{number}"),
            Self::RenewalInfo(id) => format!("/renewal-info/{id}"),
            Self::Ledger => "/management/ledger".into(),
            Self::NewNonce => "/nonce".into(),
            Self::NewAccount => "/account".into(),
            Self::Account(id) => format!("/account/{id}"),
            Self::AccountOrders(id) => format!("/account/{id}/orders"),
            Self::KeyChange => "/key-change".into(),
            Self::NewOrder => "/order".into(),
            Self::Order(id) => format!("/order/{id}"),
            Self::Finalize(id) => format!("/order/{id}/finalize"),
            Self::Authorization(id) => format!("/authorization/{id}"),
            Self::Challenge(id, kind) => format!("/authorization/{id}/{}", kind.name()),
            Self::Certificate(serial) => format!("/certificate/{serial}"),
            Self::AlternateChain(serial, number) => format!("/certificate/{serial}/{number}"),
            Self::Revoke => "/revoke".into(),
        }
    }

    /// Whether this is read by GET without a signature; all else is POST (RFC 8555
    /// section 6.3).
    pub(crate) fn is_public(&self) -> bool {
        matches!(
            self,
            Self::Website
                | Self::Directory
                | Self::Terms
                | Self::Root
                | Self::AlternateRoot(_)
                | Self::Ledger
                | Self::NewNonce
                | Self::RenewalInfo(_)
        )
    }

    /// Whether `method` may be used on this route.
    pub(crate) fn allows(&self, method: &Method) -> bool {
        if self.is_public() {
            method == Method::GET || method == Method::HEAD
        } else {
            method == Method::POST
        }
    }

    /// The `Allow` header of this route.
    pub(crate) fn allowed(&self) -> &'static str {
        if self.is_public() {
            "GET, HEAD"
        } else {
            "POST"
        }
    }
}

/// The absolute URLs of this CA.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    base: String,
}

impl Links {
    /// Links below `base`, which has a scheme, a host, perhaps a port, and no path.
    pub(crate) fn new(base: String) -> Self {
        Self { base }
    }

    pub(crate) fn to(&self, route: &Route) -> String {
        format!("{}{}", self.base, route.path())
    }

    /// The URL a request line with this path (and query) means.
    pub(crate) fn at(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.base)
    }

    /// The route a URL of ours leads to.
    pub(crate) fn parse(&self, url: &str) -> Option<Route> {
        Route::parse(url.strip_prefix(&self.base)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_again_by_its_url() {
        let links = Links::new("https://127.0.0.1:14000".into());
        for route in [
            Route::Website,
            Route::Directory,
            Route::Terms,
            Route::Root,
            Route::AlternateRoot(1),
            Route::Ledger,
            Route::RenewalInfo("a.b".into()),
            Route::NewNonce,
            Route::NewAccount,
            Route::Account("a".into()),
            Route::AccountOrders("a".into()),
            Route::KeyChange,
            Route::NewOrder,
            Route::Order("o".into()),
            Route::Finalize("o".into()),
            Route::Authorization("z".into()),
            Route::Challenge("z".into(), ChallengeKind::Http01),
            Route::Challenge("z".into(), ChallengeKind::TlsAlpn01),
            Route::Certificate("5a".into()),
            Route::AlternateChain("5a".into(), 1),
            Route::Revoke,
        ] {
            assert_eq!(links.parse(&links.to(&route)), Some(route));
        }
    }

    #[test]
    fn other_paths_lead_nowhere() {
        for path in [
            "",
            "directory",
            "/directory/",
            "/authorization/z/dns-02",
            "/order/o/x",
            "/management",
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
