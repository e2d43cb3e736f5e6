//! Whether a tenant may have a name.
//!
//! | method | shows | good for |
//! | --- | --- | --- |
//! | TXT `_hostquorum.<host>` with the claim's token | whoever runs the DNS means this claim | everything |
//! | CNAME to the tenant's own target | whoever runs the DNS means this tenant, now or once | a first claim of a plain name, rechecks |
//! | token by HTTP | whoever runs the server that the name points to means this claim | a first claim of a plain name, rechecks |
//! | A/AAAA of the cluster | traffic comes here, for whichever tenant | a first claim of a plain name if the operator accepts it, rechecks |
//! | `_acme-challenge` CNAME to the claim's own target | whoever runs the DNS means this claim | rechecks |
//!
//! To take a name from another tenant only the TXT record will do: a CNAME may have been
//! left behind by an earlier stay with this tenant, and proves nothing of today. A wildcard
//! needs it as well: a CNAME says where one name goes, and is often set by somebody who
//! runs that one name only, whereas a wildcard is all its siblings, those of the future
//! too. Once it is proven, the delegation of its challenges (which nobody but this claim
//! is given) says that it is still meant, so that the TXT record may go.
//!
//! All views must agree: see [`Agreement`].

use serde::Serialize;

use super::{
    agreement::{Agreement, Opinion, Split, Unseen},
    answer::{Answer, Look},
    claim::{Claim, Cluster, Purpose, TXT_PREFIX, listed},
    seen::Seen,
};
pub use reason::Reason;

mod reason;

#[cfg(test)]
mod tests;

/// The rules by which views are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// When views agree.
    pub agreement: Agreement,
    /// Whether addresses alone prove a first claim. They do not say which tenant is meant:
    /// off where tenants add hostnames by themselves.
    pub traffic: bool,
}

/// How a claim was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The token in DNS.
    Txt,
    /// A CNAME to the tenant's own target.
    Cname,
    /// The token by HTTP.
    Http,
    /// Addresses of the cluster.
    Address,
    /// The delegation of challenges.
    Delegation,
}

/// What a claim is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Proven.
    Proven {
        /// How.
        method: Method,
        /// What was seen, as evidence.
        evidence: String,
    },
    /// Seen, and not proven.
    Unproven(Vec<Reason>),
    /// Too little was seen, or views differ. A claim that was proven before stays so.
    Undecided(Vec<Reason>),
}

impl Verdict {
    /// Why it is not proven.
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Self::Proven { .. } => &[],
            Self::Unproven(reasons) | Self::Undecided(reasons) => reasons,
        }
    }
}

/// Judges `claim` by what was `seen`.
pub fn judge(claim: &Claim, cluster: &Cluster, rules: &Rules, seen: &Seen) -> Verdict {
    let court = Court {
        claim,
        cluster,
        rules,
        seen,
    };
    let mut reasons = Vec::new();
    for trial in court.trials() {
        match trial {
            Ok((method, evidence)) => return Verdict::Proven { method, evidence },
            Err(reason) => reasons.push(reason),
        }
    }
    if reasons.iter().any(Reason::is_open) {
        Verdict::Undecided(reasons)
    } else {
        Verdict::Unproven(reasons)
    }
}

struct Court<'a> {
    claim: &'a Claim,
    cluster: &'a Cluster,
    rules: &'a Rules,
    seen: &'a Seen,
}

type Trial = Result<(Method, String), Reason>;

impl Court<'_> {
    /// The methods that this claim may be proven by, strongest first.
    fn trials(&self) -> Vec<Trial> {
        let mut trials = vec![self.txt()];
        match (self.claim.purpose, self.claim.subject.wildcard) {
            (Purpose::Transfer | Purpose::Contest, _) => {
                trials.push(Err(Reason::AnotherTenantNeedsTxt));
            }
            (Purpose::First, true) => trials.push(Err(Reason::WildcardNeedsTxt)),
            (Purpose::First, false) => {
                trials.extend(self.cname());
                trials.extend(self.http());
                trials.push(self.address());
            }
            (Purpose::Recheck, true) => trials.extend(self.delegation()),
            (Purpose::Recheck, false) => {
                trials.extend(self.cname());
                trials.push(self.address());
                trials.extend(self.http());
                // Most never delegate, and need not hear of it.
                trials.extend(self.delegation().filter(Result::is_ok));
            }
        }
        trials
    }

    fn txt(&self) -> Trial {
        let want = self.claim.txt_value();
        let look = &self.seen.txt;
        let has = |answer: &Answer| answer.texts().any(|text| text.trim() == want);
        match self.rules.agreement.weigh(look, has) {
            Opinion::Yes => Ok((Method::Txt, format!("{} TXT \"{want}\"", look.name))),
            Opinion::No if look.answers().flat_map(Answer::texts).any(is_token) => {
                Err(Reason::TxtOther { have: look.have() })
            }
            Opinion::No => Err(Reason::TxtMissing { have: look.have() }),
            Opinion::Split(split) => Err(spreading(look, split)),
            Opinion::Unseen(unseen) => Err(hidden(look, unseen)),
        }
    }

    /// The first name below the edge's domain decides: what it leads to is ours. `None` if
    /// the tenant has no target.
    fn cname(&self) -> Option<Trial> {
        let look = &self.seen.a;
        let target = self.claim.target.as_ref()?;
        let ours = |answer: &Answer| self.cluster.tenant_of(&answer.chain) == Some(target);
        Some(match self.rules.agreement.weigh(look, ours) {
            Opinion::Yes => Ok((Method::Cname, format!("{} CNAME {target}", look.name))),
            Opinion::No => Err(self
                .other_tenant()
                .unwrap_or(Reason::CnameElsewhere { have: look.have() })),
            Opinion::Split(split) => Err(spreading(look, split)),
            Opinion::Unseen(unseen) => Err(hidden(look, unseen)),
        })
    }

    /// Whether any view sees a CNAME to a target of ours that is not this tenant's.
    fn other_tenant(&self) -> Option<Reason> {
        let looks = [&self.seen.a, &self.seen.aaaa];
        let mut named = looks
            .into_iter()
            .flat_map(Look::answers)
            .filter_map(|answer| self.cluster.tenant_of(&answer.chain));
        let other = named.find(|target| Some(*target) != self.claim.target.as_ref())?;
        Some(Reason::CnameOtherTenant {
            have: other.clone(),
        })
    }

    /// `None` if nobody asked.
    fn http(&self) -> Option<Trial> {
        if self.seen.pages.is_empty() {
            return None;
        }
        // We answer for names that point here, so the answer would be our own.
        let looks = [&self.seen.a, &self.seen.aaaa];
        let mut addresses = looks
            .into_iter()
            .flat_map(Look::answers)
            .flat_map(Answer::addresses);
        if addresses.any(|address| self.cluster.has(address)) {
            return Some(Err(Reason::HttpPointsHere));
        }
        // Enough views must say which servers are the name's, or one liar chooses them.
        if let Opinion::Unseen(unseen) = self.rules.agreement.weigh(&self.seen.a, |_| true) {
            return Some(Err(hidden(&self.seen.a, unseen)));
        }
        let want = self.claim.http_body();
        let wrong = self.seen.pages.iter().find(|page| !page.shows(&want));
        Some(match wrong {
            None => {
                let asked = self.seen.pages.iter().map(|page| page.address);
                let path = self.claim.http_path();
                Ok((Method::Http, format!("{path} at {}", listed(asked))))
            }
            Some(page) => Err(Reason::HttpWrong {
                address: page.address,
                have: page.page.to_string(),
            }),
        })
    }

    fn address(&self) -> Trial {
        if let Some(reason) = self.other_tenant() {
            return Err(reason);
        }
        let agreement = self.rules.agreement;
        for look in [&self.seen.a, &self.seen.aaaa] {
            let ours =
                |answer: &Answer| answer.addresses().all(|address| self.cluster.has(address));
            match agreement.weigh(look, ours) {
                Opinion::Yes => {}
                Opinion::No => return Err(Reason::AddressElsewhere { have: look.have() }),
                Opinion::Split(split) => return Err(spreading(look, split)),
                Opinion::Unseen(unseen) => return Err(hidden(look, unseen)),
            }
        }
        let some = |answer: &Answer| answer.addresses().next().is_some();
        let four = agreement.weigh(&self.seen.a, some);
        let six = agreement.weigh(&self.seen.aaaa, some);
        if four != Opinion::Yes && six != Opinion::Yes {
            return Err(Reason::AddressMissing);
        }
        if self.claim.purpose == Purpose::First && !self.rules.traffic {
            return Err(Reason::AddressNotEnough);
        }
        let have = format!("{}, {}", self.seen.a.have(), self.seen.aaaa.have());
        Ok((Method::Address, have))
    }

    /// `None` if there is nowhere to delegate to.
    fn delegation(&self) -> Option<Trial> {
        let look = &self.seen.challenge;
        let target = self.claim.delegation.as_ref()?;
        let ours = |answer: &Answer| answer.chain.contains(target);
        Some(match self.rules.agreement.weigh(look, ours) {
            Opinion::Yes => Ok((Method::Delegation, format!("{} CNAME {target}", look.name))),
            Opinion::No => Err(Reason::DelegationMissing { have: look.have() }),
            Opinion::Split(split) => Err(spreading(look, split)),
            Opinion::Unseen(unseen) => Err(hidden(look, unseen)),
        })
    }
}

/// True for a token of any claim.
fn is_token(text: &str) -> bool {
    text.trim().starts_with(TXT_PREFIX)
}

fn spreading(look: &Look, split: Split) -> Reason {
    Reason::Spreading {
        record: format!("{} {}", look.name, look.kind),
        yes: listed(split.yes),
        no: listed(split.no),
    }
}

fn hidden(look: &Look, unseen: Unseen) -> Reason {
    Reason::Unseen {
        record: format!("{} {}", look.name, look.kind),
        unseen,
    }
}
