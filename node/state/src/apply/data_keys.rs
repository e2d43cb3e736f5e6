//! The data keys: given to members, replaced, and forgotten once nothing is under them.

use imbl::OrdMap;

use super::Apply;
use crate::{
    Certificate, Change, DataKey, HpkeSealed, KeyPurpose, NodeId, Refusal, Rotation, Sealed,
    backup::Portable,
    bodies, codec,
    command::{Reseal, ResealCertificate},
    outcome::{Done, Kind},
    reseal::Held,
    traffic::Switch,
};

impl Apply<'_> {
    /// What is sealed under a key that the cluster has no more could never be opened again.
    pub(super) fn check_sealed(&self) -> Result<(), Refusal> {
        let sealed = self.command.change.sealed();
        if sealed.into_iter().all(|it| self.state.has_key_of(it)) {
            Ok(())
        } else {
            Err(Refusal::NotFound(Kind::DataKey))
        }
    }

    pub(super) fn share_data_key(
        &mut self,
        node: NodeId,
        purpose: KeyPurpose,
        generation: u32,
        sealed: &HpkeSealed,
    ) -> Result<Done, Refusal> {
        self.member(node)?;
        let key = self
            .state
            .data_keys
            .get(&(purpose, generation))
            .ok_or(Refusal::NotFound(Kind::DataKey))?;
        let mut key = (**key).clone();
        key.sealed_for.insert(node, sealed.clone());
        self.put_data_key(key);
        Ok(Done::Nothing)
    }

    pub(super) fn rotate_data_key(
        &mut self,
        purpose: KeyPurpose,
        generation: u32,
        sealed_for: &[(NodeId, HpkeSealed)],
    ) -> Result<Done, Refusal> {
        let present = self.state.newest(purpose);
        if present.checked_add(1) != Some(generation) {
            return Err(Refusal::WrongGeneration);
        }
        let sealed_for: OrdMap<NodeId, HpkeSealed> = sealed_for
            .iter()
            .filter(|(node, _)| self.state.members.contains_key(node))
            .cloned()
            .collect();
        // A key that nobody can open would lock the cluster out of new secrets.
        if sealed_for.is_empty() {
            return Err(Refusal::NotFound(Kind::Member));
        }
        self.put_data_key(DataKey {
            purpose,
            generation,
            created_at: self.command.at,
            created: self.index,
            replace: false,
            sealed_for,
        });
        Ok(Done::Nothing)
    }

    pub(super) fn ask_rotation(&mut self, of: Rotation) -> Result<Done, Refusal> {
        let purpose = match of {
            Rotation::DataKey(purpose) => purpose,
            Rotation::IssuingCa => return self.ask_issuing(),
        };
        let present = self.state.current_data_key(purpose);
        let present = present.ok_or(Refusal::NotFound(Kind::DataKey))?;
        if present.replace {
            return Ok(Done::Unchanged);
        }
        self.put_data_key(DataKey {
            replace: true,
            ..(**present).clone()
        });
        Ok(Done::Nothing)
    }

    /// Whoever reads the record can tell no difference, and it may have changed since it was
    /// read: so each secret of it is named.
    pub(super) fn reseal(&mut self, reseal: &Reseal) -> Result<Done, Refusal> {
        let Some(held) = self.state.held(&reseal.holder) else {
            return Ok(Done::Unchanged);
        };
        let mut any = false;
        let held = held.resealed(|_, old| {
            let digest = old.digest();
            let new = reseal.secrets.iter().find(|(of, new)| {
                *of == digest && new.purpose == old.purpose && new.generation > old.generation
            });
            any |= new.is_some();
            new.map_or(old, |(_, new)| new).clone()
        });
        if !any {
            return Ok(Done::Unchanged);
        }
        match held {
            Held::Authority(authority) => self.put_authority(authority),
            Held::Portable(portable) => self.put_resealed(*portable),
        }
        Ok(Done::Nothing)
    }

    fn put_resealed(&mut self, portable: Portable) {
        match portable {
            Portable::Ca(ca) => self.put_ca(ca),
            Portable::Zone(zone) => self.put_zone(zone),
            Portable::Order(order) => self.put_order(order),
            Portable::Hostname(name, record) => self.keep_hostname(&name, record),
            // They hold none.
            Portable::Bucket(..) | Portable::Tombstone(..) | Portable::Certificate(_) => {}
        }
    }

    /// The certificate gets another body; who reads the one so far has a moment.
    pub(super) fn reseal_certificate(
        &mut self,
        reseal: &ResealCertificate,
    ) -> Result<Done, Refusal> {
        let certificate = self.state.certificates.get(&reseal.id);
        let certificate = certificate
            .ok_or(Refusal::NotFound(Kind::Certificate))?
            .clone();
        if certificate.sealed_under >= reseal.key.generation {
            return Ok(Done::Unchanged);
        }
        self.delete_body(bodies::certificate_key(&certificate));
        let certificate = Certificate {
            sealed_under: reseal.key.generation,
            ..(*certificate).clone()
        };
        self.put_body(
            bodies::certificate_key(&certificate),
            codec::certificate_own_to(&reseal.leaf, &reseal.key),
        );
        self.put_certificate(certificate);
        Ok(Done::Nothing)
    }

    pub(super) fn drop_data_key(
        &mut self,
        purpose: KeyPurpose,
        generation: u32,
    ) -> Result<Done, Refusal> {
        if !self.state.data_keys.contains_key(&(purpose, generation)) {
            return Ok(Done::Unchanged);
        }
        if generation >= self.state.newest(purpose) {
            return Err(Refusal::InUse("new secrets are sealed under it".to_owned()));
        }
        if self.state.is_sealed_under(purpose, generation) {
            return Err(Refusal::InUse("secrets are sealed under it".to_owned()));
        }
        self.delete_data_key(purpose, generation);
        Ok(Done::Nothing)
    }
}

impl Change {
    /// What it brings that is sealed, but for parts of a backup and what a cluster begins
    /// with.
    fn sealed(&self) -> Vec<&Sealed> {
        match self {
            Self::UploadCertificate(upload) => upload.key.iter().collect(),
            Self::CreateRequest { key, .. } => vec![key],
            Self::BindExternalAccount { account, .. } => {
                account.iter().map(|account| &account.hmac).collect()
            }
            Self::SetTraffic { traffic, .. } => match &traffic.origin_identity {
                Some(Switch::On(identity)) => vec![&identity.key],
                _ => Vec::new(),
            },
            Self::RenewIssuing { issuing_key, .. } => vec![issuing_key],
            Self::CommitAccountKey { key, .. } => vec![&key.sealed],
            Self::AdmitOrder(admit) => vec![&admit.key],
            Self::Reseal(reseal) => reseal.secrets.iter().map(|(_, sealed)| sealed).collect(),
            Self::ResealCertificate(reseal) => vec![&reseal.key],
            _ => Vec::new(),
        }
    }
}
