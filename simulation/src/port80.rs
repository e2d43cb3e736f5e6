//! A double of the edge, reduced to port 80 over the production view: it answers
//! challenges, and looks at whether it is one of ours.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use cluster::serving::challenge::Challenges;
use edge::view::View;
use http::header::HOST;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use state::challenge::is_token;
use state::ports::Reach;
use state::reach::Nonce;
use state::testing::Known;
use state::{Index, State};
use tokio::sync::watch;
use turmoil::net::TcpListener;

/// Where the CA looks.
pub(crate) const PORT: u16 = 80;

/// Where challenges are answered (RFC 8555 section 8.3).
pub(crate) const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// What is served at present.
pub(crate) struct Port80 {
    view: Mutex<View>,
    challenges: Arc<Challenges>,
}

impl Port80 {
    pub(crate) fn new(state: Arc<State>, challenges: Arc<Challenges>) -> Self {
        Self {
            view: Mutex::new(View::new(state)),
            challenges,
        }
    }

    /// Turns each new state into the present view, and says so.
    pub(crate) async fn publish(
        self: Arc<Self>,
        mut states: watch::Receiver<Arc<State>>,
        published: watch::Sender<Index>,
    ) {
        loop {
            let view = View::new(states.borrow_and_update().clone());
            let index = view.index();
            *self.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
            published.send_replace(index);
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    /// Serves for as long as the machine is up.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let edge = Arc::clone(&self);
            let service = service_fn(move |request: Request<Incoming>| {
                let edge = Arc::clone(&edge);
                async move { Ok::<_, Infallible>(response(edge.answer(&request).await)) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    }

    fn view(&self) -> View {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        view.clone()
    }

    async fn answer<B>(&self, request: &Request<B>) -> Option<String> {
        let host = request.headers().get(HOST)?.to_str().ok()?;
        let path = request.uri().path();
        if let Some(nonce) = Nonce::in_path(path) {
            return Known.answers(host, &nonce).into_iter().next();
        }
        let token = path.strip_prefix(CHALLENGES).filter(|it| is_token(it))?;
        let view = self.view();
        if !view.is_authorized(host) {
            return None;
        }
        match view.challenge(token) {
            Some(challenge) if challenge.hostname.as_str() == host => {
                Some(challenge.key_authorization.to_string())
            }
            Some(_) => None,
            // Missing here: asked of the leader, as in production.
            None => self.challenges.find(host, Some(token)).await.ok().flatten(),
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
