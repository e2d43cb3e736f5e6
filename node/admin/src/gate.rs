//! The gate before every service: the caller is known, still an operator, allowed
//! to call the method, and within its share of what this node does at once.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use state::{Actor, OperatorId, State, ports::OperatorIdentity};
use tokio::time::timeout;
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::Service;

use crate::{
    LocalCaller,
    authorize::{self, Access},
    budget::{Budget, Place},
    limits,
    problem::{OUTCOME_UNKNOWN, Problem},
    service::Desk,
};

/// Who asks, as the present state knows it. In the extensions of each request
/// that has passed the gate.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) operator: OperatorId,
    /// As the audit shows it.
    pub(crate) actor: Actor,
    /// The method called.
    pub(crate) method: &'static str,
}

/// Whoever holds this machine, among those whose calls are counted: operators' ids begin
/// with 1.
const NOBODYS: OperatorId = OperatorId(0);

/// Decides who passes.
pub(crate) struct Gate {
    desk: Arc<Desk>,
    calls: Arc<Budget>,
}

impl Gate {
    pub(crate) fn new(desk: Arc<Desk>) -> Self {
        let calls = Budget::new(limits::CALLS_MAX, limits::CALLS_PER_OPERATOR_MAX);
        Self { desk, calls }
    }

    fn admit(&self, request: &Request<Body>) -> Result<Option<(Caller, Place)>, Problem> {
        let path = request.uri().path();
        let identity = request.extensions().get::<OperatorIdentity>();
        let local = request.extensions().get::<LocalCaller>();
        let admitted = match local {
            Some(LocalCaller(node)) => judge_local(path, Actor::local(*node)),
            None => judge(&self.desk.state(), path, identity),
        };
        let caller = match admitted {
            Ok(caller) => caller,
            Err(problem) => {
                let who = match (local, identity) {
                    (Some(LocalCaller(node)), _) => Actor::local(*node).to_string(),
                    (None, Some(identity)) => Actor::operator(&identity.name).to_string(),
                    (None, None) => "nobody".to_owned(),
                };
                // Strangers choose their paths: only known ones are written.
                let method = authorize::method(path).map_or("unknown", |(method, _)| method);
                self.desk.audit.denial(&who, method, &problem);
                return Err(problem);
            }
        };
        let Some(caller) = caller else {
            return Ok(None);
        };
        let place = self.calls.take(caller.operator).ok_or_else(|| {
            Problem::overloaded("too many requests are at work; try again in a moment")
        })?;
        Ok(Some((caller, place)))
    }
}

/// Who may pass: a caller, or none at a method that is open to anyone.
fn judge(
    state: &State,
    path: &str,
    identity: Option<&OperatorIdentity>,
) -> Result<Option<Caller>, Problem> {
    let method = authorize::method(path);
    if let Some((_, Access::Anyone)) = method {
        return Ok(None);
    }
    let identity = identity.ok_or_else(|| {
        Problem::new(
            Code::Unauthenticated,
            "UNAUTHENTICATED",
            "no valid operator certificate was presented; get one by `hostquorum login`",
        )
    })?;
    // What the certificate says was true when it was signed; what counts is now.
    let operator = state.operator(identity.operator).ok_or_else(|| {
        Problem::new(
            Code::Unauthenticated,
            "OPERATOR_UNKNOWN",
            "the certificate is of an operator that does not exist here any more",
        )
    })?;
    let (method, access) = method.ok_or_else(unknown)?;
    if access == Access::Machine {
        let message = format!(
            "{method} is for whoever holds the machine: call it on the node's socket, by `--address \
             unix:PATH`"
        );
        let code = Code::PermissionDenied;
        return Err(Problem::new(code, "PERMISSION_DENIED", message));
    }
    if !access.allows(Some(operator.role)) {
        let message = format!(
            "operator `{}` has the role {}, which may not call {method}",
            operator.name, operator.role
        );
        return Err(Problem::new(
            Code::PermissionDenied,
            "PERMISSION_DENIED",
            message,
        ));
    }
    Ok(Some(Caller {
        operator: operator.id,
        actor: Actor::operator(&operator.name),
        method,
    }))
}

/// Whoever holds the machine may what an administrator may.
fn judge_local(path: &str, actor: Actor) -> Result<Option<Caller>, Problem> {
    let (method, access) = authorize::method(path).ok_or_else(unknown)?;
    Ok((access != Access::Anyone).then_some(Caller {
        operator: NOBODYS,
        actor,
        method,
    }))
}

fn unknown() -> Problem {
    Problem::new(
        Code::Unimplemented,
        "METHOD_UNKNOWN",
        "there is no such method; is the program newer than the node?",
    )
}

/// The last resort: every method has a shorter deadline of its own, but a request
/// may come in slowly.
fn late() -> Problem {
    let message = "there was no answer in time; if this was a change, its outcome is unknown";
    Problem::new(Code::Unavailable, OUTCOME_UNKNOWN, message)
}

/// A service behind the gate.
#[derive(Clone)]
pub(crate) struct Gated<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S> Gated<S> {
    pub(crate) fn new(inner: S, gate: &Arc<Gate>) -> Self {
        let gate = gate.clone();
        Self { inner, gate }
    }
}

impl<S: NamedService> NamedService for Gated<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let place = match self.gate.admit(&request) {
            Ok(None) => None,
            Ok(Some((caller, place))) => {
                request.extensions_mut().insert(caller);
                Some(place)
            }
            Err(problem) => {
                let refused = Status::from(problem).into_http();
                return Box::pin(std::future::ready(Ok(refused)));
            }
        };
        let within = limits::call_within(request.uri().path());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = timeout(within, answer).await;
            drop(place);
            answer.unwrap_or_else(|_| Ok(Status::from(late()).into_http()))
        })
    }
}
