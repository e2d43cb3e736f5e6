//! What is answered from: the view that this node serves at present.

use std::sync::Arc;

use arc_swap::ArcSwap;
use state::{Ca, Hostname, Index, tenant::is_label};

use super::{
    Answers,
    name::Name,
    zone::{Caa, Nameserver, Settings, Zones},
};
use crate::view::{Present, View};

/// Tells whether this node may lack what others have published.
pub type Behind = Arc<dyn Fn() -> bool + Send + Sync>;

/// [`Answers`] of the present view.
///
/// Each label that has the form of ours exists: there are 2^160 of them, so the
/// answer needs no index of all tenants and hostnames, tells nobody which of them
/// we have, and is right on a node that has not heard of the newest yet.
pub(crate) struct FromView {
    present: Present,
    behind: Behind,
    zones: ArcSwap<(Basis, Arc<Zones>)>,
}

/// What zones were made of: the revisions of the zone and of each CA.
type Basis = Vec<Index>;

impl FromView {
    pub(crate) fn new(present: Present, behind: Behind) -> Self {
        let zones = made(&present.load());
        Self {
            present,
            behind,
            zones: ArcSwap::from_pointee(zones),
        }
    }
}

impl Answers for FromView {
    fn zones(&self) -> Arc<Zones> {
        let view = self.present.load();
        let held = self.zones.load();
        if held.0 == basis(&view) {
            return Arc::clone(&held.1);
        }
        let made = Arc::new(made(&view));
        let zones = Arc::clone(&made.1);
        self.zones.store(made);
        zones
    }

    fn challenge(&self, label: &str) -> Option<Vec<String>> {
        is_label(label).then(|| self.present.load().dns_texts(label))
    }

    fn is_target(&self, label: &str) -> bool {
        is_label(label)
    }

    fn is_behind(&self) -> bool {
        (self.behind)()
    }

    fn serial(&self) -> u32 {
        let Index(index) = self.present.load().index();
        // Serials wrap by design (RFC 1982).
        u32::try_from(index & u64::from(u32::MAX)).unwrap_or_default()
    }
}

fn basis(view: &View) -> Basis {
    let cas = view.cas().map(|ca| ca.revision);
    std::iter::once(view.zone().revision).chain(cas).collect()
}

fn made(view: &View) -> (Basis, Arc<Zones>) {
    (basis(view), Arc::new(Zones::new(settings(view))))
}

/// Nothing while there is no DNS zone: without name servers' names no zone can be
/// told.
fn settings(view: &View) -> Settings {
    let zone = &view.zone().settings;
    let Some(dns) = &zone.dns else {
        return Settings::default();
    };
    let server = |server: &state::Nameserver| {
        Some(Nameserver {
            name: named(&server.name)?,
            addresses: server.addresses.clone(),
        })
    };
    Settings {
        challenges: named(&dns.name),
        targets: zone.edge_domain.as_ref().and_then(named),
        nameservers: dns.nameservers.iter().filter_map(server).collect(),
        addresses: zone.addresses.clone(),
        caa: if zone.caa_open {
            Vec::new()
        } else {
            caa(view.cas())
        },
    }
}

/// Every hostname is a name.
fn named(hostname: &Hostname) -> Option<Name> {
    Name::parse(hostname.as_str()).ok()
}

/// Pins targets, and all hostnames that point to them, to our accounts (RFC 8657):
/// only if it is known of each CA how CAA names it and what our account there is.
/// A record for one of two would forbid the other to issue.
fn caa<'a>(cas: impl Iterator<Item = &'a Arc<Ca>>) -> Vec<Caa> {
    let mut properties = Vec::new();
    for ca in cas {
        let identities = &ca.settings.caa_identities;
        let Some(account) = ca.account_url() else {
            return Vec::new();
        };
        if identities.is_empty() {
            return Vec::new();
        }
        properties.extend(identities.iter().map(|identity| Caa {
            critical: false,
            tag: "issue".to_owned(),
            value: format!("{identity}; accounturi={account}"),
        }));
    }
    properties
}
