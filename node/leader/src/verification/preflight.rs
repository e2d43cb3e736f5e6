//! Whether an order can succeed, looked at before each.
//!
//! An order that fails costs the name one of five failures an hour, and teaches a customer
//! nothing that could not have been said beforehand. So three things are looked at: where
//! the name, or its challenge, points; what the CAA records allow; and whether our nodes
//! are reached over the public road. The result names each fault with what is there, what
//! should be, and who must change it, and the challenges that remain possible at each CA.

use serde::Serialize;

use super::{
    agreement::Agreement,
    answer::{Answer, Look},
    caa::Issuer,
    claim::{Claim, Cluster, Who},
    method::{Challenge, Circumstances, choose},
    page::{Fetched, Page, Port},
    seen::Seen,
};
pub use fault::{Class, Fault, What};

mod fault;
mod offers;

#[cfg(test)]
mod tests;

/// What is to be ordered.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The name, and where its CNAMEs should lead.
    pub claim: &'a Claim,
    /// The only challenge that its settings allow.
    pub forced: Option<Challenge>,
    /// The CAs that may be ordered from, the preferred one first.
    pub issuers: &'a [Issuer],
    /// A member that serves has not reported lately.
    pub member_silent: bool,
}

/// What is wrong, and what remains possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// Each fault, those that bar an order first.
    pub faults: Vec<Fault>,
    /// What can be tried at each CA, in the order of preference.
    pub offers: Vec<Offer>,
}

/// What can be tried at one CA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// Our name for the CA.
    pub issuer: String,
    /// The challenges that can succeed, in the order in which to try them; none if the CA
    /// must not be asked.
    pub challenges: Vec<Challenge>,
}

impl Preflight {
    /// What can be tried at this CA.
    pub fn challenges(&self, issuer: &str) -> &[Challenge] {
        let mut offers = self.offers.iter();
        offers
            .find(|offer| offer.issuer == issuer)
            .map_or(&[], |offer| &offer.challenges)
    }

    /// True if the preferred CA may be asked.
    pub fn may_order(&self) -> bool {
        let preferred = self.offers.first();
        preferred.is_some_and(|offer| !offer.challenges.is_empty())
    }
}

/// Looks at `order` by what was `seen`.
pub fn preflight(
    order: &Order<'_>,
    cluster: &Cluster,
    agreement: &Agreement,
    seen: &Seen,
) -> Preflight {
    let look = Inspection {
        order,
        cluster,
        agreement,
        seen,
    };
    look.result()
}

struct Inspection<'a> {
    order: &'a Order<'a>,
    cluster: &'a Cluster,
    agreement: &'a Agreement,
    seen: &'a Seen,
}

impl Inspection<'_> {
    fn result(&self) -> Preflight {
        let plain = !self.order.claim.subject.wildcard;
        let by_dns_only = !plain || self.order.forced == Some(Challenge::Dns01);
        let by_address_only = self.order.forced.is_some() && !by_dns_only;
        let elsewhere = if plain { self.addresses() } else { Vec::new() };
        let undelegated = self.delegation();
        let points_here = plain && elsewhere.is_empty();
        let delegated = undelegated.is_none();
        let (port_80, mut faults) = self.port_80(points_here);
        let (port_443, closed) = self.port_443(points_here);
        let challenges = choose(&Circumstances {
            forced: self.order.forced,
            wildcard: !plain,
            points_here,
            port_80,
            port_443,
            delegated,
            member_silent: self.order.member_silent,
        });
        faults.extend(closed);
        faults.extend(elsewhere);
        // Nobody needs to delegate whose name points here, unless DNS is the only way.
        let half_way = !self.seen.challenge.answers().all(is_bare);
        if by_dns_only || !points_here && half_way && !by_address_only {
            faults.extend(undelegated);
        }
        for fault in &mut faults {
            fault.bars = challenges.is_empty();
        }
        let offers = self.offers(&challenges, &mut faults);
        faults.sort_by_key(|fault| !fault.bars);
        Preflight { faults, offers }
    }

    /// What is wrong with the name's addresses.
    fn addresses(&self) -> Vec<Fault> {
        if self.cluster.addresses.is_empty() {
            return vec![Fault::of_look(
                What::NoZoneAddresses,
                &self.seen.a,
                "addresses of the zone, where names are to point",
                Who::Operator,
            )];
        }
        let target = self.order.claim.target.as_ref();
        let want = match target {
            Some(target) => format!("{}, or CNAME {target}", self.cluster.have()),
            None => self.cluster.have(),
        };
        let mut faults = Vec::new();
        let mut some = false;
        for (look, elsewhere) in [
            (&self.seen.a, What::PointsElsewhere),
            (&self.seen.aaaa, What::Ipv6Elsewhere),
        ] {
            some |= look
                .answers()
                .any(|answer| answer.addresses().next().is_some());
            let ours =
                |answer: &Answer| answer.addresses().all(|address| self.cluster.has(address));
            let opinion = self.agreement.weigh(look, ours);
            let fault = Fault::of_opinion(look, opinion, elsewhere, &want);
            faults.extend(fault.map(|fault| self.blame(fault, look)));
        }
        if faults.is_empty() && !some {
            let what = What::NoAddress;
            let fault = Fault::of_look(what, &self.seen.a, &want, Who::Owner);
            faults.push(self.blame(fault, &self.seen.a));
        }
        let chains = self.seen.a.answers().chain(self.seen.aaaa.answers());
        let mut tenants = chains.filter_map(|answer| self.cluster.tenant_of(&answer.chain));
        if let Some(target) = target
            && tenants.any(|other| other != target)
        {
            let (what, want) = (What::OtherTenant, format!("CNAME {target}"));
            faults.push(Fault::of_look(what, &self.seen.a, &want, Who::Owner));
        }
        faults
    }

    /// What is wrong behind our own target is not for the customer to mend.
    fn blame(&self, fault: Fault, look: &Look) -> Fault {
        let target = self.order.claim.target.as_ref();
        let mut answers = look
            .answers()
            .filter(|answer| answer.outcome.is_answer())
            .peekable();
        let ours = target.is_some()
            && answers.peek().is_some()
            && answers.all(|answer| self.cluster.tenant_of(&answer.chain) == target);
        match fault.who {
            Who::Owner if ours => Fault {
                who: Who::Operator,
                ..fault
            },
            _ => fault,
        }
    }

    /// What is wrong with the delegation of challenges; `None` if it is in place.
    fn delegation(&self) -> Option<Fault> {
        let look = &self.seen.challenge;
        let Some(target) = &self.order.claim.delegation else {
            let want = "a DNS zone of this cluster to delegate challenges to";
            return Some(Fault::of_look(What::NoDnsZone, look, want, Who::Operator));
        };
        let want = format!("CNAME {target}");
        let ours = |answer: &Answer| answer.chain.last() == Some(target);
        let opinion = self.agreement.weigh(look, ours);
        let what = if look.answers().all(is_bare) {
            What::NotDelegated
        } else if look.answers().any(|answer| !answer.chain.is_empty()) {
            What::DelegatedElsewhere
        } else {
            What::ChallengeTxt
        };
        Fault::of_opinion(look, opinion, what, &want)
    }

    /// Whether HTTP from outside comes to us.
    fn port_80(&self, points_here: bool) -> (Option<bool>, Vec<Fault>) {
        let wanted = self
            .order
            .forced
            .is_none_or(|kind| kind == Challenge::Http01);
        // Where there is no road from here there may be one for the CA.
        let asked = self.seen.port_80.iter();
        let asked: Vec<&Fetched> = asked
            .filter(|fetched| fetched.page != Page::Unreachable)
            .collect();
        if asked.is_empty() || !points_here || !wanted {
            return (None, Vec::new());
        }
        let strangers: Vec<&Fetched> = asked
            .into_iter()
            .filter(|fetched| !self.seen.is_ours(fetched))
            .collect();
        let faults = strangers.iter().map(|fetched| Fault {
            class: Class::Reach,
            what: What::Port80,
            record: format!("{} port 80", fetched.address),
            have: fetched.page.to_string(),
            want: "the answer of one of our nodes".to_owned(),
            who: Who::Operator,
            bars: false,
        });
        (Some(strangers.is_empty()), faults.collect())
    }

    /// Whether TLS from outside comes to our addresses. That they are ours is known, and
    /// before there is a certificate nothing more can be asked.
    fn port_443(&self, points_here: bool) -> (Option<bool>, Vec<Fault>) {
        let asked = self.seen.port_443.iter();
        let mut asked = asked
            .filter(|(_, port)| *port != Port::Unreachable)
            .peekable();
        if asked.peek().is_none() || !points_here {
            return (None, Vec::new());
        }
        let closed = asked.filter(|(_, port)| *port != Port::Open);
        let faults: Vec<Fault> = closed
            .map(|(address, port)| Fault {
                class: Class::Reach,
                what: What::Port443,
                record: format!("{address} port 443"),
                have: port.to_string(),
                want: "open".to_owned(),
                who: Who::Operator,
                bars: false,
            })
            .collect();
        (Some(faults.is_empty()), faults)
    }
}

/// Nothing there, as far as anybody can see.
fn is_bare(answer: &Answer) -> bool {
    answer.chain.is_empty() && answer.records().is_empty()
}
