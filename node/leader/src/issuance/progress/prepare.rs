//! From an order that the CA made to one whose challenges every edge knows.

use std::time::Duration;

use state::{
    ChallengeKind, Change, Evidence, FailureClass, Order, Placed, Wants, order::PlacedAuthorization,
};

use super::{Carrier, NAP, Trouble, placed};
use crate::{
    issuance::{
        authority::{AuthorizationStatus, AuthorizationView, OrderView},
        method::{Choice, NoChallenge},
        react::Request,
    },
    verification,
};

/// How long an order that only tls-alpn-01 can prove waits for a member that is silent:
/// what a restart takes. Then its hostname waits its turn.
const HELD_MOST: Duration = Duration::from_secs(30);

const SILENT: &str = "only tls-alpn-01 can prove it, which all members must be able to answer, \
                      and one is silent; end that member's fault, or remove it";

impl Carrier {
    /// Reads what the CA wants proven, chooses how, and commits it.
    pub(super) async fn prepare(&mut self, order: &Order) -> Result<(), Trouble> {
        let Some(view) = self.memory.unprepared.clone() else {
            return Ok(());
        };
        let names = 1 + usize::from(order.wildcard);
        if !(1..=names).contains(&view.authorization_urls.len()) {
            let (wanted, got) = (names, view.authorization_urls.len());
            let reason = format!("the CA asks for {got} authorizations for {wanted} names");
            return self.reject(order, &reason).await;
        }
        let choice = self.choice(order);
        let mut authorizations = Vec::new();
        for url in &view.authorization_urls {
            let answer = self.authority.authorization(url).await;
            let authorization = self.answered(answer, Request::Read)?;
            match describe(order, &choice, &authorization) {
                Ok(described) => authorizations.push(described),
                Err(Unprovable::MemberSilent) => return self.hold(order).await,
                Err(Unprovable::Unfit(reason)) => return self.reject(order, &reason).await,
            }
        }
        self.commit_placed(order, view, authorizations).await
    }

    async fn commit_placed(
        &mut self,
        order: &Order,
        view: OrderView,
        authorizations: Vec<PlacedAuthorization>,
    ) -> Result<(), Trouble> {
        let placed = Placed {
            url: view.url.clone(),
            finalize_url: view.finalize_url.clone(),
            authorizations,
            expires: view.expires,
        };
        let pending = placed.challenges().map(|it| it.url.clone()).collect();
        let change = Change::PrepareOrder {
            order: order.id,
            placed,
        };
        let committed = self.commit(order, change).await?;
        self.memory.prepared_at = Some(committed.index);
        self.memory.unprepared = None;
        self.memory.held_since = None;
        self.memory.seen = Some(view);
        self.memory.challenges.saw(pending);
        Ok(())
    }

    /// Barrier B1 of the design: nothing is told before every edge can answer it. A member
    /// that is silent can answer http-01 without knowing, and a DNS server that is behind
    /// says so; tls-alpn-01 waits.
    pub(super) async fn confirm(&mut self, order: &Order) -> Result<(), Trouble> {
        let index = self.memory.prepared_at;
        let index = index.unwrap_or_else(|| self.reign.state().index());
        let published = self.reign.barrier(index).await;
        let by_tls = |kind| kind == ChallengeKind::TlsAlpn01;
        let by_tls = placed(order)?.challenges().any(|it| by_tls(it.kind));
        if by_tls && (!published || self.reign.has_silent_member()) {
            return self.hold(order).await;
        }
        self.memory.confirmed = true;
        Ok(())
    }

    /// How the challenges of this attempt are chosen. What the last attempt failed by is in
    /// the hostname's record, so any leader chooses the same.
    fn choice(&self, order: &Order) -> Choice {
        let state = self.reign.state();
        let record = state.hostname(order.hostname.as_str());
        let wants = record.map_or_else(Wants::default, |record| record.wants());
        let pure = || verification::methods(&state, &order.hostname, order.wildcard, &wants);
        let last = record.and_then(|record| record.failure.as_deref());
        Choice {
            methods: self.memory.methods.clone().unwrap_or_else(pure),
            member_silent: self.reign.has_silent_member(),
            turn: Choice::turn_of(order.attempt, last),
        }
    }

    /// Waits a moment for a member that is silent, and in the end gives the order up.
    async fn hold(&mut self, order: &Order) -> Result<(), Trouble> {
        let now = self.reign.boottime();
        let since = *self.memory.held_since.get_or_insert(now);
        if now.saturating_sub(since) >= HELD_MOST {
            let (evidence, class) = (Evidence::NeverPlaced, FailureClass::Preflight);
            return self.fail(order, evidence, class, SILENT, None).await;
        }
        tokio::time::sleep(NAP).await;
        Ok(())
    }

    async fn reject(&mut self, order: &Order, reason: &str) -> Result<(), Trouble> {
        let (evidence, class) = (Evidence::NeverPlaced, FailureClass::Rejected);
        self.fail(order, evidence, class, reason, None).await
    }
}

/// Why an authorization cannot be proven.
enum Unprovable {
    MemberSilent,
    Unfit(String),
}

/// What is to be committed of an authorization. One that is valid already needs no
/// challenge, and one that failed has none that helps: its order is over.
fn describe(
    order: &Order,
    choice: &Choice,
    view: &AuthorizationView,
) -> Result<PlacedAuthorization, Unprovable> {
    if view.hostname != order.hostname || (view.wildcard && !order.wildcard) {
        let name = &view.hostname;
        let reason = format!("the CA wants {name} proven, which was not ordered");
        return Err(Unprovable::Unfit(reason));
    }
    let challenge = match view.status {
        AuthorizationStatus::Valid => None,
        AuthorizationStatus::Invalid => choice.of(view).ok(),
        AuthorizationStatus::Pending => Some(choice.of(view).map_err(|none| match none {
            NoChallenge::MemberSilent => Unprovable::MemberSilent,
            NoChallenge::Unfit => Unprovable::Unfit(unfit(choice, view)),
        })?),
    };
    Ok(PlacedAuthorization {
        url: view.url.clone(),
        challenge,
    })
}

fn unfit(choice: &Choice, view: &AuthorizationView) -> String {
    let offered = view.challenges.iter().map(|it| it.kind.as_str());
    let possible = choice.methods.iter().map(|kind| kind.as_str());
    format!(
        "the CA offers no challenge that can be answered here: it offers {}; possible here: {}",
        listed(offered),
        listed(possible)
    )
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.take(8).collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}
