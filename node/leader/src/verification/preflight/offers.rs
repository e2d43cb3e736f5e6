//! What of the challenges that are possible here each CA may be asked for.

use super::{Class, Fault, Inspection, Offer, What};
use crate::verification::{
    answer::Look,
    caa::{self, Issuer, Names, Permission},
    claim::Who,
    method::Challenge,
    name::{NotPublic, issuable},
};

impl Inspection<'_> {
    pub(super) fn offers(&self, challenges: &[Challenge], faults: &mut Vec<Fault>) -> Vec<Offer> {
        let mut offers = Vec::new();
        for (place, issuer) in self.order.issuers.iter().enumerate() {
            let (challenges, fault) = self.offer(issuer, challenges);
            faults.extend(fault.map(|fault| Fault {
                bars: place == 0,
                ..fault
            }));
            offers.push(Offer {
                issuer: issuer.name.clone(),
                challenges,
            });
        }
        offers
    }

    /// What of `challenges` remains at one CA, and what is wrong if that is less than all.
    fn offer(&self, issuer: &Issuer, challenges: &[Challenge]) -> (Vec<Challenge>, Option<Fault>) {
        if let Some(fault) = self.policy_fault(issuer) {
            return (Vec::new(), Some(fault));
        }
        // A wildcard is ordered with its base.
        let wildcard = self.order.claim.subject.wildcard;
        let names = if wildcard { Names::Both } else { Names::Base };
        let (agreement, cluster) = (self.agreement, self.cluster);
        match caa::permission(&self.seen.caa, issuer, names, agreement, cluster) {
            Permission::Granted(methods) => {
                let allowed = challenges.iter().filter(|kind| methods.contains(kind));
                let allowed: Vec<Challenge> = allowed.copied().collect();
                let none_left = allowed.is_empty() && !challenges.is_empty();
                (allowed, none_left.then(|| self.methods_fault(issuer)))
            }
            Permission::Denied(denial) => {
                let fault = Fault {
                    class: Class::Caa,
                    what: What::Caa(denial.why),
                    record: format!("{} CAA", denial.at),
                    have: denial.have,
                    want: wanted(issuer, wildcard),
                    who: denial.who,
                    bars: false,
                };
                (Vec::new(), Some(fault))
            }
        }
    }

    /// What a public CA refuses whatever is proven.
    fn policy_fault(&self, issuer: &Issuer) -> Option<Fault> {
        let host = &self.order.claim.subject.host;
        let broken = issuable(host).err().filter(|_| issuer.public)?;
        Some(Fault {
            class: Class::Dns,
            what: match broken {
                NotPublic::UnknownSuffix => What::UnknownSuffix,
                NotPublic::IsSuffix => What::PublicSuffix,
            },
            record: host.to_string(),
            have: host.to_string(),
            want: "a registered domain, or a name below one".to_owned(),
            who: Who::Owner,
            bars: false,
        })
    }

    /// The records allow challenges, but none that is possible here.
    fn methods_fault(&self, issuer: &Issuer) -> Fault {
        let deciding = self.seen.caa.iter().find(|look| {
            look.answers()
                .any(|answer| answer.properties().next().is_some())
        });
        let name = deciding.map_or_else(String::new, |look| look.name.to_string());
        Fault {
            class: Class::Caa,
            what: What::Caa(caa::Why::Methods),
            record: format!("{name} CAA"),
            have: deciding.map_or_else(|| "nothing".to_owned(), Look::have),
            want: wanted(issuer, self.order.claim.subject.wildcard),
            who: Who::Owner,
            bars: false,
        }
    }
}

/// A record that would allow `issuer`.
fn wanted(issuer: &Issuer, wildcard: bool) -> String {
    let tag = if wildcard { "issuewild" } else { "issue" };
    let identity = issuer.identities.first();
    format!("0 {tag} \"{}\"", identity.map_or("", String::as_str))
}
