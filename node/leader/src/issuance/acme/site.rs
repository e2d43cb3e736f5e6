//! A CA as this process reaches it: its directory, its hosts, its rates, nonces and
//! connections, shared by all accounts that we have there.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use state::ports::Clock;
use tokio::time::Instant;

use super::{
    answer::{Answer, Failure},
    directory::{Directory, Hosts},
    http::{FencedHttp, has_effect},
    jws::{AccountKey, Identity},
    pacer::{Endpoint, Pacer},
    pool::REPLAY_NONCE,
};
use crate::{fence::Permit, issuance::authority::AuthorityError};

/// How long a directory is believed: CAs change theirs a few times a year, and announce it.
const DIRECTORY_LONGEST: Duration = Duration::from_secs(3600);
/// How soon one that could not be read again is tried again; the old one serves meanwhile.
const DIRECTORY_AGAIN: Duration = Duration::from_secs(60);

/// How often a request is made in all while the CA refuses its nonce. A CA that refuses
/// six of ten refuses so many in a row once in 200,000 times.
pub(super) const NONCE_TRIES: u32 = 24;

/// RFC 8555 section 6.2.
const JOSE: &str = "application/jose+json";

/// A CA and the road to it.
pub(super) struct Site {
    http: FencedHttp,
    clock: Arc<dyn Clock>,
    pub(super) pacer: Pacer,
    directory_url: Uri,
    kept: Mutex<Option<Kept>>,
    /// One reads the directory at a time.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Kept {
    directory: Arc<Directory>,
    until: Instant,
}

impl Site {
    pub(super) fn new(
        http: FencedHttp,
        clock: Arc<dyn Clock>,
        pacer: Pacer,
        directory_url: Uri,
    ) -> Self {
        Self {
            http,
            clock,
            pacer,
            directory_url,
            kept: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> state::Timestamp {
        self.clock.now()
    }

    pub(super) fn directory_url(&self) -> String {
        self.directory_url.to_string()
    }

    /// The directory, however old: an act must not wait for it.
    pub(super) async fn directory(&self) -> Result<Arc<Directory>, AuthorityError> {
        match self.kept() {
            Some(kept) => Ok(kept.directory),
            None => self.read_directory().await,
        }
    }

    /// The directory, read again if it is old.
    pub(super) async fn recent_directory(&self) -> Result<Arc<Directory>, AuthorityError> {
        match self.kept() {
            Some(kept) if Instant::now() < kept.until => Ok(kept.directory),
            _ => self.read_directory().await,
        }
    }

    async fn read_directory(&self) -> Result<Arc<Directory>, AuthorityError> {
        let _reading = self.reading.lock().await;
        let before = self.kept();
        if let Some(kept) = &before
            && Instant::now() < kept.until
        {
            // Somebody else has read it meanwhile.
            return Ok(kept.directory.clone());
        }
        let read = self.fetch_directory().await;
        let kept = match (read, before) {
            (Ok(directory), _) => Kept {
                directory: Arc::new(directory),
                until: Instant::now() + DIRECTORY_LONGEST,
            },
            (Err(error), Some(old)) => {
                tracing::info!(%error, "the CA's directory cannot be read again; the old one serves");
                Kept {
                    until: Instant::now() + DIRECTORY_AGAIN,
                    ..old
                }
            }
            (Err(error), None) => return Err(error),
        };
        let directory = kept.directory.clone();
        *self.lock() = Some(kept);
        Ok(directory)
    }

    async fn fetch_directory(&self) -> Result<Directory, AuthorityError> {
        let answer = self.get(&self.directory_url.to_string()).await?;
        Directory::read(&answer, &self.directory_url)
    }

    /// Opens a connection and draws a nonce, unless both wait already.
    pub(super) async fn warm(&self) -> Result<(), AuthorityError> {
        let directory = self.recent_directory().await?;
        let new_nonce = uri(&directory.new_nonce)?;
        if !self.http.is_warm(&new_nonce).await {
            let nonce = self.draw_nonce(new_nonce).await?;
            self.http.pool.keep_nonce(nonce);
        }
        Ok(())
    }

    /// A nonce for one request (RFC 8555 section 7.2).
    pub(super) async fn nonce(&self) -> Result<HeaderValue, AuthorityError> {
        if let Some(nonce) = self.http.pool.nonce() {
            return Ok(nonce);
        }
        let directory = self.directory().await?;
        self.draw_nonce(uri(&directory.new_nonce)?).await
    }

    async fn draw_nonce(&self, new_nonce: Uri) -> Result<HeaderValue, AuthorityError> {
        let request = Request::head(new_nonce).body(Bytes::new());
        let mut response = self.deliver(request.map_err(odd)?, None).await?;
        let nonce = response.headers_mut().remove(REPLAY_NONCE);
        Answer::of(&response).good(self.now())?;
        nonce.ok_or_else(|| odd("newNonce gives no nonce"))
    }

    /// A plain GET. Somebody's cache may answer it: a nonce in it is worth nothing.
    pub(super) async fn get(&self, url: &str) -> Result<Answer, AuthorityError> {
        let request = Request::get(url).body(Bytes::new());
        let answer = self.deliver(request.map_err(odd)?, None).await?;
        Answer::of(&answer).good(self.now())
    }

    /// A request signed by `key`; made again with a fresh nonce while the CA refuses its
    /// nonce, which proves that nothing was done. Each time the permit is asked again.
    pub(super) async fn post(
        &self,
        key: &AccountKey,
        identity: Identity<'_>,
        url: &str,
        payload: &[u8],
        permit: Option<Permit>,
    ) -> Result<Answer, AuthorityError> {
        let mut tries = 1;
        loop {
            let nonce = self.nonce().await?;
            let nonce = nonce.to_str().map_err(odd)?;
            let body = key.request(identity, url, nonce, payload)?;
            let request = Request::post(url)
                .header(header::CONTENT_TYPE, JOSE)
                .body(body.into());
            let answer = self.send(request.map_err(odd)?, permit).await?;
            match Answer::of(&answer).good(self.now()) {
                Err(error) if error.kind() == "badNonce" && tries < NONCE_TRIES => tries += 1,
                answered => return answered,
            }
        }
    }

    /// Sends a request, and keeps the nonce that comes with the answer for the next.
    pub(super) async fn send(
        &self,
        request: Request<Bytes>,
        permit: Option<Permit>,
    ) -> Result<Response<Bytes>, Failure> {
        let mut response = self.deliver(request, permit).await?;
        if let Some(nonce) = response.headers_mut().remove(REPLAY_NONCE) {
            self.http.pool.keep_nonce(nonce);
        }
        Ok(response)
    }

    /// To the CA and to nobody else, at its pace.
    async fn deliver(
        &self,
        request: Request<Bytes>,
        permit: Option<Permit>,
    ) -> Result<Response<Bytes>, Failure> {
        let uri = request.uri();
        let endpoint = match self.kept() {
            Some(kept) if kept.directory.hosts.contains(uri) => {
                if *uri == self.directory_url {
                    Endpoint::Directory
                } else {
                    kept.directory.endpoint(&uri.to_string())
                }
            }
            None if Hosts::of(&self.directory_url).contains(uri) => Endpoint::Directory,
            _ => return Err(Failure::Stray(uri.to_string())),
        };
        let effect = has_effect(&request);
        let turn = self.pacer.pass(endpoint, effect).await;
        turn.map_err(Failure::Paced)?;
        self.http.send(request, permit).await
    }

    fn kept(&self) -> Option<Kept> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn uri(text: &str) -> Result<Uri, AuthorityError> {
    text.parse().map_err(odd)
}

/// A URL or a nonce of the CA that cannot be written into a request.
fn odd(error: impl std::fmt::Display) -> AuthorityError {
    AuthorityError::Malformed(error.to_string())
}
