//! A CA in memory whose finalize is not atomic, as Pebble's is not: for a while after one
//! finalize has arrived another finds the order `ready` and makes a second certificate.

mod manners;
mod mint;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use leader::issuance::authority::{
    AuthorityError, AuthorizationStatus, AuthorizationView, ChainView, ChallengeKind,
    ChallengeStatus, ChallengeView, OrderRequest, OrderStatus, OrderView, Problem,
};
use state::{Term, Timestamp, ports::Clock};

pub(crate) use self::manners::{Asked, Effect, Manners, Script, problem};
use self::mint::Mint;

/// Says whether the edges know the answer of a challenge.
pub(crate) type Answers = dyn Fn(&Probe<'_>) -> bool + Send + Sync;

/// What the CA looks for.
#[derive(Debug)]
pub(crate) struct Probe<'a> {
    pub(crate) kind: &'a ChallengeKind,
    pub(crate) hostname: &'a str,
    pub(crate) token: &'a str,
}

pub(crate) struct Ca {
    clock: Arc<dyn Clock>,
    base: String,
    answers: Arc<Answers>,
    mint: Mint,
    books: Mutex<Books>,
}

#[derive(Default)]
pub(crate) struct Books {
    pub(crate) manners: Manners,
    pub(crate) accounts: u32,
    pub(crate) orders: Vec<Placed>,
    /// Each finalize that arrived: who sent it, when, whether it was taken.
    pub(crate) finalizations: Vec<(Term, Duration, bool)>,
    /// When something with an effect arrived, and from whom.
    pub(crate) arrivals: Vec<(Effect, Term, Duration)>,
    /// Serves no request at all.
    pub(crate) down: bool,
    pub(crate) scripts: VecDeque<(Effect, Script)>,
    /// Requests that reached it.
    pub(crate) requests: u32,
}

#[derive(Default)]
pub(crate) struct Placed {
    /// Its names, a wildcard without its `*.`; the second is the wildcard.
    hostname: String,
    wildcard: bool,
    pub(crate) profile: Option<String>,
    pub(crate) replaces: Option<String>,
    made: Timestamp,
    /// Of each name: by what it was told, when, and whether it was convinced.
    pub(crate) told: [Option<(ChallengeKind, Duration, bool)>; 2],
    finalized: Option<Duration>,
    pub(crate) certificates: Vec<String>,
}

impl Ca {
    pub(crate) fn new(clock: Arc<dyn Clock>, host: &str, answers: Arc<Answers>) -> Self {
        Self {
            clock,
            base: format!("https://{host}"),
            answers,
            mint: Mint::new(),
            books: Mutex::default(),
        }
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    pub(crate) fn is_at(&self, directory: &str) -> bool {
        directory.starts_with(&format!("{}/", self.base))
    }

    pub(crate) fn script(&self, effect: Effect, script: Script) {
        self.books().scripts.push_back((effect, script));
    }

    pub(crate) fn certificates(&self) -> usize {
        let books = self.books();
        books.orders.iter().map(|it| it.certificates.len()).sum()
    }

    /// What is to go wrong with this request, if anything.
    pub(crate) fn omen(&self, effect: Effect) -> Option<Script> {
        let mut books = self.books();
        let place = books.scripts.iter().position(|(of, _)| *of == effect)?;
        books.scripts.remove(place).map(|(_, script)| script)
    }

    pub(crate) fn reach(&self) -> Result<(), AuthorityError> {
        let mut books = self.books();
        if books.down {
            return Err(AuthorityError::Unreachable("connection refused".into()));
        }
        books.requests += 1;
        Ok(())
    }

    /// Something with an effect has arrived.
    pub(crate) fn arrived(&self, effect: Effect, by: Term) {
        let now = self.clock.boottime();
        self.books().arrivals.push((effect, by, now));
    }

    pub(crate) fn new_account(&self) -> String {
        self.books().accounts += 1;
        self.account_url()
    }

    pub(crate) fn account_url(&self) -> String {
        format!("{}/account/1", self.base)
    }

    pub(crate) fn new_order(&self, asked: &OrderRequest<'_>) -> Result<OrderView, AuthorityError> {
        let manners = self.books().manners.clone();
        let profile = grant(manners.profile, asked.profile, || {
            AuthorityError::ProfileUnknown {
                profile: asked.profile.unwrap_or_default().to_owned(),
                offered: vec!["classic".to_owned()],
            }
        })?;
        let replaces = grant(manners.replaces, asked.replaces, || {
            AuthorityError::ReplacesRefused(Problem {
                status: 409,
                ..problem("alreadyReplaced", "it is replaced already")
            })
        })?;
        let reused = manners.order_reuse.then(|| self.reusable(asked)).flatten();
        let number = reused.unwrap_or_else(|| {
            let mut books = self.books();
            books.orders.push(Placed {
                hostname: asked.hostname.as_str().to_owned(),
                wildcard: asked.wildcard,
                profile,
                replaces,
                made: self.clock.now(),
                ..Placed::default()
            });
            books.orders.len()
        });
        let view = self.order(&self.url(number))?;
        if asked.profile.is_some() && view.profile.is_none() {
            return Err(AuthorityError::ProfileIgnored {
                profile: asked.profile.unwrap_or_default().to_owned(),
                order_url: view.url,
            });
        }
        if asked.replaces.is_some() && view.replaces.is_none() {
            return Err(AuthorityError::ReplacesIgnored(Box::new(view)));
        }
        Ok(view)
    }

    fn reusable(&self, asked: &OrderRequest<'_>) -> Option<usize> {
        let books = self.books();
        let same = |order: &Placed| {
            let open = matches!(
                self.status(&books.manners, order),
                OrderStatus::Pending | OrderStatus::Ready
            );
            open && order.hostname == asked.hostname.as_str() && order.wildcard == asked.wildcard
        };
        books.orders.iter().position(same).map(|place| place + 1)
    }

    pub(crate) fn order(&self, url: &str) -> Result<OrderView, AuthorityError> {
        let books = self.books();
        let order = self.find(&books, url)?;
        let status = self.status(&books.manners, order);
        let error = (status == OrderStatus::Invalid).then(|| problem("unauthorized", "see authz"));
        let authorizations = (0..order.names().len()).map(|name| format!("{url}/{name}"));
        Ok(OrderView {
            url: url.to_owned(),
            status,
            identifiers: order.names(),
            authorization_urls: authorizations.collect(),
            finalize_url: format!("{url}/finalize"),
            certificate_url: (status == OrderStatus::Valid).then(|| format!("{url}/certificate")),
            profile: order.profile.clone(),
            replaces: order.replaces.clone(),
            expires: books.manners.expiry.map(|life| order.made.plus(life)),
            error,
            retry_after: books.manners.retry_after,
        })
    }

    pub(crate) fn authorization(&self, url: &str) -> Result<AuthorizationView, AuthorityError> {
        let books = self.books();
        let order = self.find(&books, url)?;
        let name = name_of(url);
        let status = match self.proven(&books.manners, order, name) {
            Some(true) => AuthorizationStatus::Valid,
            Some(false) => AuthorizationStatus::Invalid,
            None => AuthorizationStatus::Pending,
        };
        let word = books.manners.unconvinced.unwrap_or("no answer");
        let tried = order.told[name].as_ref().map(|(kind, ..)| kind);
        let challenge = |kind: &ChallengeKind| {
            let mine = tried == Some(kind);
            ChallengeView {
                kind: kind.clone(),
                url: format!("{url}/{}", kind.as_str()),
                token: Some(token(url)),
                persist: None,
                status: match status {
                    AuthorizationStatus::Valid if mine => ChallengeStatus::Valid,
                    AuthorizationStatus::Invalid if mine => ChallengeStatus::Invalid,
                    _ if mine => ChallengeStatus::Processing,
                    _ => ChallengeStatus::Pending,
                },
                error: (mine && status == AuthorizationStatus::Invalid)
                    .then(|| problem("unauthorized", word)),
            }
        };
        let wildcard = name == 1;
        let offers = books.manners.offers.iter();
        let offers = offers.filter(|kind| !wildcard || **kind == ChallengeKind::Dns01);
        Ok(AuthorizationView {
            url: url.to_owned(),
            hostname: order.hostname.parse().unwrap(),
            wildcard,
            status,
            expires: None,
            challenges: offers.map(challenge).collect(),
            retry_after: None,
        })
    }

    pub(crate) fn ready(&self, url: &str) -> Result<(), AuthorityError> {
        let kind = ChallengeKind::of(url.rsplit('/').next().unwrap());
        let hostname = self.find(&self.books(), url)?.hostname.clone();
        let known = (self.answers)(&Probe {
            kind: &kind,
            hostname: &hostname,
            token: &token(url),
        });
        let now = self.clock.boottime();
        let mut books = self.books();
        let manners = &books.manners;
        let sees = manners.unconvinced.is_none() && manners.blind_to.as_ref() != Some(&kind);
        let order = self.find_mut(&mut books, url)?;
        order.told[name_of(url)].get_or_insert((kind, now, known && sees));
        Ok(())
    }

    pub(crate) fn finalize(
        &self,
        url: &str,
        csr: &[u8],
        by: Term,
    ) -> Result<OrderView, AuthorityError> {
        let now = self.clock.boottime();
        let ready = self.order(url)?.status == OrderStatus::Ready;
        self.books().finalizations.push((by, now, ready));
        if !ready {
            return Err(AuthorityError::Refused(Problem {
                status: 403,
                ..problem("orderNotReady", "it is not ready")
            }));
        }
        let manners = self.books().manners.clone();
        let certificate = self.mint.sign(csr, &manners, self.clock.now());
        let mut books = self.books();
        let order = self.find_mut(&mut books, url)?;
        order.finalized.get_or_insert(now);
        order.certificates.push(certificate);
        drop(books);
        let mut view = self.order(url)?;
        view.status = OrderStatus::Processing;
        Ok(view)
    }

    pub(crate) fn certificate(&self, url: &str) -> Result<ChainView, AuthorityError> {
        let books = self.books();
        let leaf = self.find(&books, url)?.certificates.first().cloned();
        let others = 0..books.manners.alternates.len();
        Ok(ChainView {
            pem: leaf.unwrap() + &self.mint.chain(),
            alternates: others.map(|other| format!("{url}/{other}")).collect(),
        })
    }

    pub(crate) fn alternate(&self, url: &str) -> Result<String, AuthorityError> {
        let books = self.books();
        let order = self.find(&books, url)?;
        let other: usize = url.rsplit('/').next().unwrap().parse().unwrap();
        let leaf = if books.manners.alternates_foreign {
            let foreign = books.orders.iter().find(|it| it.hostname != order.hostname);
            foreign.unwrap().certificates.first()
        } else {
            order.certificates.first()
        };
        let root = books.manners.alternates[other];
        Ok(leaf.cloned().unwrap() + &self.mint.chain_to(root))
    }

    fn status(&self, manners: &Manners, order: &Placed) -> OrderStatus {
        let now = self.clock.boottime();
        if let Some(at) = order.finalized
            && now >= at + manners.window
        {
            let issued = manners.issuing.map(|after| at + manners.window + after);
            return match issued {
                Some(at) if now >= at => OrderStatus::Valid,
                _ => OrderStatus::Processing,
            };
        }
        let proven = |name| self.proven(manners, order, name);
        let names = 0..order.names().len();
        let proven: Vec<Option<bool>> = names.map(proven).collect();
        if proven.contains(&Some(false)) {
            OrderStatus::Invalid
        } else if proven.contains(&None) {
            OrderStatus::Pending
        } else {
            OrderStatus::Ready
        }
    }

    fn proven(&self, manners: &Manners, order: &Placed, name: usize) -> Option<bool> {
        if manners.reuse || (manners.base_proven && name == 0) {
            return Some(true);
        }
        let (_, at, proven) = order.told[name].as_ref()?;
        (self.clock.boottime() >= *at + manners.validation).then_some(*proven)
    }

    fn url(&self, number: usize) -> String {
        format!("{}/order/{number}", self.base)
    }

    fn find<'a>(&self, books: &'a Books, url: &str) -> Result<&'a Placed, AuthorityError> {
        assert!(url.starts_with(&self.base), "{url} is not of {}", self.base);
        books.orders.get(number(url) - 1).ok_or_else(|| {
            AuthorityError::Refused(Problem {
                status: 404,
                ..problem("malformed", "no such order")
            })
        })
    }

    fn find_mut<'a>(
        &self,
        books: &'a mut Books,
        url: &str,
    ) -> Result<&'a mut Placed, AuthorityError> {
        self.find(books, url)?;
        Ok(&mut books.orders[number(url) - 1])
    }
}

/// What is granted of what was asked, if it is not refused.
fn grant(
    manner: Asked,
    asked: Option<&str>,
    refusal: impl FnOnce() -> AuthorityError,
) -> Result<Option<String>, AuthorityError> {
    match (manner, asked) {
        (Asked::Refused, Some(_)) => Err(refusal()),
        (Asked::Granted, asked) => Ok(asked.map(ToOwned::to_owned)),
        _ => Ok(None),
    }
}

/// Order, name and what is below it: `/order/7/1/dns-01`.
fn parts(url: &str) -> std::str::Split<'_, char> {
    let (_, below) = url.split_once("/order/").unwrap();
    below.split('/')
}

fn number(url: &str) -> usize {
    parts(url).next().unwrap().parse().unwrap()
}

fn name_of(url: &str) -> usize {
    parts(url).nth(1).unwrap().parse().unwrap()
}

fn token(url: &str) -> String {
    format!("token-{}-{}", number(url), name_of(url))
}

impl Placed {
    pub(crate) fn hostname(&self) -> &str {
        &self.hostname
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = vec![self.hostname.clone()];
        if self.wildcard {
            names.push(format!("*.{}", self.hostname));
        }
        names
    }
}
