//! The CAs as they are spoken to in this term.

use std::{collections::HashMap, sync::Arc};

use state::{Ca, CaName, State, Timestamp};

use super::{Court, Work};
use crate::{
    account,
    issuance::authority::Authority,
    renewal,
    status::{CaStatus, Duty},
};

/// Those with an account, opened.
#[derive(Default)]
pub(super) struct Opened(HashMap<CaName, (Arc<Ca>, Arc<dyn Authority>)>);

impl Opened {
    pub(super) fn get(&self, ca: &CaName) -> Option<Arc<dyn Authority>> {
        self.0.get(ca).map(|(_, authority)| authority.clone())
    }
}

/// Spoken to in the same way.
fn is_same(one: &Ca, other: &Ca) -> bool {
    let of = |ca: &Ca| {
        (
            ca.settings.directory.clone(),
            ca.settings.trust_roots_pem.clone(),
            ca.thumbprint().map(str::to_owned),
            ca.account_url().map(str::to_owned),
        )
    };
    one.revision == other.revision || of(one) == of(other)
}

impl Court {
    /// Opens CAs whose account is there, and anew those whose account has changed.
    pub(super) fn open_cas(&mut self, state: &State, now: Timestamp) {
        self.cas
            .0
            .retain(|name, _| state.ca(name.as_str()).is_some());
        for ca in state.cas().filter(|ca| ca.account_url().is_some()) {
            let known = self.cas.0.get(&ca.name);
            if known.is_some_and(|(known, _)| is_same(known, ca)) {
                continue;
            }
            let again = known.is_some();
            match account::open(&self.reign, ca) {
                Ok(authority) => {
                    let opened = (ca.clone(), authority);
                    self.cas.0.insert(ca.name.clone(), opened);
                }
                Err(error) => {
                    self.note(Duty::Issuance, format!("{}: {error}", ca.name), now);
                    continue;
                }
            }
            if again {
                self.begin_anew(&ca.name);
            }
        }
    }

    /// Orders there are carried by somebody who signs with a key that is the account's no
    /// more: others take them up.
    fn begin_anew(&self, changed: &CaName) {
        for work in self.works.values() {
            if let Work::Order { ca, abort, .. } = work
                && ca == changed
            {
                abort.abort();
            }
        }
    }

    /// Those that can be asked at the moment.
    pub(super) fn calm_cas(&self) -> renewal::Cas {
        let calm = |name: &CaName| self.reign.weather(name).pause().is_none();
        let opened = self.cas.0.iter().filter(|(name, _)| calm(name));
        let each = opened.map(|(name, (_, authority))| (name.clone(), authority.clone()));
        each.collect()
    }

    /// Shows what is waiting and how the CAs are.
    pub(super) fn show(&self, state: &State) {
        let mut in_flight: HashMap<&CaName, usize> = HashMap::new();
        for order in state.orders() {
            *in_flight.entry(&order.ca).or_default() += 1;
        }
        let first = state.cas_by_rank().first().map(|ca| ca.name.clone());
        self.reign.board.edit(|status| {
            status
                .cas
                .retain(|name, _| state.ca(name.as_str()).is_some());
            for ca in state.cas() {
                let shown = status
                    .cas
                    .entry(ca.name.clone())
                    .or_insert_with(CaStatus::default);
                shown.orders = in_flight.get(&ca.name).copied().unwrap_or_default();
                shown.pause = self.reign.weather(&ca.name).pause();
            }
            let first = first.and_then(|first| status.cas.get(&first));
            status.pause = first.and_then(|first| first.pause.clone());
            status.queue = self.queue.queue();
            status.polled = self.polls.len();
        });
    }
}
