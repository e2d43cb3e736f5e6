//! The CA as a function: a request, a time and chance go in; an answer, records to keep
//! and things to do come out. No socket, file, clock or task is touched here.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::de::DeserializeOwned;

use crate::authenticate::{Signed, SignedBy};
use crate::authority::Authority;
use crate::behaviour::Behaviour;
use crate::book::{Book, Record};
use crate::endpoint::Endpoint;
use crate::entropy::Entropy;
use crate::fault::{Fault, FaultReport, Faults};
use crate::ledger::Ledger;
use crate::limits::Meter;
use crate::moment::Moment;
use crate::nonce::Nonces;
use crate::post::{Post, Posts};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::{Links, Route};
use crate::step::{Caller, Effect, Step, Turn};
use crate::timestamp::Timestamp;

/// What the CA may decide for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Scheme, host and port of every URL the CA gives out, as `https://127.0.0.1:14000`.
    pub base_url: String,
    /// How long certificates are valid after the moment of issue.
    pub certificate_validity: Duration,
    /// How long an order and its authorizations may be worked on.
    pub order_lifetime: Duration,
    /// How long an order stays `processing`, in whole seconds. With zero, finalizing
    /// answers `valid` at once.
    pub issue_delay: Duration,
}

/// The CA's state and rules.
#[derive(Debug)]
pub struct Core {
    pub(crate) policy: Policy,
    pub(crate) links: Links,
    pub(crate) authority: Authority,
    pub(crate) book: Book,
    pub(crate) nonces: Nonces,
    pub(crate) behaviour: Behaviour,
    pub(crate) meter: Meter,
    faults: Faults,
    posts: Posts,
}

impl Core {
    /// The CA that signs with `authority` and remembers `records`.
    pub fn new(
        policy: Policy,
        authority: Authority,
        records: impl IntoIterator<Item = Record>,
    ) -> Self {
        let mut book = Book::default();
        for record in records {
            book.put(record);
        }
        Self {
            links: Links::new(policy.base_url.clone()),
            policy,
            authority,
            book,
            nonces: Nonces::default(),
            behaviour: Behaviour::default(),
            meter: Meter::default(),
            faults: Faults::default(),
            posts: Posts::default(),
        }
    }

    /// How the CA behaves.
    pub fn behaviour(&self) -> &Behaviour {
        &self.behaviour
    }

    /// Lets the CA behave otherwise from the next request on. What was spent of limits
    /// stays spent.
    pub fn set_behaviour(&mut self, behaviour: Behaviour) {
        self.behaviour = behaviour;
    }

    /// What was spent of the limits.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Lets all paused names of an account go on; how many there were.
    pub fn unpause(&mut self, account: &str) -> usize {
        self.meter.unpause(account)
    }

    /// Puts a fault in force, after those that are.
    pub fn inject(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    /// Ends all faults.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// The faults in force and what they did.
    pub fn faults(&self) -> Vec<FaultReport> {
        self.faults.reports()
    }

    /// The newest POSTs, oldest first: every one, whatever became of it, up to half a
    /// million. They live in memory only.
    pub fn posts(&self) -> Vec<Post> {
        self.posts.all()
    }

    /// Answers one request.
    ///
    /// Who asks is read from a [`Caller`] among the request's extensions, if there is one;
    /// what is to be done to the answer is a [`Disruption`] among the answer's.
    ///
    /// [`Disruption`]: crate::Disruption
    pub fn handle(
        &mut self,
        request: &Request<Bytes>,
        now: impl Into<Moment>,
        entropy: &mut dyn Entropy,
    ) -> (Response<Bytes>, Step) {
        let mut turn = Turn::new(now.into(), entropy);
        if let Some(caller) = request.extensions().get::<Caller>() {
            turn.caller = *caller;
        }
        self.respond(Ask::Request(request), turn)
    }

    /// Answers what an account POSTs to a path, on the caller's word instead of a nonce
    /// and a signature: for planners that are driven against more orders than anyone
    /// wants to sign. All else is as with [`Self::handle`].
    pub fn handle_vouched(
        &mut self,
        account: &str,
        path: &str,
        payload: &[u8],
        now: impl Into<Moment>,
        entropy: &mut dyn Entropy,
    ) -> (Response<Bytes>, Step) {
        let ask = Ask::Vouched {
            account,
            path,
            payload,
        };
        self.respond(ask, Turn::new(now.into(), entropy))
    }

    fn respond(&mut self, ask: Ask<'_>, mut turn: Turn<'_>) -> (Response<Bytes>, Step) {
        let route = Route::parse(ask.path());
        let endpoint = route.as_ref().and_then(Endpoint::of);
        let is_post = ask.method() == Method::POST;
        let gives_nonce = is_post || route == Some(Route::NewNonce);
        let response = match endpoint.and_then(|endpoint| self.overrun(endpoint, &turn)) {
            // As from a load balancer: without a nonce.
            Some(problem) => Reply::problem(&problem).finish(),
            None => {
                turn.mishap = endpoint.and_then(|it| self.faults.strike(it, turn.entropy));
                let reply = self.answer(ask, route, &mut turn);
                let reply = reply.unwrap_or_else(|problem| Reply::problem(&problem));
                let response = self.dress(reply, gives_nonce, turn.entropy);
                self.mistreated(response, &turn)
            }
        };
        if let Some(endpoint) = endpoint.filter(|_| is_post) {
            self.posts.note(Post {
                endpoint,
                path: ask.path().to_owned(),
                received: turn.caller.received,
                account: turn.account,
                status: response.status().as_u16(),
                struck: turn.mishap.is_some(),
            });
        }
        (response, turn.step)
    }

    /// Answers a request that could not be read whole (a body past the limit).
    pub fn refuse(&mut self, problem: &Problem, entropy: &mut dyn Entropy) -> Response<Bytes> {
        self.dress(Reply::problem(problem), true, entropy)
    }

    /// What was under way when the records were written: to be begun again at a start.
    pub fn resume(&self, now: Timestamp) -> Vec<Effect> {
        let validations = self.unfinished_validations().map(Effect::Validate);
        validations.chain(self.unfinished_orders(now)).collect()
    }

    /// What this CA did so far.
    pub fn ledger(&self, now: Timestamp) -> Ledger {
        Ledger::read(&self.book, now)
    }

    /// The root certificate, PEM.
    pub fn root_pem(&self) -> &str {
        self.authority.root_pem()
    }

    /// Changes the book and notes the change for the disk; the only way to change it.
    pub(crate) fn put(&mut self, record: Record, turn: &mut Turn<'_>) {
        self.book.put(record.clone());
        turn.step.records.push(record);
    }

    /// Calls `act` in a turn that answers nobody.
    pub(crate) fn turn(
        &mut self,
        now: Moment,
        entropy: &mut dyn Entropy,
        act: impl FnOnce(&mut Self, &mut Turn<'_>),
    ) -> Step {
        let mut turn = Turn::new(now, entropy);
        act(self, &mut turn);
        turn.step
    }

    fn dress(
        &mut self,
        reply: Reply,
        gives_nonce: bool,
        entropy: &mut dyn Entropy,
    ) -> Response<Bytes> {
        let reply = reply.link(&self.links.to(&Route::Directory), "index");
        if gives_nonce {
            let nonce = self.nonces.draw(entropy);
            reply.nonce(&nonce).finish()
        } else {
            reply.finish()
        }
    }

    fn answer(
        &mut self,
        ask: Ask<'_>,
        route: Option<Route>,
        turn: &mut Turn<'_>,
    ) -> Result<Reply, Problem> {
        let path = ask.path();
        let route = route.ok_or_else(|| Problem::not_found(&format!("the resource {path:?}")))?;
        if !route.allows(ask.method()) {
            let detail = format!("{} is not for {path:?}", ask.method());
            let mut problem = Problem::malformed(detail).with_status(405);
            problem.allow = Some(route.allowed());
            return Err(problem);
        }
        self.refused_by_fault(turn)?;
        if route.is_public() {
            return self.show(&route, ask.method(), turn);
        }
        let signed = match ask {
            Ask::Request(request) => self.authenticate(&route, request)?,
            Ask::Vouched {
                account, payload, ..
            } => self.vouched(account, payload)?,
        };
        if let SignedBy::Account(account) = &signed.by {
            turn.account = Some(account.id.clone());
        }
        self.spoil_order(&route, turn);
        self.act(route, signed, turn)
    }

    fn act(&mut self, route: Route, signed: Signed, turn: &mut Turn<'_>) -> Result<Reply, Problem> {
        let Signed { payload, by } = signed;
        if route == Route::Revoke {
            return self.revoke(&by, &payload, turn);
        }
        let account = match by {
            // Only newAccount and revokeCert pass `authenticate` with a key.
            SignedBy::Key(key) => return self.new_account(key, &payload, turn),
            SignedBy::Account(account) => account,
        };
        match route {
            Route::Account(id) => self.account(account, &id, &payload, turn),
            Route::AccountOrders(id) => self.account_orders(&account, &id, &payload, turn.now),
            Route::KeyChange => self.key_change(account, &payload, turn),
            Route::NewOrder => self.new_order(&account, &payload, turn),
            Route::Order(id) => self.order(&account, &id, &payload, turn.now),
            Route::Finalize(id) => self.finalize(&account, &id, &payload, turn),
            Route::Authorization(id) => self.authorization(&account, &id, &payload, turn),
            Route::Challenge(id, kind) => self.challenge(&account, &id, kind, &payload, turn),
            Route::Certificate(serial) => self.certificate(&account, &serial, 0, &payload, turn),
            Route::AlternateChain(serial, number) => {
                self.certificate(&account, &serial, number, &payload, turn)
            }
            other => Err(Problem::not_found(&format!(
                "the resource {:?}",
                other.path()
            ))),
        }
    }
}

/// What is asked, and on whose word.
#[derive(Clone, Copy)]
enum Ask<'a> {
    /// Whoever signed it.
    Request(&'a Request<Bytes>),
    /// The caller's: a POST of this account.
    Vouched {
        account: &'a str,
        path: &'a str,
        payload: &'a [u8],
    },
}

impl<'a> Ask<'a> {
    fn method(self) -> &'a Method {
        match self {
            Self::Request(request) => request.method(),
            Self::Vouched { .. } => &Method::POST,
        }
    }

    fn path(self) -> &'a str {
        match self {
            Self::Request(request) => request.uri().path(),
            Self::Vouched { path, .. } => path,
        }
    }
}

/// Reads the payload of a request.
///
/// # Errors
/// `malformed`, with the place of the fault.
pub(crate) fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(payload).map_err(|error| {
        Problem::malformed(format!(
            "the payload is not what this resource takes: {error}"
        ))
    })
}

/// Checks that a request is a POST-as-GET (RFC 8555 section 6.3).
///
/// # Errors
/// `malformed` when it has a payload.
pub(crate) fn expect_empty(payload: &[u8]) -> Result<(), Problem> {
    if payload.is_empty() {
        return Ok(());
    }
    Err(Problem::malformed(
        "this resource is read by POST-as-GET, with an empty payload",
    ))
}
