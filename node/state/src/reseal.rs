//! Secrets under data keys that are being replaced: where they are, and how each comes under
//! the present key.
//!
//! Every secret of a record says which generation of which key it is under. A certificate's
//! own key is on disk only; its record says it. So any replica can tell, by its state alone,
//! whether a generation is still needed.

use std::convert::Infallible;

use crate::{
    CaName, Certificate, Hostname, HostnameRecord, KeyPurpose, OrderId, Sealed, State, Traffic,
    backup::Portable, sealed::SealContext, traffic::Switch,
};

/// A record that has secrets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// The cluster's CA.
    Authority,
    /// A CA that certificates come from.
    Ca(CaName),
    /// The zone.
    Zone,
    /// An order in flight.
    Order(OrderId),
    /// A hostname.
    Hostname(Hostname),
}

/// What [`Holder`]s hold.
pub(crate) enum Held {
    Authority(crate::Authority),
    Portable(Box<Portable>),
}

impl Held {
    /// With each secret that `anew` knows another sealing of.
    pub(crate) fn resealed(self, mut anew: impl FnMut(&SealContext, &Sealed) -> Sealed) -> Self {
        match self {
            Self::Authority(authority) => Self::Authority(crate::Authority {
                root_key: anew(&SealContext::RootKey, &authority.root_key),
                issuing_key: anew(&SealContext::IssuingKey, &authority.issuing_key),
                ..authority
            }),
            Self::Portable(portable) => {
                let mut anew = |context: &SealContext, sealed: &Sealed| Ok(anew(context, sealed));
                let Ok::<_, Infallible>(portable) = portable.resealed(&mut anew);
                Self::Portable(portable.into())
            }
        }
    }

    /// Every secret in it.
    pub(crate) fn secrets(self) -> Vec<(SealContext, Sealed)> {
        let mut secrets = Vec::new();
        self.resealed(|context, sealed| {
            secrets.push((context.clone(), sealed.clone()));
            sealed.clone()
        });
        secrets
    }
}

impl State {
    /// Generations that nothing is sealed under any more, and something may still be.
    pub fn retired_data_keys(&self) -> Vec<(KeyPurpose, u32)> {
        let keys = self.data_keys.keys().copied();
        keys.filter(|(purpose, generation)| *generation < self.newest(*purpose))
            .collect()
    }

    /// The secrets of `holder`, and what each is sealed for; none if there is no such record.
    pub fn secrets_of(&self, holder: &Holder) -> Vec<(SealContext, Sealed)> {
        self.held(holder).map(Held::secrets).unwrap_or_default()
    }

    /// Records with a secret under a retired key.
    pub fn holders_to_reseal(&self) -> impl Iterator<Item = Holder> + '_ {
        let retired = |holder: &Holder| {
            let secrets = self.secrets_of(holder);
            secrets.iter().any(|(_, sealed)| self.is_retired(sealed))
        };
        self.holders().filter(retired)
    }

    /// Certificates whose key on disk is under a retired one.
    pub fn certificates_to_reseal(&self) -> impl Iterator<Item = &Certificate> {
        let newest = self.newest(KeyPurpose::Serving);
        let certificates = self.certificates.values().map(|certificate| &**certificate);
        certificates.filter(move |certificate| certificate.sealed_under < newest)
    }

    /// How many secrets are still under keys of `purpose` that are retired.
    pub fn secrets_to_reseal(&self, purpose: KeyPurpose) -> usize {
        let of_purpose = |(_, sealed): &(SealContext, Sealed)| {
            sealed.purpose == purpose && self.is_retired(sealed)
        };
        let holders = self.holders();
        let in_records: usize = holders
            .map(|holder| {
                self.secrets_of(&holder)
                    .iter()
                    .filter(|it| of_purpose(it))
                    .count()
            })
            .sum();
        match purpose {
            KeyPurpose::Serving => in_records + self.certificates_to_reseal().count(),
            KeyPurpose::Control => in_records,
        }
    }

    /// True if something may be sealed under that generation. Certificates that came with a
    /// backup or from an early program do not say: they count as sealed under all that are
    /// retired.
    pub(crate) fn is_sealed_under(&self, purpose: KeyPurpose, generation: u32) -> bool {
        let by_certificate = |certificate: &std::sync::Arc<Certificate>| {
            certificate.sealed_under == generation || certificate.sealed_under == 0
        };
        let by_record = |holder: Holder| {
            let mut secrets = self.secrets_of(&holder).into_iter();
            secrets.any(|(_, it)| it.purpose == purpose && it.generation == generation)
        };
        purpose == KeyPurpose::Serving && self.certificates.values().any(by_certificate)
            || self.holders().any(by_record)
    }

    /// True if the cluster has the key that `sealed` is under.
    pub(crate) fn has_key_of(&self, sealed: &Sealed) -> bool {
        let key = (sealed.purpose, sealed.generation);
        self.data_keys.contains_key(&key)
    }

    /// The generation that seals; 0 before the cluster was formed.
    pub fn newest(&self, purpose: KeyPurpose) -> u32 {
        self.current_data_key(purpose)
            .map_or(0, |key| key.generation)
    }

    fn is_retired(&self, sealed: &Sealed) -> bool {
        sealed.generation < self.newest(sealed.purpose)
    }

    /// All records that may have secrets.
    fn holders(&self) -> impl Iterator<Item = Holder> + '_ {
        let cas = self.cas.keys().cloned().map(Holder::Ca);
        let orders = self.orders.keys().copied().map(Holder::Order);
        let hostnames = self
            .hostnames
            .iter()
            .filter(|(_, record)| has_secrets(record))
            .map(|(name, _)| Holder::Hostname(name.clone()));
        [Holder::Authority, Holder::Zone]
            .into_iter()
            .chain(cas)
            .chain(orders)
            .chain(hostnames)
    }

    pub(crate) fn held(&self, holder: &Holder) -> Option<Held> {
        let portable = match holder {
            Holder::Authority => {
                let authority = self.authority.as_deref()?;
                return Some(Held::Authority(authority.clone()));
            }
            Holder::Ca(name) => Portable::Ca((**self.cas.get(name)?).clone()),
            Holder::Zone => Portable::Zone(self.zone.clone()),
            Holder::Order(id) => Portable::Order((**self.orders.get(id)?).clone()),
            Holder::Hostname(name) => {
                let record = self.hostnames.get(name)?;
                Portable::Hostname(name.clone(), (**record).clone())
            }
        };
        Some(Held::Portable(portable.into()))
    }
}

/// Whether it is worth looking at: few hostnames have any.
fn has_secrets(record: &HostnameRecord) -> bool {
    let identity = |traffic: &Traffic| matches!(traffic.origin_identity, Some(Switch::On(_)));
    record.request().is_some() || record.traffic.as_deref().is_some_and(identity)
}
