//! A CA in memory whose finalize is not atomic, as Pebble's is not: for a while after one
//! finalize has arrived another finds the order `ready` and makes a second certificate.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use leader::issuance::authority::{
    AuthorityError, AuthorizationStatus, AuthorizationView, ChainView, ChallengeKind,
    ChallengeStatus, ChallengeView, OrderStatus, OrderView, Problem,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use state::{Term, Timestamp, ports::Clock};
use time::OffsetDateTime;

/// How the CA behaves.
#[derive(Clone, Debug)]
pub(crate) struct Manners {
    /// From being told to an authorization that is valid.
    pub(crate) validation: Duration,
    /// For this long a finalized order still looks `ready`.
    pub(crate) window: Duration,
    /// From then on until its certificate is there; `None`: never.
    pub(crate) issuing: Option<Duration>,
    /// Authorizations are valid from the beginning.
    pub(crate) reuse: bool,
    /// Validation fails, with this word.
    pub(crate) unconvinced: Option<&'static str>,
    /// How long certificates are valid.
    pub(crate) validity: Duration,
    /// How long orders live, if the CA says.
    pub(crate) expiry: Option<Duration>,
    /// Certificates are for this name instead.
    pub(crate) misnamed: Option<&'static str>,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            validation: Duration::from_millis(300),
            window: Duration::from_secs(1),
            issuing: Some(Duration::from_millis(500)),
            reuse: false,
            unconvinced: None,
            validity: Duration::from_secs(90 * 86_400),
            expiry: None,
            misnamed: None,
        }
    }
}

/// What is asked of a CA with an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    NewAccount,
    NewOrder,
    Ready,
    Finalize,
}

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// It never leaves.
    Unsent,
    /// It has its effect, and its answer is lost.
    AnswerLost,
    /// It is refused.
    Refuse(Problem),
}

pub(crate) struct Ca {
    clock: Arc<dyn Clock>,
    answers: Box<dyn Fn(&str) -> bool + Send + Sync>,
    issuer: CertifiedIssuer<'static, KeyPair>,
    books: Mutex<Books>,
}

#[derive(Default)]
pub(crate) struct Books {
    pub(crate) manners: Manners,
    pub(crate) accounts: u32,
    pub(crate) orders: Vec<Placed>,
    /// Each finalize that arrived: who sent it, when, whether it was taken.
    pub(crate) finalizations: Vec<(Term, Duration, bool)>,
    /// Serves no request at all.
    pub(crate) down: bool,
    pub(crate) scripts: VecDeque<(Effect, Script)>,
    /// Requests that reached it.
    pub(crate) requests: u32,
}

#[derive(Default)]
pub(crate) struct Placed {
    hostname: String,
    made: Timestamp,
    told: Option<(Duration, bool)>,
    finalized: Option<Duration>,
    pub(crate) certificates: Vec<String>,
}

impl Ca {
    /// `answers` says whether the edges know the answer of a token.
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        answers: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "Fake 1");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self {
            clock,
            answers: Box::new(answers),
            issuer,
            books: Mutex::default(),
        }
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
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

    pub(crate) fn new_account(&self) -> String {
        self.books().accounts += 1;
        self.account_url()
    }

    pub(crate) fn account_url(&self) -> String {
        "https://ca.example/account/1".to_owned()
    }

    pub(crate) fn new_order(&self, hostname: &str) -> OrderView {
        let mut books = self.books();
        books.orders.push(Placed {
            hostname: hostname.to_owned(),
            made: self.clock.now(),
            ..Placed::default()
        });
        let number = books.orders.len();
        drop(books);
        self.order(&url(number)).unwrap()
    }

    pub(crate) fn order(&self, url: &str) -> Result<OrderView, AuthorityError> {
        let books = self.books();
        let order = find(&books, url)?;
        let status = self.status(&books.manners, order);
        let error = (status == OrderStatus::Invalid).then(|| problem("unauthorized", "see authz"));
        Ok(OrderView {
            url: url.to_owned(),
            status,
            identifiers: vec![order.hostname.clone()],
            authorization_urls: vec![format!("{url}/authorization")],
            finalize_url: format!("{url}/finalize"),
            certificate_url: (status == OrderStatus::Valid).then(|| format!("{url}/certificate")),
            profile: None,
            replaces: None,
            expires: books.manners.expiry.map(|life| order.made.plus(life)),
            error,
            retry_after: None,
        })
    }

    pub(crate) fn authorization(&self, url: &str) -> Result<AuthorizationView, AuthorityError> {
        let books = self.books();
        let order = find(&books, url)?;
        let status = match (self.proven(&books.manners, order), order.told) {
            (Some(true), _) => AuthorizationStatus::Valid,
            (Some(false), _) => AuthorizationStatus::Invalid,
            (None, _) => AuthorizationStatus::Pending,
        };
        let word = books.manners.unconvinced.unwrap_or("no answer");
        Ok(AuthorizationView {
            url: url.to_owned(),
            hostname: order.hostname.parse().unwrap(),
            wildcard: false,
            status,
            expires: None,
            challenges: vec![ChallengeView {
                kind: ChallengeKind::Http01,
                url: format!("{}/challenge", order_of(url)),
                token: Some(token(url)),
                persist: None,
                status: match status {
                    AuthorizationStatus::Valid => ChallengeStatus::Valid,
                    AuthorizationStatus::Invalid => ChallengeStatus::Invalid,
                    AuthorizationStatus::Pending => ChallengeStatus::Pending,
                },
                error: (status == AuthorizationStatus::Invalid)
                    .then(|| problem("unauthorized", word)),
            }],
            retry_after: None,
        })
    }

    pub(crate) fn ready(&self, url: &str) -> Result<(), AuthorityError> {
        let known = (self.answers)(&token(url));
        let now = self.clock.boottime();
        let mut books = self.books();
        let unconvinced = books.manners.unconvinced.is_some();
        let order = find_mut(&mut books, url)?;
        if order.told.is_none() {
            order.told = Some((now, known && !unconvinced));
        }
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
        let certificate = self.issue(csr);
        let mut books = self.books();
        let order = find_mut(&mut books, url)?;
        order.finalized.get_or_insert(now);
        order.certificates.push(certificate);
        drop(books);
        let mut view = self.order(url)?;
        view.status = OrderStatus::Processing;
        Ok(view)
    }

    pub(crate) fn certificate(&self, url: &str) -> Result<ChainView, AuthorityError> {
        let books = self.books();
        Ok(ChainView {
            pem: find(&books, url)?.certificates.first().cloned().unwrap(),
            alternates: Vec::new(),
        })
    }

    fn issue(&self, csr: &[u8]) -> String {
        let mut request = CertificateSigningRequestParams::from_der(&csr.into()).unwrap();
        let manners = self.books().manners.clone();
        if let Some(name) = manners.misnamed {
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            request.params.subject_alt_names = params.subject_alt_names;
        }
        let now = self.clock.now();
        request.params.not_before = moment(now);
        request.params.not_after = moment(now.plus(manners.validity));
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = request.signed_by(&self.issuer).unwrap();
        leaf.pem() + &self.issuer.pem()
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
        match self.proven(manners, order) {
            None => OrderStatus::Pending,
            Some(true) => OrderStatus::Ready,
            Some(false) => OrderStatus::Invalid,
        }
    }

    fn proven(&self, manners: &Manners, order: &Placed) -> Option<bool> {
        if manners.reuse {
            return Some(true);
        }
        let (at, proven) = order.told?;
        (self.clock.boottime() >= at + manners.validation).then_some(proven)
    }
}

pub(crate) fn problem(kind: &str, detail: &str) -> Problem {
    Problem {
        kind: kind.to_owned(),
        detail: detail.to_owned(),
        status: 400,
        ..Problem::default()
    }
}

fn url(number: usize) -> String {
    format!("https://ca.example/order/{number}")
}

/// The order that a URL belongs to: its own, or one below it.
fn order_of(url: &str) -> String {
    self::url(number(url))
}

fn token(url: &str) -> String {
    format!("token-{}", number(url))
}

fn number(url: &str) -> usize {
    let order = url.strip_prefix("https://ca.example/order/").unwrap();
    order.split('/').next().unwrap().parse().unwrap()
}

fn find<'a>(books: &'a Books, url: &str) -> Result<&'a Placed, AuthorityError> {
    books.orders.get(number(url) - 1).ok_or_else(|| {
        AuthorityError::Refused(Problem {
            status: 404,
            ..problem("malformed", "no such order")
        })
    })
}

fn find_mut<'a>(books: &'a mut Books, url: &str) -> Result<&'a mut Placed, AuthorityError> {
    find(books, url)?;
    Ok(&mut books.orders[number(url) - 1])
}

fn moment(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(at.as_secs()).unwrap()).unwrap()
}

impl Placed {
    pub(crate) fn hostname(&self) -> &str {
        &self.hostname
    }
}
