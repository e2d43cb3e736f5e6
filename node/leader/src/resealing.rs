//! Brings every secret under the present data keys, and forgets the keys before them.
//!
//! New secrets are under the newest generation from the moment on that it is agreed on; this
//! duty seals the others anew. It goes through all that is left, rests a little between
//! rounds, and asks then for the old generations to be dropped. `apply` refuses that while
//! anything is under them: what came late is sealed anew in another pass.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use state::{
    Certificate, CertificateId, Change, Holder, KeyPurpose, Refusal, Sealed, State,
    command::{Reseal, ResealCertificate},
    ports::{Bodies, BodiesError, Seal, SealError},
    sealed::SealContext,
};
use tokio::time::sleep;

use crate::reign::{CommitError, Reign};

/// How many are sealed anew at once: the log takes them as one entry.
const ROUND: usize = 64;

/// Between two rounds, for all else that wants to be agreed on. A million certificates take
/// half an hour at the least, and 800 KB of the log a second.
const REST: Duration = Duration::from_millis(100);

/// How long after a pass that could not seal everything anew another begins: what is wrong
/// does not change by itself, and a pass costs reading all.
const AGAIN: Duration = Duration::from_secs(60);

/// Why it has not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResealError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("{0} secrets cannot be sealed anew, and the old data keys stay; the first: {1}")]
    Left(usize, String),
}

/// Why one secret cannot be sealed anew.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error(transparent)]
    Store(#[from] BodiesError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("this node does not know the newest {0} key yet")]
    Unheard(KeyPurpose),
    #[error("the certificate {0} is not in this node's store as it was issued")]
    Body(CertificateId),
    #[error("the store was not read to the end")]
    Ended,
}

/// What one pass could not do.
#[derive(Default)]
struct Left {
    count: usize,
    first: Option<String>,
}

impl Left {
    fn note(&mut self, what: &dyn std::fmt::Display, why: &Stuck) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some(format!("{what}: {why}"));
        }
    }
}

/// Whether there is anything to do: in a few words.
pub(crate) fn plan(state: &State) -> Option<String> {
    let retired: Vec<String> = state
        .retired_data_keys()
        .into_iter()
        .map(|(purpose, generation)| format!("{purpose} {generation}"))
        .collect();
    let all = retired.join(", ");
    (!retired.is_empty()).then(|| format!("sealing anew what is under the data keys {all}"))
}

/// Until nothing is under an old key, and there is none any more.
pub(crate) async fn act(reign: &Reign) -> Result<(), ResealError> {
    while plan(&reign.state()).is_some() {
        let mut left = Left::default();
        records(reign, &mut left).await?;
        certificates(reign, &mut left).await?;
        if let Some(first) = left.first {
            sleep(AGAIN).await;
            return Err(ResealError::Left(left.count, first));
        }
        drop_retired(reign).await?;
    }
    Ok(())
}

async fn records(reign: &Reign, left: &mut Left) -> Result<(), CommitError> {
    let holders: Vec<Holder> = reign.state().holders_to_reseal().collect();
    for round in holders.chunks(ROUND) {
        let state = reign.state();
        let mut changes = Vec::with_capacity(round.len());
        for holder in round {
            match reseal(&*reign.ports.seal, &state, holder) {
                Ok(change) => changes.push(change),
                Err(why) => left.note(&format_args!("{holder:?}"), &why),
            }
        }
        commit(reign, changes).await?;
    }
    Ok(())
}

async fn certificates(reign: &Reign, left: &mut Left) -> Result<(), CommitError> {
    let mut after: Option<CertificateId> = None;
    loop {
        let state = reign.state();
        let newest = state.newest(KeyPurpose::Serving);
        let round: Vec<Arc<Certificate>> = state
            .certificates_after(after.as_ref())
            .filter(|certificate| certificate.sealed_under < newest)
            .take(ROUND)
            .cloned()
            .collect();
        let Some(last) = round.last() else {
            return Ok(());
        };
        after = Some(last.id);
        let mut changes = Vec::with_capacity(round.len());
        for (certificate, resealed) in round.iter().zip(read(reign, &round, newest).await) {
            match resealed {
                Ok(change) => changes.push(change),
                Err(why) => left.note(&certificate.hostname, &why),
            }
        }
        commit(reign, changes).await?;
    }
}

/// Reads and seals where reading may block.
async fn read(
    reign: &Reign,
    round: &[Arc<Certificate>],
    newest: u32,
) -> Vec<Result<Change, Stuck>> {
    let (bodies, seal) = (reign.ports.bodies.clone(), reign.ports.seal.clone());
    let each = {
        let round = round.to_vec();
        let (bodies, seal) = (bodies.clone(), seal.clone());
        move || {
            let round = round.iter();
            let each = round.map(|one| reseal_certificate(&*bodies, &*seal, one, newest));
            each.collect::<Vec<_>>()
        }
    };
    if !bodies.blocks() {
        return each();
    }
    let ended = |_| round.iter().map(|_| Err(Stuck::Ended)).collect();
    tokio::task::spawn_blocking(each)
        .await
        .unwrap_or_else(ended)
}

async fn commit(reign: &Reign, changes: Vec<Change>) -> Result<(), CommitError> {
    if changes.is_empty() {
        return Ok(());
    }
    for committed in join_all(changes.into_iter().map(|change| reign.commit(change))).await {
        match committed {
            // Gone or replaced meanwhile.
            Ok(_) | Err(CommitError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    sleep(REST).await;
    Ok(())
}

async fn drop_retired(reign: &Reign) -> Result<(), CommitError> {
    let state = reign.state();
    let newest = state.data_keys().map(|key| key.created_at).max();
    let age = newest.map_or(Duration::MAX, |made| reign.now().since(made));
    sleep(reign.config.data_key_overlap.saturating_sub(age)).await;
    for (purpose, generation) in reign.state().retired_data_keys() {
        let change = Change::DropDataKey {
            purpose,
            generation,
        };
        match reign.commit(change).await {
            Ok(_) => tracing::info!(%purpose, generation, "a data key is forgotten"),
            Err(CommitError::Refused(Refusal::InUse(_))) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn anew(
    seal: &dyn Seal,
    context: &SealContext,
    old: &Sealed,
    newest: u32,
) -> Result<Sealed, Stuck> {
    let secret = seal.open(old, context)?;
    let new = seal.seal(old.purpose, context, secret.expose())?;
    if new.generation < newest {
        return Err(Stuck::Unheard(old.purpose));
    }
    Ok(new)
}

fn reseal(seal: &dyn Seal, state: &State, holder: &Holder) -> Result<Change, Stuck> {
    let mut secrets = Vec::new();
    for (context, old) in state.secrets_of(holder) {
        let newest = state.newest(old.purpose);
        if old.generation < newest {
            secrets.push((old.digest(), anew(seal, &context, &old, newest)?));
        }
    }
    let holder = holder.clone();
    Ok(Change::Reseal(Box::new(Reseal { holder, secrets })))
}

fn reseal_certificate(
    bodies: &dyn Bodies,
    seal: &dyn Seal,
    certificate: &Certificate,
    newest: u32,
) -> Result<Change, Stuck> {
    let id = certificate.id;
    let body = bodies.certificate(certificate)?.ok_or(Stuck::Body(id))?;
    // All replicas will have what this one has.
    let leaf = body.chain.into_iter().next();
    let leaf = leaf.filter(|leaf| certificate.is_of(leaf));
    let leaf = leaf.ok_or(Stuck::Body(id))?;
    let context = SealContext::CertificateKey(certificate.hostname.clone());
    let key = anew(seal, &context, &body.sealed_key, newest)?;
    let change = ResealCertificate { id, leaf, key };
    Ok(Change::ResealCertificate(Box::new(change)))
}
