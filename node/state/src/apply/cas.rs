//! The CAs and our accounts there.

use std::{collections::BTreeSet, time::Duration};

use super::Apply;
use crate::{
    AccountKey, Ca, CaName, CaSettings, Certificate, ExternalAccount, HostnameRecord, Index, Limit,
    Order, Refusal, Registration, RevocationState, Source, Stage,
    outcome::{Done, Kind},
};

/// Most CAs: they are looked through whenever an order begins.
const CAS_MAX: usize = 32;

/// Most exceptions from a CA's limits, for the same reason.
const OVERRIDES_MAX: usize = 1000;

impl Apply<'_> {
    pub(super) fn put_ca_settings(
        &mut self,
        name: &CaName,
        settings: &CaSettings,
        revision: Option<Index>,
    ) -> Result<Done, Refusal> {
        check_limits(settings)?;
        let known = self.state.cas.get(name).cloned();
        let current = known.as_ref().map_or(Index(0), |ca| ca.revision);
        self.check_revision(current, revision)?;
        let Some(known) = known else {
            if self.state.cas.len() >= CAS_MAX {
                return Err(Refusal::TooMany(Kind::Ca));
            }
            self.put_ca(Ca {
                name: name.clone(),
                settings: settings.clone(),
                external_account: None,
                registration: Registration::None,
                revision: self.index,
            });
            return Ok(Done::Nothing);
        };
        if known.settings == *settings {
            return Ok(Done::Unchanged);
        }
        let begun = known.registration != Registration::None;
        if begun && known.settings.directory != settings.directory {
            // The account's key belongs to that CA.
            return Err(Refusal::Unfit(
                "another directory is another CA: add it by its own name".to_owned(),
            ));
        }
        self.put_ca(Ca {
            settings: settings.clone(),
            ..(*known).clone()
        });
        Ok(Done::Nothing)
    }

    pub(super) fn bind_external_account(
        &mut self,
        name: &CaName,
        account: Option<&ExternalAccount>,
    ) -> Result<Done, Refusal> {
        let ca = self.ca(name)?;
        if ca.external_account.as_ref() == account {
            return Ok(Done::Unchanged);
        }
        self.put_ca(Ca {
            external_account: account.cloned(),
            ..ca
        });
        Ok(Done::Nothing)
    }

    pub(super) fn remove_ca(
        &mut self,
        name: &CaName,
        revision: Option<Index>,
    ) -> Result<Done, Refusal> {
        let ca = self.ca(name)?;
        self.check_revision(ca.revision, revision)?;
        if self.state.cas.len() == 1 {
            return Err(Refusal::InUse("it is the only CA".to_owned()));
        }
        if let Some(by) = self.ca_user(name) {
            return Err(Refusal::InUse(by.to_owned()));
        }
        let buckets: Vec<_> = self.state.buckets.keys().cloned().collect();
        for key in buckets.into_iter().filter(|key| key.ca == *name) {
            self.delete_bucket(&key);
        }
        self.delete_ca(name);
        Ok(Done::Nothing)
    }

    /// What still needs a CA.
    fn ca_user(&self, name: &CaName) -> Option<&'static str> {
        if self.state.orders.values().any(|order| order.ca == *name) {
            return Some("orders are in flight there");
        }
        let revoking = |certificate: &Certificate| {
            let state = certificate.revocation.as_ref().map(|asked| &asked.state);
            matches!(state, Some(RevocationState::Wanted { .. }))
                && matches!(&certificate.source, Source::Ca(ca) if ca == name)
        };
        if self.state.certificates.values().any(|one| revoking(one)) {
            return Some("a revocation is to be told there");
        }
        let wants = |record: &HostnameRecord| {
            let only = record.wants.as_ref().and_then(|wants| wants.ca.as_ref());
            only == Some(name)
        };
        let wanted = self.state.hostnames().any(|(_, record)| wants(record));
        wanted.then_some("hostnames want certificates from there only")
    }

    pub(super) fn roll_account_key(&mut self, name: &CaName) -> Result<Done, Refusal> {
        let ca = self.ca(name)?;
        match ca.registration.clone() {
            Registration::Registered {
                key,
                url,
                rollover: false,
            } => {
                let registration = Registration::Registered {
                    key,
                    url,
                    rollover: true,
                };
                self.put_ca(Ca { registration, ..ca });
                Ok(Done::Nothing)
            }
            Registration::Registered { rollover: true, .. } | Registration::Rolling { .. } => {
                Ok(Done::Unchanged)
            }
            Registration::None | Registration::KeyCommitted(_) => Err(Refusal::AccountState),
        }
    }

    /// The first key, or the next one. Not while a challenge of the CA is or will be open:
    /// its answer ends in the thumbprint of the account's key. What is being finalized has
    /// none any more, and may take long.
    pub(super) fn commit_account_key(
        &mut self,
        name: &CaName,
        next: &AccountKey,
    ) -> Result<Done, Refusal> {
        let ca = self.ca(name)?;
        let registration = match ca.registration.clone() {
            Registration::None => Registration::KeyCommitted(next.clone()),
            Registration::Registered {
                key,
                url,
                rollover: true,
            } => {
                let challenged = |order: &Order| {
                    order.ca == *name && !matches!(order.stage, Stage::FinalizeIntent(_))
                };
                if self.state.orders.values().any(|order| challenged(order)) {
                    return Err(Refusal::InUse("challenges are open there".to_owned()));
                }
                Registration::Rolling {
                    key,
                    url,
                    next: next.clone(),
                }
            }
            Registration::KeyCommitted(_)
            | Registration::Registered { .. }
            | Registration::Rolling { .. } => return Err(Refusal::AccountState),
        };
        self.put_ca(Ca { registration, ..ca });
        Ok(Done::Nothing)
    }

    pub(super) fn register_account(&mut self, name: &CaName, url: &str) -> Result<Done, Refusal> {
        let ca = self.ca(name)?;
        match ca.registration.clone() {
            Registration::KeyCommitted(key) => {
                let registration = Registration::Registered {
                    key,
                    url: url.to_owned(),
                    rollover: false,
                };
                self.put_ca(Ca { registration, ..ca });
                Ok(Done::Nothing)
            }
            Registration::Registered { url: known, .. } if known == url => Ok(Done::Unchanged),
            Registration::None | Registration::Registered { .. } | Registration::Rolling { .. } => {
                Err(Refusal::AccountState)
            }
        }
    }

    pub(super) fn finish_rollover(&mut self, name: &CaName, rolled: bool) -> Result<Done, Refusal> {
        let ca = self.ca(name)?;
        let Registration::Rolling { key, url, next } = ca.registration.clone() else {
            return Err(Refusal::AccountState);
        };
        let registration = Registration::Registered {
            key: if rolled { next } else { key },
            url,
            rollover: false,
        };
        self.put_ca(Ca { registration, ..ca });
        Ok(Done::Nothing)
    }

    pub(super) fn ca(&self, name: &CaName) -> Result<Ca, Refusal> {
        let ca = self
            .state
            .cas
            .get(name)
            .ok_or(Refusal::NotFound(Kind::Ca))?;
        Ok((**ca).clone())
    }
}

/// One limit of each kind, one exception for each key, and none that allows nothing.
fn check_limits(settings: &CaSettings) -> Result<(), Refusal> {
    if settings.overrides.len() > OVERRIDES_MAX {
        return Err(Refusal::TooMany(Kind::Limit));
    }
    let unfit = |why: &str| Err(Refusal::Unfit(why.to_owned()));
    let exceptions = settings.overrides.iter().map(|exception| &exception.limit);
    let fits = |limit: &Limit| limit.burst > 0 && limit.refill >= Duration::from_millis(1);
    if !settings.limits.iter().chain(exceptions).all(fits) {
        return unfit("a limit allows at least one, and one more after a millisecond or more");
    }
    let kinds: BTreeSet<_> = settings.limits.iter().map(|limit| limit.kind).collect();
    if kinds.len() < settings.limits.len() {
        return unfit("there are two limits of one kind");
    }
    let keys = settings.overrides.iter();
    let keys: BTreeSet<_> = keys.map(|one| (one.limit.kind, &one.key)).collect();
    if keys.len() < settings.overrides.len() {
        return unfit("there are two exceptions for one key of a limit");
    }
    Ok(())
}
