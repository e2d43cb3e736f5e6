//! Whether a CA may issue: CAA records (RFC 8659) with account and methods (RFC 8657).
//!
//! The first name with CAA records, from the hostname up to its top-level domain, decides.
//! A look-up at each follows CNAMEs, but the climb goes over the hostname's own parents,
//! never over those of an alias's target (RFC 8659 section 3; its predecessor said
//! otherwise). So a CAA record at our own targets binds all who point at them by CNAME and
//! have none of their own.

use std::{collections::BTreeSet, fmt};

use super::{
    agreement::{Agreement, Opinion},
    answer::{Answer, Look, Outcome, Property},
    claim::{Cluster, Who},
    method::Challenge,
    name::DnsName,
};
use value::IssueValue;

/// A CA, as CAA records name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Our name for it.
    pub name: String,
    /// The domains by which records may name it, such as `letsencrypt.org`; empty if that is
    /// not known.
    pub identities: Vec<String>,
    /// Our account there; `None` before it is registered.
    pub account: Option<String>,
    /// Whether browsers trust it, so that it takes public names only. One of a company or a
    /// test takes what it likes.
    pub public: bool,
}

/// Which names are ordered together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// The name.
    Base,
    /// The wildcard below it: `issuewild` decides, and `issue` where there is none.
    Wildcard,
    /// Both, as one order: the CA checks each.
    Both,
}

/// What one CA may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Issue, after any of these challenges.
    Granted(BTreeSet<Challenge>),
    /// Not issue.
    Denied(Denial),
}

/// Why a CA may not issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The kind of reason.
    pub why: Why,
    /// The name whose records decide, or cannot be seen.
    pub at: DnsName,
    /// What is there.
    pub have: String,
    /// Who must change it.
    pub who: Who,
}

/// Why records deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// They cannot be seen, and a CA that cannot see them must not issue.
    Unseen,
    /// Servers say different things.
    Differs,
    /// There is a critical property that no CA is known to understand.
    Critical,
    /// They name other CAs, or none.
    Other,
    /// They name the CA, but another account.
    Account,
    /// They name the CA and the account, but none of our challenges.
    Methods,
}

/// Properties that CAs know, so that a critical one does not stop them: RFC 8659, RFC 9495,
/// and the CA/Browser Forum's ways of contact.
const KNOWN: [&str; 6] = [
    "issue",
    "issuewild",
    "iodef",
    "issuemail",
    "contactemail",
    "contactphone",
];

/// What `issuer` may do, by the looks at each name of [`DnsName::climb`], lowest first.
///
pub fn permission(
    levels: &[Look],
    issuer: &Issuer,
    names: Names,
    agreement: &Agreement,
    cluster: &Cluster,
) -> Permission {
    let denied = |why, look: &Look, who| {
        Permission::Denied(Denial {
            why,
            at: look.name.clone(),
            have: look.have(),
            who,
        })
    };
    for look in levels {
        let who = responsible(look, cluster);
        match agreement.weigh(look, |answer| answer.properties().next().is_some()) {
            Opinion::Unseen(unseen) => {
                let who = if unseen.by_zone() { who } else { Who::Operator };
                return denied(Why::Unseen, look, who);
            }
            _ if fails(look) => return denied(Why::Unseen, look, who),
            Opinion::No => {}
            Opinion::Split(_) => return denied(Why::Differs, look, Who::Nobody),
            Opinion::Yes => {
                return match all_allow(look, issuer, names) {
                    Ok(methods) if methods.is_empty() => denied(Why::Methods, look, who),
                    Ok(methods) => Permission::Granted(methods),
                    Err(why) => denied(why, look, who),
                };
            }
        }
    }
    match levels.last() {
        Some(_) => Permission::Granted(Challenge::ALL.into()),
        None => Permission::Denied(Denial {
            why: Why::Unseen,
            at: DnsName::root(),
            have: "not looked at".to_owned(),
            who: Who::Operator,
        }),
    }
}

/// True if a resolver that asked all servers could not find out, or none of the zone's own
/// could: so may the CA fare, whatever the others saw.
fn fails(look: &Look) -> bool {
    let failed = |answer: &Answer| matches!(answer.outcome, Outcome::ServFail | Outcome::Bogus);
    let mut recursive = look
        .sightings
        .iter()
        .filter(|sighting| sighting.vantage.is_recursive());
    recursive.any(|sighting| failed(&sighting.answer))
}

/// Records at the end of a CNAME to us are ours.
fn responsible(look: &Look, cluster: &Cluster) -> Who {
    let ours = |answer: &Answer| cluster.tenant_of(&answer.chain).is_some();
    if look.answers().any(ours) {
        Who::Operator
    } else {
        Who::Owner
    }
}

/// The challenges that every view's records allow.
fn all_allow(look: &Look, issuer: &Issuer, names: Names) -> Result<BTreeSet<Challenge>, Why> {
    let mut methods: BTreeSet<Challenge> = Challenge::ALL.into();
    for answer in look.answers().filter(|answer| answer.outcome.is_answer()) {
        let properties: Vec<&Property> = answer.properties().collect();
        let wildcards: &[bool] = match names {
            Names::Base => &[false],
            Names::Wildcard => &[true],
            Names::Both => &[false, true],
        };
        for wildcard in wildcards {
            let allowed = allows(&properties, issuer, *wildcard)?;
            methods.retain(|method| allowed.contains(method));
        }
    }
    Ok(methods)
}

/// The challenges that one record set allows `issuer`.
fn allows(
    properties: &[&Property],
    issuer: &Issuer,
    wildcard: bool,
) -> Result<BTreeSet<Challenge>, Why> {
    let unknown = |property: &&&Property| property.critical && !KNOWN.contains(&&*property.tag);
    if properties.iter().find(unknown).is_some() {
        return Err(Why::Critical);
    }
    let tagged = |tag: &str| -> Vec<&str> {
        let tagged = properties.iter().filter(|property| property.tag == tag);
        tagged.map(|property| property.value.as_str()).collect()
    };
    let wild = tagged("issuewild");
    let relevant = if wildcard && !wild.is_empty() {
        wild
    } else {
        tagged("issue")
    };
    if relevant.is_empty() {
        return Ok(Challenge::ALL.into());
    }
    let mut best = Why::Other;
    let mut methods = BTreeSet::new();
    for value in relevant {
        match grant(value, issuer) {
            Ok(some) => methods.extend(some),
            Err(why) => best = best.max(why),
        }
    }
    if methods.is_empty() {
        Err(best)
    } else {
        Ok(methods)
    }
}

/// What one `issue` or `issuewild` value grants.
fn grant(value: &str, issuer: &Issuer) -> Result<BTreeSet<Challenge>, Why> {
    let value = IssueValue::parse(value).ok_or(Why::Other)?;
    // How this one is named is not known: it will judge for itself.
    if issuer.identities.is_empty() && !value.domain.is_empty() {
        return Ok(Challenge::ALL.into());
    }
    let names = |identity: &String| identity.eq_ignore_ascii_case(value.domain);
    if !issuer.identities.iter().any(names) {
        return Err(Why::Other);
    }
    // RFC 8657 section 3: more than one is as good as none that matches.
    let mut accounts = value.all("accounturi");
    if let Some(account) = accounts.next()
        && (accounts.next().is_some() || issuer.account.as_deref() != Some(account))
    {
        return Err(Why::Account);
    }
    let mut lists = value.all("validationmethods");
    let Some(list) = lists.next() else {
        return Ok(Challenge::ALL.into());
    };
    if lists.next().is_some() {
        return Err(Why::Methods);
    }
    let named: BTreeSet<Challenge> = list
        .split(',')
        .filter_map(|label| Challenge::named(label.trim()))
        .collect();
    if named.is_empty() {
        Err(Why::Methods)
    } else {
        Ok(named)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unseen => "the CAA records cannot be seen, so the CA must not issue",
            Self::Differs => "some servers have CAA records and some have none",
            Self::Critical => "a critical CAA property is unknown, so no CA may issue",
            Self::Other => "the CAA records allow other CAs only, or none",
            Self::Account => "the CAA records allow another account of the CA only",
            Self::Methods => "the CAA records allow none of the challenges that we can answer",
        })
    }
}

mod value;

#[cfg(test)]
mod tests;
