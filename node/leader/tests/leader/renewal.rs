//! When to renew, and what must be revoked: asked of a CA in memory.

use std::time::Duration;

use bytes::Bytes;
use leader::issuance::authority::RenewalInfo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use state::{
    Actor, CertificateId, Change, KeyPurpose, RevocationState, Sealed, Term, Window, testing::START,
};

use crate::{
    registrar::Registrar,
    registration::{lead, registered},
    world::{Ended, Fate, World},
};

const NAME: &str = "shop.example";
const DAY: Duration = Duration::from_secs(86_400);

/// A certificate that names its issuer's key.
fn leaf() -> Bytes {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.use_authority_key_identifier_extension = true;
    let leaf = params
        .signed_by(&KeyPair::generate().unwrap(), &issuer)
        .unwrap();
    leaf.der().to_vec().into()
}

/// With an account and a certificate for 90 days.
async fn served() -> (World, Registrar, CertificateId) {
    let (world, registrar) = (World::new(), Registrar::default());
    let mut first = lead(&world, &registrar, Fate::Lives);
    first.until(registered).await;
    let term = Term(first.term.0);
    first.running.shutdown().await;
    world.alone.authorize(NAME);
    let key = Sealed {
        purpose: KeyPurpose::Serving,
        generation: 1,
        nonce: [0; 12],
        ciphertext: Bytes::new(),
    };
    world
        .alone
        .install(term, NAME, key, leaf(), vec![Bytes::from_static(b"issuer")]);
    let id = world.state().hostname(NAME).unwrap().certificate.unwrap();
    (world, registrar, id)
}

fn info(from: u32, to: u32) -> RenewalInfo {
    RenewalInfo {
        start: START.plus(DAY * from),
        end: START.plus(DAY * to),
        explanation_url: None,
        retry_after: Some(Duration::from_secs(6 * 3_600)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_moment_is_committed_once_for_each_window_and_asked_for_every_six_hours() {
    let (world, registrar, id) = served().await;
    registrar.books().renewal = Some(info(59, 61));
    let mut leader = lead(&world, &registrar, Fate::Lives);
    leader
        .until(|state| state.certificate(&id).unwrap().window.is_some())
        .await;
    let chosen = world.state().certificate(&id).unwrap().renew_at;
    let window = Window {
        start: START.plus(DAY * 59),
        end: START.plus(DAY * 61),
    };
    assert!(window.contains(chosen));
    leader.linger(DAY).await;
    let asked = registrar.books().asked;
    assert!((4..=6).contains(&asked), "{asked}");
    let changes = world.alone.log();
    let scheduled = changes
        .iter()
        .filter(|command| matches!(command.change, Change::ScheduleRenewal { .. }));
    assert_eq!(scheduled.count(), 1);
    // The window moves, and then it is past: now.
    registrar.books().renewal = Some(info(20, 21));
    leader
        .until(|state| state.certificate(&id).unwrap().renew_at < START.plus(DAY * 21))
        .await;
    registrar.books().renewal = Some(info(0, 1));
    let past = registrar.books().asked;
    leader
        .until(|state| state.certificate(&id).unwrap().renew_at < START.plus(DAY * 4))
        .await;
    assert!(registrar.books().asked > past);
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_says_nothing_leaves_the_lifetime_to_rule() {
    let (world, registrar, id) = served().await;
    let leader = lead(&world, &registrar, Fate::Lives);
    leader.linger(DAY + DAY / 2).await;
    let certificate = world.state().certificate(&id).unwrap().clone();
    assert_eq!(certificate.renew_at, START.plus(DAY * 60));
    let asked = registrar.books().asked;
    assert!((1..=3).contains(&asked), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn a_revocation_reaches_the_ca_whatever_dies() {
    for point in 0.. {
        let (world, registrar, id) = served().await;
        let change = Change::RevokeCertificate { id, reason: 1 };
        world.alone.apply(Actor::operator("ann"), None, change);
        let done = |state: &state::State| {
            let certificate = state.certificate(&id);
            certificate.is_some_and(|it| {
                it.revocation.as_ref().map(|it| &it.state) == Some(&RevocationState::Done)
            })
        };
        let mut process = lead(&world, &registrar, Fate::Dies(point));
        let mut ended = process.until(done).await;
        if ended == Ended::Reached {
            ended = process.linger(Duration::from_millis(1)).await;
        }
        let mut heir = lead(&world, &registrar, Fate::Lives);
        heir.until(done).await;
        let told = registrar.books().revoked.len();
        assert!(
            (1..=2).contains(&told),
            "died at {point}: told {told} times"
        );
        if ended == Ended::Reached {
            assert!(point >= 4, "{point}");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_refuses_to_revoke_is_told_once() {
    let (world, registrar, id) = served().await;
    registrar.books().irrevocable = true;
    let change = Change::RevokeCertificate { id, reason: 1 };
    world.alone.apply(Actor::operator("ann"), None, change);
    let mut leader = lead(&world, &registrar, Fate::Lives);
    leader
        .until(|state| {
            let certificate = state.certificate(&id).unwrap();
            let revocation = certificate.revocation.as_ref().unwrap();
            matches!(&revocation.state, RevocationState::Refused(why) if why.contains("not yours"))
        })
        .await;
}
