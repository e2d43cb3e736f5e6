//! Session tickets (RFC 8446 section 4.6.1, RFC 5077): a session that one node has begun
//! is resumed by any.
//!
//! A ticket is sealed with a key for the name that was asked for, its claim and what its
//! TLS is decided by. So it is worth nothing for another name, even under one certificate,
//! nor for another tenant, nor after a change. All keys follow from the secret of an epoch,
//! which the cluster's members hand each other and never write down.
//!
//! A ticket that does not open costs a full handshake and no error.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Prk},
    rand,
};
use rustls::{ServerConfig, server::ProducesTickets};
use state::{
    CertificateId, Index, Secret, TicketSecrets, Timestamp,
    ports::Clock,
    traffic::{Ciphers, TlsVersion},
};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::keys::Ready;
use crate::limits::{SESSION, TICKET, TICKETS, TICKETS_TRIED};

/// The epoch, in the clear: which secret opens it.
const EPOCH: usize = size_of::<u64>();
/// What stands before the sealed part.
const HEADER: usize = EPOCH + NONCE_LEN;
/// When the full handshake was, behind the session and sealed with it.
const BEGUN: usize = size_of::<u64>();
const TAG: usize = 16;

/// What a ticket is for: it is opened for nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// The server name, in lower case.
    pub(crate) name: &'a str,
    /// Whose it is.
    pub(crate) claim: Index,
    pub(crate) policy: Policy,
}

/// What TLS for a name is decided by. Whoever resumes is not asked for anything again, so
/// that all that could be asked for differently must be in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// A new one may stand where the old one was revoked. A handshake in months costs
    /// nobody anything.
    pub(crate) certificate: CertificateId,
    pub(crate) terms: Terms,
}

/// What the settings of a hostname want of its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) min_tls: TlsVersion,
    pub(crate) ciphers: Ciphers,
}

/// The present secrets, shared by all cores.
#[derive(Clone)]
pub(crate) struct Tickets {
    secrets: Arc<ArcSwapOption<TicketSecrets>>,
    clock: Arc<dyn Clock>,
}

impl Tickets {
    /// None are given while there is no secret.
    pub(crate) fn new(secrets: Option<Arc<TicketSecrets>>, clock: Arc<dyn Clock>) -> Self {
        Self {
            secrets: Arc::new(ArcSwapOption::new(secrets)),
            clock,
        }
    }

    /// Takes up each new secret, until their source is gone; the last ones stay.
    pub(crate) async fn follow(self, mut secrets: watch::Receiver<Option<Arc<TicketSecrets>>>) {
        loop {
            let present = secrets.borrow_and_update().clone();
            self.secrets.store(present);
            if secrets.changed().await.is_err() {
                return;
            }
        }
    }

    /// What a connection is served with, given what its certificate is: with tickets for
    /// `scope` that are worth nothing after `until`, if there is a secret.
    ///
    /// Not for connections that ask for the client's certificate: who resumes would not
    /// show it again.
    pub(crate) fn offer(&self, config: Ready, scope: &Scope<'_>, until: Timestamp) -> Ready {
        let Some(secrets) = self.secrets.load_full() else {
            return config;
        };
        let ticketer = Ticketer::new(secrets, scope, until, Arc::clone(&self.clock));
        // Shares all that is large: a microsecond beside a handshake's hundreds.
        let mut config = ServerConfig::clone(&config);
        config.ticketer = Arc::new(ticketer);
        config.send_tls13_tickets = TICKETS;
        Arc::new(config)
    }
}

/// One connection's tickets. Of its own, so that what it resumes keeps its age in all
/// tickets that follow.
struct Ticketer {
    secrets: Arc<TicketSecrets>,
    scope: Vec<u8>,
    until: Timestamp,
    clock: Arc<dyn Clock>,
    /// Of the epoch that seals.
    key: OnceLock<Option<LessSafeKey>>,
    /// The oldest full handshake that a ticket of the client told of, in milliseconds.
    begun: AtomicU64,
    tried: AtomicUsize,
}

impl Ticketer {
    fn new(
        secrets: Arc<TicketSecrets>,
        scope: &Scope<'_>,
        until: Timestamp,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            secrets,
            scope: scope.bytes(),
            until,
            clock,
            key: OnceLock::new(),
            begun: AtomicU64::new(u64::MAX),
            tried: AtomicUsize::new(0),
        }
    }

    fn sealing_key(&self) -> Option<&LessSafeKey> {
        let derive = || key(self.secrets.of(self.secrets.sealing)?, &self.scope);
        self.key.get_or_init(derive).as_ref()
    }

    /// When the session of this connection began, and how long it may still be resumed.
    fn life(&self) -> (u64, Duration) {
        let now = self.clock.now();
        let begun = self.begun.load(Relaxed).min(now.as_millis());
        let end = Timestamp(begun).plus(SESSION).min(self.until);
        (begun, end.min(self.secrets.opens_until).since(now))
    }

    fn seal(&self, session: &[u8]) -> Option<Vec<u8>> {
        let (begun, life) = self.life();
        if life.is_zero() {
            return None;
        }
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let epoch = self.secrets.sealing.to_be_bytes();
        // Room for all: growing would leave a copy of the session behind.
        let mut ticket = Vec::with_capacity(HEADER + session.len() + BEGUN + TAG);
        ticket.extend_from_slice(&epoch);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(session);
        ticket.extend_from_slice(&begun.to_be_bytes());
        let tag = self.sealing_key()?.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(epoch),
            &mut ticket[HEADER..],
        );
        ticket.extend_from_slice(tag.ok()?.as_ref());
        Some(ticket)
    }

    fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > TICKET || self.tried.fetch_add(1, Relaxed) >= TICKETS_TRIED {
            return None;
        }
        let (epoch, sealed) = ticket.split_first_chunk::<EPOCH>()?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let (nonce, aad) = (Nonce::assume_unique_for_key(*nonce), Aad::from(*epoch));
        let epoch = u64::from_be_bytes(*epoch);
        let mut session = sealed.to_vec();
        let length = if epoch == self.secrets.sealing {
            let opened = self.sealing_key()?.open_in_place(nonce, aad, &mut session);
            opened.ok()?.len()
        } else {
            let key = key(self.secrets.of(epoch)?, &self.scope)?;
            key.open_in_place(nonce, aad, &mut session).ok()?.len()
        };
        session.truncate(length);
        let begun = u64::from_be_bytes(*session.last_chunk::<BEGUN>()?);
        session.truncate(length - BEGUN);
        self.begun.fetch_min(begun, Relaxed);
        let (_, life) = self.life();
        (!life.is_zero()).then_some(session)
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    /// In seconds, for what is sealed now.
    fn lifetime(&self) -> u32 {
        let (_, life) = self.life();
        u32::try_from(life.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher)
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticketer({:?})", self.secrets)
    }
}

impl Scope<'_> {
    /// All of it, and no two alike: what varies in length has an end, or stands last.
    fn bytes(&self) -> Vec<u8> {
        const LABEL: &[u8] = b"hostquorum ticket key 1";
        /// Longest of what the terms are called.
        const TERMS: usize = 16;
        let Policy { certificate, terms } = self.policy;
        let fixed = LABEL.len() + size_of::<Index>() + certificate.0.len() + TERMS;
        let mut bytes = Vec::with_capacity(fixed + self.name.len());
        bytes.extend_from_slice(LABEL);
        bytes.extend_from_slice(&self.claim.0.to_be_bytes());
        bytes.extend_from_slice(&certificate.0);
        for term in [terms.min_tls.as_str(), terms.ciphers.as_str()] {
            bytes.extend_from_slice(term.as_bytes());
            bytes.push(0);
        }
        bytes.extend_from_slice(self.name.as_bytes());
        bytes
    }
}

/// A name's key of an epoch.
fn key(secret: &Secret, scope: &[u8]) -> Option<LessSafeKey> {
    let mut bytes = Zeroizing::new([0; 32]);
    let secret = Prk::new_less_safe(HKDF_SHA256, secret.expose());
    let scope = [scope];
    let expanded = secret.expand(&scope, HKDF_SHA256);
    expanded.and_then(|key| key.fill(&mut bytes[..])).ok()?;
    let key = UnboundKey::new(&AES_256_GCM_SIV, &bytes[..]).ok()?;
    Some(LessSafeKey::new(key))
}

#[cfg(test)]
mod tests {
    use state::testing::ManualClock;

    use super::*;

    const SESSION_BYTES: &[u8] = b"what rustls knows of a session";

    /// Secrets of the epochs around 10, of hours.
    fn secrets(sealing: u64) -> Arc<TicketSecrets> {
        let secret = |epoch: u64| (epoch, Secret::new(vec![u8::try_from(epoch).unwrap(); 32]));
        Arc::new(TicketSecrets {
            sealing,
            opens_until: Timestamp::from_secs((sealing + 2) * 3600),
            secrets: (sealing - 1..=sealing + 1).map(secret).collect(),
        })
    }

    struct Rig {
        clock: Arc<ManualClock>,
        until: Timestamp,
    }

    const TERMS: Terms = Terms {
        min_tls: TlsVersion::V12,
        ciphers: Ciphers::Default,
    };

    const SCOPE: Scope<'static> = Scope {
        name: "a.example",
        claim: Index(7),
        policy: Policy {
            certificate: CertificateId([3; 32]),
            terms: TERMS,
        },
    };

    impl Rig {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::default());
            let until = clock.now().plus(Duration::from_secs(90 * 86_400));
            Self { clock, until }
        }

        fn connection(&self, secrets: Arc<TicketSecrets>, scope: &Scope<'_>) -> Ticketer {
            let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
            Ticketer::new(secrets, scope, self.until, clock)
        }

        /// Secrets of the epoch that is now.
        fn present(&self) -> Arc<TicketSecrets> {
            Arc::new(TicketSecrets {
                opens_until: self.clock.now().plus(Duration::from_secs(5400)),
                ..(*secrets(10)).clone()
            })
        }

        fn sealed(&self) -> Vec<u8> {
            let ticketer = self.connection(self.present(), &SCOPE);
            ticketer.encrypt(SESSION_BYTES).unwrap()
        }
    }

    #[test]
    fn a_ticket_opens_on_any_connection_of_its_name_and_on_no_other() {
        let rig = Rig::new();
        let ticket = rig.sealed();
        let open = |scope: &Scope<'_>| rig.connection(rig.present(), scope).decrypt(&ticket);
        assert_eq!(open(&SCOPE).as_deref(), Some(SESSION_BYTES));
        for other in [
            Scope {
                name: "b.example",
                ..SCOPE
            },
            Scope {
                name: "a.example.a.example",
                ..SCOPE
            },
            Scope {
                claim: Index(8),
                ..SCOPE
            },
            Scope {
                policy: Policy {
                    certificate: CertificateId([4; 32]),
                    ..SCOPE.policy
                },
                ..SCOPE
            },
            Scope {
                policy: Policy {
                    terms: Terms {
                        min_tls: TlsVersion::V13,
                        ..TERMS
                    },
                    ..SCOPE.policy
                },
                ..SCOPE
            },
            Scope {
                policy: Policy {
                    terms: Terms {
                        ciphers: Ciphers::Strong,
                        ..TERMS
                    },
                    ..SCOPE.policy
                },
                ..SCOPE
            },
        ] {
            assert_eq!(open(&other), None, "{other:?}");
        }
    }

    #[test]
    fn the_epochs_around_a_tickets_open_it_and_others_do_not() {
        let rig = Rig::new();
        let ticket = rig.sealed();
        for (sealing, opens) in [(8, false), (9, true), (10, true), (11, true), (12, false)] {
            let held = Arc::new(TicketSecrets {
                opens_until: rig.present().opens_until,
                ..(*secrets(sealing)).clone()
            });
            let opened = rig.connection(held, &SCOPE).decrypt(&ticket);
            assert_eq!(opened.is_some(), opens, "{sealing}");
        }
    }

    #[test]
    fn no_bit_of_a_ticket_may_turn_and_no_byte_may_go() {
        let rig = Rig::new();
        let ticket = rig.sealed();
        let opens = |ticket: &[u8]| {
            rig.connection(rig.present(), &SCOPE)
                .decrypt(ticket)
                .is_some()
        };
        assert!(opens(&ticket));
        for place in 0..ticket.len() {
            let mut turned = ticket.clone();
            turned[place] ^= 1;
            assert!(!opens(&turned), "{place}");
            assert!(!opens(&ticket[..place]), "{place}");
        }
        assert!(!opens(&[&ticket[..], &[0]].concat()));
    }

    #[test]
    fn two_tickets_of_one_session_do_not_look_alike() {
        let rig = Rig::new();
        let ticketer = rig.connection(rig.present(), &SCOPE);
        let (one, other) = (
            ticketer.encrypt(SESSION_BYTES),
            ticketer.encrypt(SESSION_BYTES),
        );
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_ne!(one[HEADER..], other[HEADER..]);
        let shows = |ticket: &[u8]| ticket.windows(8).any(|part| part == &SESSION_BYTES[..8]);
        assert!(!shows(&one) && !shows(&other));
    }

    #[test]
    fn resuming_does_not_prolong_a_session() {
        let rig = Rig::new();
        let mut ticket = rig.sealed();
        for hour in 0..12 {
            let connection = rig.connection(rig.present(), &SCOPE);
            assert!(connection.decrypt(&ticket).is_some(), "{hour}");
            ticket = connection.encrypt(SESSION_BYTES).unwrap();
            rig.clock.advance(Duration::from_secs(3600));
        }
        let connection = rig.connection(rig.present(), &SCOPE);
        assert_eq!(connection.decrypt(&ticket), None);
        assert!(
            connection.encrypt(SESSION_BYTES).is_none(),
            "nor does what was refused"
        );
    }

    #[test]
    fn a_ticket_lives_no_longer_than_its_epochs_the_session_and_the_certificate() {
        let mut rig = Rig::new();
        let lifetime = |rig: &Rig, secrets| rig.connection(secrets, &SCOPE).lifetime();
        assert_eq!(lifetime(&rig, rig.present()), 5400);
        let long = Arc::new(TicketSecrets {
            opens_until: rig.clock.now().plus(Duration::from_secs(90_000)),
            ..(*secrets(10)).clone()
        });
        assert_eq!(
            u64::from(lifetime(&rig, Arc::clone(&long))),
            SESSION.as_secs()
        );
        rig.until = rig.clock.now().plus(Duration::from_secs(60));
        assert_eq!(lifetime(&rig, long), 60);
        let ticket = rig.sealed();
        rig.clock.advance(Duration::from_secs(60));
        let connection = rig.connection(rig.present(), &SCOPE);
        assert_eq!(connection.decrypt(&ticket), None);
        assert_eq!(connection.encrypt(SESSION_BYTES), None);
    }

    #[test]
    fn few_tickets_are_tried_in_one_handshake_and_none_that_is_too_long() {
        let rig = Rig::new();
        let ticket = rig.sealed();
        let connection = rig.connection(rig.present(), &SCOPE);
        for _ in 0..TICKETS_TRIED {
            assert!(connection.decrypt(&ticket).is_some());
        }
        assert!(connection.decrypt(&ticket).is_none());
        let connection = rig.connection(rig.present(), &SCOPE);
        let long = connection.encrypt(&[0; TICKET]).unwrap();
        assert_eq!(connection.decrypt(&long), None);
    }

    #[test]
    fn no_secret_is_shown() {
        let rig = Rig::new();
        let ticketer = rig.connection(rig.present(), &SCOPE);
        ticketer.encrypt(SESSION_BYTES);
        assert!(!format!("{ticketer:?}").contains("10, 10"));
    }
}
