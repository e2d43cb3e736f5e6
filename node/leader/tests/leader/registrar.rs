//! A CA in memory that keeps accounts, revokes, and says when to renew. It takes no orders.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use leader::{
    fence::{Fence, Permit},
    issuance::authority::{
        Access, Authorities, Authority, AuthorityError, AuthorizationView, ChainView,
        DirectoryView, Feature, FinalizeRequest, OrderRequest, OrderView, Problem, Registration,
        RenewalInfo, RevocationReason,
    },
};
use state::{
    Secret,
    ports::{Clock, Lease},
};
use tokio::time::sleep;

use crate::{ca::problem, world::Doom};

pub(crate) const URL: &str = "https://ca.example/account/1";

/// What the CA knows.
#[derive(Default)]
pub(crate) struct Books {
    /// The keys of its accounts.
    pub(crate) accounts: Vec<Vec<u8>>,
    pub(crate) contacts: Vec<Vec<String>>,
    /// Wants a binding, which is good for one use.
    pub(crate) bound_only: bool,
    pub(crate) bindings: Vec<Vec<u8>>,
    /// Changes no key.
    pub(crate) stubborn: bool,
    pub(crate) revoked: Vec<Vec<u8>>,
    /// Revokes nothing, and says so.
    pub(crate) irrevocable: bool,
    /// When to renew, if it says.
    pub(crate) renewal: Option<RenewalInfo>,
    /// How often it was asked.
    pub(crate) asked: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Registrar(Arc<Mutex<Books>>);

impl Registrar {
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }
}

/// The CA as one process reaches it.
#[derive(Clone)]
pub(crate) struct Road {
    pub(crate) registrar: Registrar,
    pub(crate) doom: Arc<Doom>,
    pub(crate) lease: Arc<dyn Lease>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Authorities for Road {
    fn open(&self, access: &Access<'_>) -> Result<Arc<dyn Authority>, AuthorityError> {
        Ok(Arc::new(Opened {
            road: self.clone(),
            key: access.key.expose().to_vec(),
        }))
    }
}

struct Opened {
    road: Road,
    key: Vec<u8>,
}

impl Opened {
    /// One request with an effect; what was sent at its process's end may arrive later.
    async fn send<T: Send + 'static>(
        &self,
        permit: Permit,
        act: impl Fn(&mut Books) -> Result<T, AuthorityError> + Send + Sync + 'static,
    ) -> Result<T, AuthorityError> {
        let road = &self.road;
        Fence::new(road.lease.clone(), road.clock.clone()).check(&permit)?;
        let act = Arc::new(act);
        let (registrar, last) = (road.registrar.clone(), act.clone());
        road.doom
            .point(move |late: Duration| {
                tokio::spawn(async move {
                    sleep(late).await;
                    let _ = last(&mut registrar.books());
                });
            })
            .await;
        let answer = act(&mut road.registrar.books());
        road.doom.point(|_| {}).await;
        answer
    }
}

fn refused(kind: &str) -> AuthorityError {
    AuthorityError::Refused(problem(kind, "no"))
}

fn no_orders<T>() -> Result<T, AuthorityError> {
    Err(AuthorityError::Unreachable(
        "this CA takes no orders".into(),
    ))
}

#[async_trait]
impl Authority for Opened {
    async fn warm(&self) -> Result<(), AuthorityError> {
        Ok(())
    }

    async fn directory(&self) -> Result<Arc<DirectoryView>, AuthorityError> {
        let books = self.road.registrar.books();
        Ok(Arc::new(DirectoryView {
            external_account_required: books.bound_only,
            has_renewal_info: books.renewal.is_some(),
            ..DirectoryView::default()
        }))
    }

    async fn register(
        &self,
        registration: &Registration<'_>,
        permit: Permit,
    ) -> Result<String, AuthorityError> {
        let binding = registration.external.map(|it| it.hmac.expose().to_vec());
        let key = self.key.clone();
        let register = move |books: &mut Books| {
            if books.bound_only {
                let known = |binding: &Vec<u8>| books.bindings.iter().position(|it| it == binding);
                let place = binding.as_ref().and_then(known);
                let place = place.ok_or_else(|| refused("externalAccountRequired"))?;
                books.bindings.remove(place);
            }
            if !books.accounts.contains(&key) {
                books.accounts.push(key.clone());
            }
            Ok(URL.to_owned())
        };
        self.send(permit, register).await
    }

    async fn find(&self) -> Result<Option<String>, AuthorityError> {
        let known = self.road.registrar.books().accounts.contains(&self.key);
        Ok(known.then(|| URL.to_owned()))
    }

    async fn roll_key(&self, _: &str, next: &Secret, permit: Permit) -> Result<(), AuthorityError> {
        let (key, next) = (self.key.clone(), next.expose().to_vec());
        let roll = move |books: &mut Books| {
            let place = books.accounts.iter().position(|it| *it == key);
            match place {
                Some(place) if !books.stubborn => books.accounts[place].clone_from(&next),
                _ => return Err(refused("unauthorized")),
            }
            Ok(())
        };
        self.send(permit, roll).await
    }

    async fn set_contacts(
        &self,
        _: &str,
        contacts: &[String],
        permit: Permit,
    ) -> Result<(), AuthorityError> {
        let contacts = contacts.to_vec();
        let set = move |books: &mut Books| {
            books.contacts.push(contacts.clone());
            Ok(())
        };
        self.send(permit, set).await
    }

    async fn new_order(
        &self,
        _: &OrderRequest<'_>,
        _: Permit,
    ) -> Result<OrderView, AuthorityError> {
        no_orders()
    }

    async fn order(&self, _: &str) -> Result<OrderView, AuthorityError> {
        no_orders()
    }

    async fn authorization(&self, _: &str) -> Result<AuthorizationView, AuthorityError> {
        no_orders()
    }

    async fn ready(&self, _: &str, _: Permit) -> Result<(), AuthorityError> {
        no_orders()
    }

    async fn finalize(
        &self,
        _: &FinalizeRequest<'_>,
        _: Permit,
    ) -> Result<OrderView, AuthorityError> {
        no_orders()
    }

    async fn certificate(&self, _: &str) -> Result<ChainView, AuthorityError> {
        no_orders()
    }

    async fn alternate(&self, _: &str) -> Result<String, AuthorityError> {
        no_orders()
    }

    async fn revoke(
        &self,
        leaf: &[u8],
        _: RevocationReason,
        permit: Permit,
    ) -> Result<(), AuthorityError> {
        let leaf = leaf.to_vec();
        let revoke = move |books: &mut Books| {
            if books.irrevocable {
                return Err(AuthorityError::Refused(Problem {
                    status: 403,
                    ..problem("unauthorized", "not yours")
                }));
            }
            books.revoked.push(leaf.clone());
            Ok(())
        };
        self.send(permit, revoke).await
    }

    async fn renewal_info(&self, _: &str) -> Result<RenewalInfo, AuthorityError> {
        let mut books = self.road.registrar.books();
        books.asked += 1;
        let info = books.renewal.clone();
        info.ok_or(AuthorityError::Unsupported(Feature::RenewalInfo))
    }
}
