//! instant-acme on our road: it makes and signs newOrder, the reading of orders and
//! revocation.
//!
//! It calls [`HttpClient`]; when, and whether, its bytes leave is decided by the site. The
//! directory and nonces that it asks for are answered from what we have, so that a call is
//! one request. Its own repetition after `badNonce` is a new request and asks the fence
//! again.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;
use instant_acme::{Account, BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::PrivatePkcs8KeyDer;
use state::{Secret, Timestamp};

use super::{
    answer::{Answer, Failure, Tap},
    directory::Directory,
    pool::REPLAY_NONCE,
    site::{NONCE_TRIES, Site},
};
use crate::{fence::Permit, issuance::authority::AuthorityError};

/// How often instant-acme makes a request while its nonce is refused.
const OWN_TRIES: u32 = 3;

tokio::task_local! {
    /// The call that instant-acme's requests belong to.
    static CALL: Call;
}

/// One call of the `Authority` port, as its requests see it.
#[derive(Clone)]
struct Call {
    permit: Option<Permit>,
    tap: Arc<Mutex<Tap>>,
}

/// An account, as instant-acme has it under one directory.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) directory: Arc<Directory>,
    pub(super) account: Account,
}

impl Session {
    /// Asks nothing of the CA.
    pub(super) async fn open(
        site: Arc<Site>,
        directory: Arc<Directory>,
        url: &str,
        key: &Secret,
    ) -> Result<Self, AuthorityError> {
        let directory_url = site.directory_url();
        let bridge = Bridge {
            directory: directory.bytes.clone(),
            site,
        };
        let key = PrivatePkcs8KeyDer::from(key.expose());
        let account = Account::builder_with_http(Box::new(bridge))
            .from_parts(url.to_owned(), key, directory_url)
            .await
            .map_err(|error| AuthorityError::Unusable(error.to_string()))?;
        Ok(Self { directory, account })
    }
}

/// Runs a call of instant-acme, and reads its outcome from the wire; again, with fresh
/// nonces, if the CA still refused the nonce in the end, which proves that nothing was
/// done.
pub(super) async fn call<F: Future<Output = Result<T, Error>>, T>(
    permit: Option<Permit>,
    now: impl Fn() -> Timestamp,
    ask: impl Fn() -> F,
) -> Result<Answer, AuthorityError> {
    let mut tries = OWN_TRIES;
    loop {
        let tap = Arc::new(Mutex::new(Tap::default()));
        let call = Call {
            permit,
            tap: tap.clone(),
        };
        let output = CALL.scope(call, ask()).await;
        let tap = std::mem::take(&mut *lock(&tap));
        match tap.conclude(output.err().as_ref(), now()) {
            Err(error) if error.kind() == "badNonce" && tries < NONCE_TRIES => tries += OWN_TRIES,
            concluded => return concluded,
        }
    }
}

/// How instant-acme reaches the site.
#[derive(Clone)]
struct Bridge {
    site: Arc<Site>,
    directory: Bytes,
}

impl HttpClient for Bridge {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let this = self.clone();
        Box::pin(async move { this.answer(request).await })
    }
}

impl Bridge {
    async fn answer(&self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let call = CALL.try_with(Call::clone).ok();
        let permit = call.as_ref().and_then(|call| call.permit);
        let tap = call.map(|call| call.tap);
        // It GETs the directory only, and asks HEAD of newNonce only.
        if request.method() == Method::GET {
            return Ok(parts_of(Response::new(self.directory.clone())));
        }
        if request.method() == Method::HEAD {
            return match self.site.nonce().await {
                Ok(nonce) => Ok(nonce_answer(nonce)),
                Err(error) => {
                    let text = error.to_string();
                    record(tap, Err(Failure::Before(error)));
                    Err(Error::Other(text.into()))
                }
            };
        }
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes());
        let request = Request::from_parts(parts, body.unwrap_or_default());
        match self.site.send(request, permit).await {
            Ok(response) => {
                record(tap, Ok(Answer::of(&response)));
                Ok(parts_of(response))
            }
            Err(failure) => {
                let text = failure.to_string();
                record(tap, Err(failure));
                Err(Error::Other(text.into()))
            }
        }
    }
}

fn nonce_answer(nonce: HeaderValue) -> BytesResponse {
    let mut response = Response::new(Bytes::new());
    response.headers_mut().insert(REPLAY_NONCE, nonce);
    parts_of(response)
}

fn parts_of(response: Response<Bytes>) -> BytesResponse {
    let (parts, body) = response.into_parts();
    BytesResponse {
        parts,
        body: Box::new(body),
    }
}

fn record(tap: Option<Arc<Mutex<Tap>>>, last: Result<Answer, Failure>) {
    if let Some(tap) = tap {
        lock(&tap).last = Some(last);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
