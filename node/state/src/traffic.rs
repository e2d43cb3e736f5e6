//! How traffic is served: what operators decide for the zone, or for one hostname.
//!
//! A set of settings says nothing about most of them. What a hostname does not decide its
//! zone does, and what that does not decide either is as the edge does it by itself. A
//! setting is taken as a whole: lists of a hostname and of its zone are never joined.
//! Equal sets are kept once ([`crate::State`] interns them), and a hostname without any
//! costs a pointer's room.

mod http;
mod origin;
mod tls;

use std::sync::Arc;

use bytes::Bytes;

pub use self::{
    http::{HeaderAction, HeaderRule, Hsts, Maintenance, Metadatum, PathRule, Rate, Redirect},
    origin::{Ejection, HealthCheck, OriginIdentity, OriginName, OriginTrust, Weighted},
    tls::{Ciphers, TlsVersion},
};

/// A setting that can be turned off where the zone turns it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Switch<T> {
    /// Not here.
    Off,
    /// So.
    On(T),
}

impl<T> Switch<T> {
    /// What it is if it is on.
    pub const fn on(&self) -> Option<&T> {
        match self {
            Self::Off => None,
            Self::On(value) => Some(value),
        }
    }
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident: $type:ty,)+) => {
        /// A set of settings; what is absent is not decided here.
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
        pub struct Traffic {
            $($(#[doc = $doc])+ pub $field: Option<$type>,)+
        }

        impl Traffic {
            /// The names of all settings, as masks and the command line have them.
            pub const NAMES: &[&str] = &[$(stringify!($field)),+];

            /// The names of those that are decided here.
            pub fn decided(&self) -> impl Iterator<Item = &'static str> {
                let all = [$((stringify!($field), self.$field.is_some())),+];
                all.into_iter().filter_map(|(name, decided)| decided.then_some(name))
            }

            /// Decides `name` as `other` does, be it not at all.
            pub fn copy(&mut self, name: &str, other: &Self) {
                $(if name == stringify!($field) {
                    self.$field.clone_from(&other.$field);
                })+
            }

            /// What holds where this is decided first, and then `below`.
            #[must_use]
            pub fn over(&self, below: &Self) -> Self {
                Self {
                    $($field: self.$field.as_ref().or(below.$field.as_ref()).cloned(),)+
                }
            }
        }
    };
}

settings! {
    /// Where requests go; absent on both levels: to the zone's origin.
    origins: Arc<[Weighted]>,
    /// Asking origins whether they are well.
    health_check: Switch<Arc<HealthCheck>>,
    /// Leaving origins alone that have just failed.
    ejection: Switch<Ejection>,
    /// How many of a hundred requests may be sent once more.
    retry_percent: u8,
    /// The host that origins are asked for.
    origin_host: OriginName,
    /// The server name in the TLS handshake with origins, which their certificates must
    /// be for.
    origin_sni: OriginName,
    /// How origins' certificates are verified.
    origin_trust: OriginTrust,
    /// The certificate that we show to origins.
    origin_identity: Switch<Arc<OriginIdentity>>,
    /// The lowest TLS version that clients may speak.
    min_tls: TlsVersion,
    /// The cipher suites that clients may use.
    ciphers: Ciphers,
    /// HTTP/2 is offered to clients.
    http2: bool,
    /// The roots (DER) of whom clients must show a certificate.
    client_roots: Switch<Arc<[Bytes]>>,
    /// Browsers are told to come by https only.
    hsts: Switch<Hsts>,
    /// Requests that are sent elsewhere; the longest path that fits.
    redirects: Arc<[Redirect]>,
    /// Changes of the request's fields, in their order.
    request_headers: Arc<[HeaderRule]>,
    /// Changes of the response's fields, in their order.
    response_headers: Arc<[HeaderRule]>,
    /// What is otherwise below some paths; the longest that fits.
    paths: Arc<[PathRule]>,
    /// What origins are told of the hostname.
    metadata: Arc<[Metadatum]>,
    /// Most bytes of a request's body.
    max_body: u64,
    /// Most requests of a hostname, on each node.
    request_rate: Switch<Rate>,
    /// Most connections of a hostname, on each node.
    max_connections: Switch<u32>,
    /// An answer of our own in the place of the origin's.
    maintenance: Switch<Arc<Maintenance>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_decided_once_and_as_a_whole() {
        let own = Traffic {
            http2: Some(false),
            hsts: Some(Switch::Off),
            ..Traffic::default()
        };
        let zone = Traffic {
            hsts: Some(Switch::On(Hsts {
                max_age: 60,
                subdomains: true,
                preload: false,
            })),
            max_body: Some(7),
            ..Traffic::default()
        };
        let both = own.over(&zone);
        assert_eq!(both.http2, Some(false));
        assert_eq!(both.hsts, Some(Switch::Off));
        assert_eq!(both.max_body, Some(7));
        assert_eq!(
            both.decided().collect::<Vec<_>>(),
            ["http2", "hsts", "max_body"]
        );
    }

    #[test]
    fn every_name_is_copied_alone() {
        let other = Traffic {
            http2: Some(true),
            max_body: Some(1),
            ..Traffic::default()
        };
        for name in Traffic::NAMES {
            let mut copied = Traffic::default();
            copied.copy(name, &other);
            let expected = other.decided().find(|decided| decided == name);
            assert_eq!(copied.decided().next(), expected);
        }
    }

    #[test]
    fn a_set_stays_small() {
        // A million hostnames may each have one of their own.
        assert!(size_of::<Traffic>() <= 384, "{}", size_of::<Traffic>());
    }
}
