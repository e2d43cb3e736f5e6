//! A double of the edge, reduced to port 80: it answers challenges from the state that
//! its node has applied, and statelessly for a hostname that it knows.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use state::State;
use state::challenge::is_token;
use tokio::sync::watch;
use turmoil::net::TcpListener;

/// Where the CA looks.
pub(super) const PORT: u16 = 80;

/// Where challenges are answered (RFC 8555 section 8.3).
pub(super) const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// Serves for as long as the machine is up.
pub(super) async fn serve(listener: TcpListener, states: watch::Receiver<Arc<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let states = states.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer(&states.borrow(), &request);
            std::future::ready(Ok::<_, Infallible>(response(answer)))
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn answer<B>(state: &State, request: &Request<B>) -> Option<String> {
    let host = request.headers().get(HOST)?.to_str().ok()?;
    let token = request.uri().path().strip_prefix(CHALLENGES)?;
    if !is_token(token) || state.hostname(host).is_none() {
        return None;
    }
    match state.challenge(token) {
        Some(challenge) if challenge.hostname.as_str() == host => {
            Some(challenge.key_authorization.to_string())
        }
        Some(_) => None,
        None => {
            let thumbprint = state.cas().next()?.thumbprint()?;
            Some(format!("{token}.{thumbprint}"))
        }
    }
}

fn response(answer: Option<String>) -> Response<Full<Bytes>> {
    let status = match answer {
        Some(_) => StatusCode::OK,
        None => StatusCode::NOT_FOUND,
    };
    let mut response = Response::new(Full::from(answer.unwrap_or_default()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::ports::Seal;
    use state::sealed::SealContext;
    use state::testing::{Alone, ManualClock, MaskSeal, host as hostname};
    use state::{KeyPurpose, Term};

    #[track_caller]
    fn check(host: &str, token: &str, expected: Option<&str>) {
        let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
        alone.authorize("a.example");
        alone.authorize("b.example");
        alone.register(Term(1), "print");
        let context = SealContext::CertificateKey(hostname("a.example"));
        let key = MaskSeal.seal(KeyPurpose::Serving, &context, b"key");
        alone.prepare(Term(1), "a.example", key.unwrap(), "known");
        let request = Request::get(format!("{CHALLENGES}{token}")).header(HOST, host);
        let answer = answer(&alone.state(), &request.body(()).unwrap());
        assert_eq!(answer.as_deref(), expected, "{host} {token}");
    }

    #[test]
    fn challenges_are_answered_for_their_hostname_and_others_statelessly() {
        check("a.example", "known", Some("known.print"));
        check("a.example", "new", Some("new.print"));
        check("b.example", "known", None);
        check("c.example", "known", None);
        check("c.example", "new", None);
        check("a.example", "no/token", None);
    }
}
