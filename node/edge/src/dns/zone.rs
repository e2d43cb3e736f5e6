//! The zones that this cluster is authoritative for, and what each name in them
//! is. There are two at most: the one that customers' `_acme-challenge` names
//! point into, and the one that their hostnames point into. The first may lie
//! within the second.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use super::name::{Name, only_label};

/// What the zones are made of. Absent zones are not answered for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The zone of challenges, such as `acme.edge.example`.
    pub challenges: Option<Name>,
    /// The zone of tenants' targets, such as `edge.example`.
    pub targets: Option<Name>,
    /// Who answers for both.
    pub nameservers: Vec<Nameserver>,
    /// Where tenants' targets lead: A and AAAA.
    pub addresses: Vec<IpAddr>,
    /// Who may issue for targets (RFC 8659).
    pub caa: Vec<Caa>,
}

/// A name server of the zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nameserver {
    /// As in NS records.
    pub name: Name,
    /// Told if the name is within a zone of ours (glue).
    pub addresses: Vec<IpAddr>,
}

/// One property of a CAA record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caa {
    /// Who does not know the tag must not issue.
    pub critical: bool,
    /// `issue`, `issuewild` or another.
    pub tag: String,
    /// Such as `letsencrypt.org;accounturi=https://…`.
    pub value: String,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Challenges,
    Targets,
}

/// A zone of ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    pub(crate) apex: Name,
    pub(crate) purpose: Purpose,
}

/// [`Settings`], ready for look-ups.
#[derive(Debug)]
pub struct Zones {
    /// The more specific one first.
    zones: Vec<Zone>,
    /// Name servers within our zones.
    hosts: HashMap<Name, Vec<IpAddr>>,
    /// Names that exist only because there is something below them.
    empty: HashSet<Name>,
    pub(crate) settings: Settings,
}

/// What a name is within a zone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    Apex,
    Nameserver(&'a [IpAddr]),
    /// Exists, but has no records.
    Empty,
    /// One label below the apex: whether it exists is for the state to say.
    Label(&'a str),
    /// Nothing can be there.
    Nowhere,
}

impl Zones {
    /// Prepares `settings`.
    pub fn new(settings: Settings) -> Self {
        let zone = |apex: &Option<Name>, purpose| {
            let apex = apex.clone()?;
            Some(Zone { apex, purpose })
        };
        let mut zones: Vec<Zone> = [
            zone(&settings.challenges, Purpose::Challenges),
            zone(&settings.targets, Purpose::Targets),
        ]
        .into_iter()
        .flatten()
        .collect();
        zones.sort_by_key(|zone| std::cmp::Reverse(zone.apex.wire().len()));
        // One apex is one zone; challenges cannot do without it.
        zones.dedup_by(|one, other| one.apex == other.apex);
        let mut hosts: HashMap<Name, Vec<IpAddr>> = HashMap::new();
        for server in &settings.nameservers {
            if zones
                .iter()
                .any(|zone| server.name.below(&zone.apex).is_some())
            {
                let addresses = hosts.entry(server.name.clone()).or_default();
                addresses.extend(&server.addresses);
            }
        }
        let fixed = zones.iter().map(|zone| &zone.apex).chain(hosts.keys());
        let empty = fixed
            .flat_map(|name| std::iter::successors(name.parent(), Name::parent))
            .filter(|name| zones.iter().any(|zone| name.below(&zone.apex).is_some()))
            .filter(|name| !hosts.contains_key(name))
            .collect();
        Self {
            zones,
            hosts,
            empty,
            settings,
        }
    }

    /// The zone that has the say about `name`. At a delegation the parent has it
    /// for DS (`of_parent`), the child for all else (RFC 4035 section 3.1.4.1).
    pub(crate) fn zone(&self, name: &Name, of_parent: bool) -> Option<&Zone> {
        let mut found = self
            .zones
            .iter()
            .filter(|zone| name.below(&zone.apex).is_some());
        let first = found.next()?;
        if of_parent && first.apex == *name {
            return found.next().or(Some(first));
        }
        Some(first)
    }

    /// What `name` is within `zone`.
    pub(crate) fn place<'a>(&'a self, zone: &Zone, name: &'a Name) -> Place<'a> {
        match name.below(&zone.apex) {
            Some([]) => Place::Apex,
            _ if let Some(addresses) = self.hosts.get(name) => Place::Nameserver(addresses),
            _ if self.empty.contains(name) => Place::Empty,
            Some(prefix) => only_label(prefix).map_or(Place::Nowhere, Place::Label),
            None => Place::Nowhere,
        }
    }

    /// The addresses of a name server, if its name is ours.
    pub(crate) fn glue(&self, name: &Name) -> &[IpAddr] {
        self.hosts.get(name).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn zones() -> Zones {
        let server = |text: &str| Nameserver {
            name: name(text),
            addresses: vec!["192.0.2.1".parse().unwrap()],
        };
        Zones::new(Settings {
            challenges: Some(name("acme.dns.edge.example")),
            targets: Some(name("edge.example")),
            nameservers: vec![server("ns.a.edge.example"), server("ns.elsewhere.example")],
            ..Settings::default()
        })
    }

    #[test]
    fn each_name_has_its_zone_and_place() {
        let zones = zones();
        let cases = [
            ("edge.example", "edge.example.", Place::Apex),
            ("dns.edge.example", "edge.example.", Place::Empty),
            ("a.edge.example", "edge.example.", Place::Empty),
            (
                "acme.dns.edge.example",
                "acme.dns.edge.example.",
                Place::Apex,
            ),
            (
                "x.acme.dns.edge.example",
                "acme.dns.edge.example.",
                Place::Label("x"),
            ),
            (
                "y.x.acme.dns.edge.example",
                "acme.dns.edge.example.",
                Place::Nowhere,
            ),
            ("t.edge.example", "edge.example.", Place::Label("t")),
            ("b.dns.edge.example", "edge.example.", Place::Nowhere),
        ];
        for (text, apex, place) in cases {
            let name = name(text);
            let zone = zones.zone(&name, false).unwrap();
            assert_eq!(zone.apex.to_string(), apex, "{text}");
            assert_eq!(zones.place(zone, &name), place, "{text}");
        }
        let host = name("ns.a.edge.example");
        let zone = zones.zone(&host, false).unwrap();
        assert!(matches!(zones.place(zone, &host), Place::Nameserver([_])));
        for outside in ["example", "ns.elsewhere.example", "notedge.example"] {
            assert_eq!(zones.zone(&name(outside), false), None, "{outside}");
        }
    }

    #[test]
    fn the_parent_speaks_of_a_delegation() {
        let zones = zones();
        let cut = name("acme.dns.edge.example");
        assert_eq!(zones.zone(&cut, true).unwrap().apex, name("edge.example"));
        let top = name("edge.example");
        assert_eq!(zones.zone(&top, true).unwrap().apex, top);
        let below = cut.child("x");
        assert_eq!(zones.zone(&below, true).unwrap().apex, cut);
    }

    #[test]
    fn one_apex_is_one_zone() {
        let zones = Zones::new(Settings {
            challenges: Some(name("edge.example")),
            targets: Some(name("edge.example")),
            ..Settings::default()
        });
        assert_eq!(zones.zones.len(), 1);
        assert_eq!(zones.zones[0].purpose, Purpose::Challenges);
    }
}
