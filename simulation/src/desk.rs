//! What a node does for the simulation: operators' calls as its admin room would make
//! them, the founding, and a look at all that it has.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use consensus::Replica;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use state::ports::{Bodies, Members, Propose, Seal};
use state::sealed::SealContext;
use state::testing::MaskSeal;
use state::{Certificate, Outcome, State, outcome::Done};

use crate::digest::{Digest, feed};
use crate::founding;
use crate::machine::World;
use crate::operation::{Answer, Op, Operation};
use crate::seat::{Report, Request, Seat};
use crate::stage::Survey;

/// Does what is asked and reports it.
pub(crate) async fn handle(
    seat: Arc<Seat>,
    world: Arc<World>,
    replica: Arc<Replica>,
    request: Request,
) {
    let report = match request {
        Request::Found(machines) => {
            Report::Founded(founding::found(&replica, &world, &machines).await)
        }
        Request::Call(op, operation) => {
            Report::Answered(op, call(&replica, &world, op, &operation).await)
        }
        Request::Survey => Report::Surveyed(survey(&replica)),
    };
    seat.report(report);
}

async fn call(replica: &Replica, world: &World, op: Op, operation: &Operation) -> Answer {
    match operation {
        Operation::Read(hostname) => match replica.barrier().await {
            Ok(_) => {
                let state = replica.state().borrow().clone();
                let record = state.hostname(hostname.as_str());
                let by = record.and_then(|record| Op::of_actor(&record.authorized_by));
                Answer::Read(state.index(), by)
            }
            Err(error) => Answer::of_error(&error),
        },
        Operation::Transfer(target) => Answer::of_members(replica.transfer(*target).await),
        Operation::Join(machine) => {
            let machine = *machine;
            let answer = founding::join(replica, op, machine).await;
            if let Answer::Applied(applied) = &answer
                && let Outcome::Done(Done::Node(node)) = applied.outcome
            {
                world.roll.enrol(machine, node);
            }
            answer
        }
        proposed => match proposed.change(op) {
            Some(change) => Answer::of_proposal(replica.propose(op.actor(), change).await),
            None => Answer::NotProposed("nothing to propose"),
        },
    }
}

/// All records, and all bodies that they name, from the node's own disk; and each
/// certificate that is served opened as a handshake would.
fn survey(replica: &Replica) -> Survey {
    let state = replica.state().borrow().clone();
    let mut hash = Context::new(&SHA256);
    for (key, value) in state.records() {
        feed(&mut hash, &key);
        feed(&mut hash, &value);
    }
    let mut keys: Vec<_> = state.body_keys().collect();
    keys.sort_unstable();
    for key in keys {
        let body = replica.read(&key).map_err(|error| error.to_string())?;
        let body = body.ok_or_else(|| format!("the body {key:?} is missing"))?;
        feed(&mut hash, &key);
        feed(&mut hash, &body);
    }
    for certificate in served(&state) {
        open(replica, certificate).map_err(|why| format!("{}: {why}", certificate.hostname))?;
    }
    Ok((state.index(), Digest::of(hash)))
}

fn served(state: &State) -> impl Iterator<Item = &Certificate> {
    let hostnames = state.hostnames();
    let served = hostnames.filter_map(|(_, record)| state.certificate(&record.certificate?));
    served.map(|certificate| &**certificate)
}

/// Whether its key opens and is the one that it is for.
fn open(replica: &Replica, certificate: &Certificate) -> Result<(), String> {
    let body = Bodies::certificate(replica, certificate).map_err(|error| error.to_string())?;
    let body = body.ok_or("its body is missing")?;
    let context = SealContext::CertificateKey(certificate.hostname.clone());
    let secret = MaskSeal.open(&body.sealed_key, &context);
    let secret = secret.map_err(|error| error.to_string())?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(secret.expose()));
    let key = any_supported_type(&der).map_err(|error| error.to_string())?;
    let chain = body.chain.iter();
    let chain = chain
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    let pair = CertifiedKey::new(chain, key);
    pair.keys_match().map_err(|error| error.to_string())
}
