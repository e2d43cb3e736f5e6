//! What can be wrong before an order, in words for the person who can change it.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::verification::{
    agreement::Opinion,
    answer::Look,
    caa::Why,
    claim::{Who, listed},
    page::Port,
};

/// Where a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The name's records.
    Dns,
    /// Who may issue.
    Caa,
    /// The road to our nodes.
    Reach,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An IPv4 address is not ours.
    PointsElsewhere,
    /// An IPv6 address is not ours.
    Ipv6Elsewhere,
    /// There is no address.
    NoAddress,
    /// Nobody told where names are to point.
    NoZoneAddresses,
    /// There are no DNS servers of ours to delegate challenges to.
    NoDnsZone,
    /// The CNAME is to another tenant's target.
    OtherTenant,
    /// Nothing at `_acme-challenge`.
    NotDelegated,
    /// A CNAME at `_acme-challenge`, but not to our target.
    DelegatedElsewhere,
    /// A TXT record where the CNAME should be.
    ChallengeTxt,
    /// Public CAs do not know the name's suffix.
    UnknownSuffix,
    /// The name is a registry's suffix.
    PublicSuffix,
    /// Some views have it and some do not.
    Spreading,
    /// Too few answered.
    Unseen,
    /// The zone's DNSSEC is broken.
    Dnssec,
    /// CAA.
    Caa(Why),
    /// Our own token did not come back.
    Port80,
    /// Connections are not accepted.
    Port443,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where it is.
    pub class: Class,
    /// What it is.
    pub what: What,
    /// The record or address that it is about.
    pub record: String,
    /// What is there.
    pub have: String,
    /// What should be there.
    pub want: String,
    /// Who must change it.
    pub who: Who,
    /// Whether an order cannot succeed because of it. Others are told so that they are
    /// mended before they matter.
    pub bars: bool,
}

impl Fault {
    /// A fault of what a look shows.
    pub(super) fn of_look(what: What, look: &Look, want: &str, who: Who) -> Self {
        Self {
            class: Class::Dns,
            what,
            record: format!("{} {}", look.name, look.kind),
            have: look.have(),
            want: want.to_owned(),
            who,
            bars: false,
        }
    }

    /// The fault in an opinion that is not yes; `wrong` if the views say no.
    pub(super) fn of_opinion(
        look: &Look,
        opinion: Opinion,
        wrong: What,
        want: &str,
    ) -> Option<Self> {
        Some(match opinion {
            Opinion::Yes => return None,
            Opinion::No => Self::of_look(wrong, look, want, Who::Owner),
            Opinion::Split(split) => Self {
                have: format!(
                    "right at {}, wrong at {}",
                    listed(split.yes),
                    listed(split.no)
                ),
                ..Self::of_look(What::Spreading, look, want, Who::Nobody)
            },
            Opinion::Unseen(unseen) => {
                let (what, who) = match (unseen.bogus(), unseen.by_zone()) {
                    (true, _) => (What::Dnssec, Who::Owner),
                    (_, true) => (What::Unseen, Who::Owner),
                    _ => (What::Unseen, Who::Operator),
                };
                Self {
                    have: unseen.have(),
                    ..Self::of_look(what, look, want, who)
                }
            }
        })
    }
}

impl What {
    /// A word for machines. Never changed once released.
    pub fn code(self) -> &'static str {
        match self {
            Self::PointsElsewhere => "points_elsewhere",
            Self::Ipv6Elsewhere => "ipv6_elsewhere",
            Self::NoAddress => "no_address",
            Self::NoZoneAddresses => "no_zone_addresses",
            Self::NoDnsZone => "no_dns_zone",
            Self::OtherTenant => "other_tenant",
            Self::NotDelegated => "not_delegated",
            Self::DelegatedElsewhere => "delegated_elsewhere",
            Self::ChallengeTxt => "challenge_txt",
            Self::UnknownSuffix => "unknown_suffix",
            Self::PublicSuffix => "public_suffix",
            Self::Spreading => "spreading",
            Self::Unseen => "unseen",
            Self::Dnssec => "dnssec",
            Self::Caa(Why::Unseen) => "caa_unseen",
            Self::Caa(Why::Differs) => "caa_differs",
            Self::Caa(Why::Critical) => "caa_critical",
            Self::Caa(Why::Other) => "caa_other",
            Self::Caa(Why::Account) => "caa_account",
            Self::Caa(Why::Methods) => "caa_methods",
            Self::Port80 => "port_80",
            Self::Port443 => "port_443",
        }
    }
}

impl Serialize for What {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PointsElsewhere => "the name points elsewhere, or elsewhere as well",
            Self::Ipv6Elsewhere => {
                "the name has an IPv6 address that is not ours, and CAs prefer IPv6; remove or change it"
            }
            Self::NoAddress => "the name has no address",
            Self::NoZoneAddresses => {
                "the zone has no addresses, so no name can be seen to point here"
            }
            Self::NoDnsZone => {
                "this cluster has no DNS zone, so challenges by DNS cannot be answered"
            }
            Self::OtherTenant => "the name points here, but to the target of another tenant",
            Self::NotDelegated => "challenges by DNS are not delegated to us",
            Self::DelegatedElsewhere => "challenges by DNS are delegated elsewhere",
            Self::ChallengeTxt => {
                "a TXT record stands where the CNAME for challenges must; remove it, for a name with a CNAME can have nothing else"
            }
            Self::UnknownSuffix => {
                "the name is not below a public suffix, and public CAs issue for no other"
            }
            Self::PublicSuffix => "the name is a registry's suffix, and no CA issues for it",
            Self::Spreading => {
                "some servers have the right record and some do not; they lag behind or differ"
            }
            Self::Unseen => "too few servers answered",
            Self::Dnssec => "DNSSEC of the zone is broken, so no CA can see it",
            Self::Caa(why) => return why.fmt(f),
            Self::Port80 => "our own token did not come back over port 80",
            Self::Port443 => "connections to port 443 are not accepted",
        })
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Timeout => "no answer in time",
            Self::Unreachable => "no road from here",
            Self::Forbidden => "an address that is not public",
        })
    }
}
