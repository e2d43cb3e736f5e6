//! Why a claim is not proven, in words for the person who can change it.

use std::{fmt, net::IpAddr};

use crate::verification::{agreement::Unseen, claim::Who, name::DnsName};

/// Why a claim is not proven. Each has a sentence ([`fmt::Display`]) and somebody who must
/// act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no token in DNS.
    TxtMissing {
        /// What is there.
        have: String,
    },
    /// There is the token of another claim.
    TxtOther {
        /// What is there.
        have: String,
    },
    /// No CNAME leads to the tenant's target.
    CnameElsewhere {
        /// What is there.
        have: String,
    },
    /// A CNAME leads to another tenant's target, or to none that is in use.
    CnameOtherTenant {
        /// Which.
        have: DnsName,
    },
    /// The name points here, so what it says by HTTP we say ourselves.
    HttpPointsHere,
    /// A server of the name did not show the token.
    HttpWrong {
        /// Which.
        address: IpAddr,
        /// What it said.
        have: String,
    },
    /// The name points elsewhere, or elsewhere as well.
    AddressElsewhere {
        /// Where.
        have: String,
    },
    /// The name has no address.
    AddressMissing,
    /// The name points here, but that does not say for whom.
    AddressNotEnough,
    /// A wildcard is proven by TXT only.
    WildcardNeedsTxt,
    /// A name that another tenant has, or had, is proven by TXT only.
    AnotherTenantNeedsTxt,
    /// The challenges of a wildcard are not delegated to this claim.
    DelegationMissing {
        /// What is there.
        have: String,
    },
    /// No record fits below the name.
    NameTooLong,
    /// Some views have it and some do not.
    Spreading {
        /// Name and kind.
        record: String,
        /// Who has it.
        yes: String,
        /// Who does not.
        no: String,
    },
    /// Too few answered.
    Unseen {
        /// Name and kind.
        record: String,
        /// Who did not, and why.
        unseen: Unseen,
    },
}

impl Reason {
    /// A word for machines. Never changed once released.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TxtMissing { .. } => "txt_missing",
            Self::TxtOther { .. } => "txt_other",
            Self::CnameElsewhere { .. } => "cname_elsewhere",
            Self::CnameOtherTenant { .. } => "cname_other_tenant",
            Self::HttpPointsHere => "http_points_here",
            Self::HttpWrong { .. } => "http_wrong",
            Self::AddressElsewhere { .. } => "address_elsewhere",
            Self::AddressMissing => "address_missing",
            Self::AddressNotEnough => "address_not_enough",
            Self::WildcardNeedsTxt => "wildcard_needs_txt",
            Self::AnotherTenantNeedsTxt => "another_tenant_needs_txt",
            Self::DelegationMissing { .. } => "delegation_missing",
            Self::NameTooLong => "name_too_long",
            Self::Spreading { .. } => "spreading",
            Self::Unseen { .. } => "unseen",
        }
    }

    /// Who must change something.
    pub fn who(&self) -> Who {
        match self {
            Self::Spreading { .. } => Who::Nobody,
            Self::Unseen { unseen, .. } if unseen.by_zone() => Who::Owner,
            Self::Unseen { .. } => Who::Operator,
            _ => Who::Owner,
        }
    }

    /// True if another look may say otherwise although nobody changes anything.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Spreading { .. } | Self::Unseen { .. })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TxtMissing { have } => {
                write!(f, "the TXT record with the token is missing (there is {have})")
            }
            Self::TxtOther { have } => {
                write!(f, "the TXT record has the token of another claim ({have})")
            }
            Self::CnameElsewhere { have } => {
                write!(f, "no CNAME leads to the tenant's target (there is {have})")
            }
            Self::CnameOtherTenant { have } => write!(
                f,
                "the CNAME leads to {have}, which is not this tenant's target"
            ),
            Self::HttpPointsHere => f.write_str(
                "the name points here already, so a token by HTTP proves nothing; publish the TXT record",
            ),
            Self::HttpWrong { address, have } => {
                write!(f, "the server at {address} did not show the token, but {have}")
            }
            Self::AddressElsewhere { have } => {
                write!(f, "the name points elsewhere, or elsewhere as well: {have}")
            }
            Self::AddressMissing => f.write_str("the name has no address"),
            Self::AddressNotEnough => f.write_str(
                "the name points here, but addresses do not say for which tenant; publish the TXT record or the CNAME",
            ),
            Self::WildcardNeedsTxt => {
                f.write_str("a wildcard is proven by the TXT record only")
            }
            Self::AnotherTenantNeedsTxt => f.write_str(
                "another tenant has or had the name, so only the TXT record with the token of this claim counts",
            ),
            Self::DelegationMissing { have } => write!(
                f,
                "the challenges of the wildcard are not delegated to this claim (there is {have})"
            ),
            Self::NameTooLong => {
                f.write_str("the name is so long that no record fits below it")
            }
            Self::Spreading { record, yes, no } => write!(
                f,
                "{record} is seen by {yes} and not by {no}; servers lag behind or differ, this is looked at again"
            ),
            Self::Unseen { record, unseen } if unseen.bogus() => write!(
                f,
                "{record} cannot be seen: DNSSEC of the zone is broken ({})",
                unseen.have()
            ),
            Self::Unseen { record, unseen } => {
                write!(f, "{record} cannot be seen by enough ({})", unseen.have())
            }
        }
    }
}
