//! Data keys, and what is sealed under them.

use state::{
    Change, Holder, HpkeSealed, KeyPurpose, NodeId, Rotation, Sealed, State,
    command::{Reseal, ResealCertificate},
};

use super::{Step, What, number, sealed};

impl Step {
    pub(super) fn secret_change(self, state: &State, unique: u64) -> Change {
        let purpose = KeyPurpose::ALL[usize::from(self.how % 2)];
        let present = state
            .current_data_key(purpose)
            .map_or(0, |key| key.generation);
        match self.what {
            What::Share => Change::ShareDataKey {
                node: self.node(),
                purpose,
                generation: present,
                sealed: hpke(unique),
            },
            What::Rotate => Change::RotateDataKey {
                purpose,
                generation: present + u32::from(!self.how.is_multiple_of(5)),
                sealed_for: [self.node(), NodeId(1)]
                    .map(|node| (node, hpke(unique)))
                    .to_vec(),
            },
            What::AskRotation => Change::AskRotation {
                of: Rotation::ALL[usize::from(self.how) % Rotation::ALL.len()],
            },
            What::Reseal => self.reseal(state, unique),
            What::ResealCertificate => self.reseal_certificate(state, unique),
            _ => {
                let retired = state.retired_data_keys();
                let (purpose, generation) = retired
                    .get(usize::from(self.which) % retired.len().max(1))
                    .copied()
                    .unwrap_or((purpose, present));
                Change::DropDataKey {
                    purpose,
                    generation,
                }
            }
        }
    }

    fn reseal(self, state: &State, unique: u64) -> Change {
        let holders: Vec<_> = state.holders_to_reseal().collect();
        let holder = holders.get(usize::from(self.which) % holders.len().max(1));
        let holder = holder.cloned().unwrap_or(Holder::Zone);
        let secrets = state.secrets_of(&holder).into_iter().zip(0..);
        let secrets = secrets.map(|((_, old), number)| {
            let of = old.digest();
            let new = Sealed {
                ciphertext: old.ciphertext,
                ..sealed(state, old.purpose, 1000 * unique + number)
            };
            (of, new)
        });
        let secrets = secrets.collect();
        Change::Reseal(Box::new(Reseal { holder, secrets }))
    }

    fn reseal_certificate(self, state: &State, unique: u64) -> Change {
        let ids: Vec<_> = state.certificates_to_reseal().map(|it| it.id).collect();
        let id = ids.get(usize::from(self.which) % ids.len().max(1));
        Change::ResealCertificate(Box::new(ResealCertificate {
            id: id.copied().unwrap_or_else(|| self.certificate(state)),
            leaf: number(unique),
            key: sealed(state, KeyPurpose::Serving, unique),
        }))
    }
}

fn hpke(unique: u64) -> HpkeSealed {
    HpkeSealed {
        encapsulated: number(unique),
        ciphertext: number(unique),
    }
}
