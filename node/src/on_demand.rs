//! Asks whoever was configured whether a hostname may be served, and has it authorized then.
//!
//! The question is that of Caddy's on-demand TLS: GET with `domain=NAME`, and a status of
//! 2xx is a yes. Nothing else of the answer counts: its body is not read, and nobody is sent
//! on. Other answers of 4xx are a no; what else comes says that the one who was asked is not
//! well, as no answer does.

use std::{net::IpAddr, sync::Arc};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use bytes::Bytes;
use cluster::Entropy;
use edge::on_demand::{Answer, Authorizer, OnDemand, Untold};
use http::{Request, StatusCode, Uri, header, uri::Scheme};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use state::{
    Actor, Change, Hostname, Index, NodeId, OwnershipToken, Refusal, State, Tenant, Wants,
    command::Authorize,
    outcome::Kind,
    ports::{Applied, Propose},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::Handle,
    sync::watch,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::{config, telemetry::chain, wiring::Rooms};

/// Most of an answer's head; hyper wants at least 8 KiB.
const HEAD_MOST: usize = 16 * 1024;
const USER_AGENT: &str = concat!("hostquorum/", env!("CARGO_PKG_VERSION"));

/// What `wanted` asks for, of this node.
pub(crate) fn on_demand(wanted: &config::OnDemand, rooms: &Rooms) -> Result<OnDemand> {
    let pem = match &wanted.roots {
        None => None,
        Some(path) => {
            let read = std::fs::read(path);
            Some(read.with_context(|| format!("{} cannot be read", path.display()))?)
        }
    };
    let roots = edge::roots(pem.as_deref()).context("on_demand.roots cannot be used")?;
    let tls = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = wanted.ask.host().unwrap_or_default().to_owned();
    tracing::info!(%host, tenant = %wanted.tenant, "hostnames are authorized on demand by this");
    let authority = Authority {
        url: Url {
            uri: wanted.ask.clone(),
            tls: TlsConnector::from(Arc::new(tls)),
        },
        me: rooms.identity.public.node,
        tenant: wanted.tenant.clone(),
        propose: rooms.replica.clone(),
        states: rooms.replica.state(),
        entropy: rooms.entropy.clone(),
    };
    Ok(OnDemand {
        authorizer: Arc::new(Beside {
            authority: Arc::new(authority),
            runtime: Handle::current(),
        }),
        limits: wanted.limits.clone(),
    })
}

/// Works on the runtime of issuance and admin, so that what serves clients computes nothing
/// for it.
struct Beside {
    authority: Arc<Authority>,
    runtime: Handle,
}

#[async_trait]
impl Authorizer for Beside {
    async fn ask(&self, hostname: &Hostname) -> Result<Answer, Untold> {
        let (authority, hostname) = (self.authority.clone(), hostname.clone());
        let asking = async move { authority.ask(&hostname).await };
        beside(&self.runtime, asking).await
    }

    async fn authorize(&self, hostname: &Hostname) -> Result<Index, Untold> {
        let (authority, hostname) = (self.authority.clone(), hostname.clone());
        let authorizing = async move { authority.authorize(hostname).await };
        beside(&self.runtime, authorizing).await
    }
}

/// Ends with whoever waits for it.
async fn beside<T: Send + 'static>(
    runtime: &Handle,
    work: impl Future<Output = Result<T, Untold>> + Send + 'static,
) -> Result<T, Untold> {
    let done = AbortOnDropHandle::new(runtime.spawn(work)).await;
    done.unwrap_or_else(|_| Err(Untold("this node is about to end".to_owned())))
}

struct Authority {
    url: Url,
    me: NodeId,
    tenant: Tenant,
    propose: Arc<dyn Propose>,
    states: watch::Receiver<Arc<State>>,
    entropy: Arc<dyn Entropy>,
}

impl Authority {
    /// What the cluster knows already counts, though this node has not heard of it yet; and
    /// nobody is asked while nothing could be agreed on.
    async fn ask(&self, hostname: &Hostname) -> Result<Answer, Untold> {
        let index = self.propose.barrier().await.map_err(untold)?;
        let mut states = self.states.clone();
        let state = states.wait_for(|state| state.index() >= index).await;
        let state = Arc::clone(&*state.map_err(untold)?);
        if state.hostname(hostname.as_str()).is_some() {
            return Ok(Answer::Known(state.index()));
        }
        if state.tombstone(hostname.as_str()).is_some() {
            return Ok(Answer::No);
        }
        answer(self.url.ask(hostname).await?)
    }

    async fn authorize(&self, hostname: Hostname) -> Result<Index, Untold> {
        let mut token = [0; 16];
        self.entropy.fill(&mut token);
        let change = Change::AuthorizeHostname(Box::new(Authorize {
            hostname,
            tenant: self.tenant.clone(),
            token: OwnershipToken(token),
            wants: Wants::default(),
            on_demand: true,
        }));
        let proposed = self
            .propose
            .propose(Actor::on_demand(self.me), change)
            .await;
        let Applied { index, outcome } = proposed.map_err(untold)?;
        match outcome.into_result() {
            // Somebody was faster: it is known, whose it may be.
            Ok(_) | Err(Refusal::AlreadyExists(Kind::Hostname) | Refusal::OtherTenant(_)) => {
                Ok(index)
            }
            Err(refusal) => Err(Untold(refusal.to_string())),
        }
    }
}

fn untold(error: impl std::error::Error) -> Untold {
    Untold(chain(&error))
}

/// What a status says.
fn answer(status: StatusCode) -> Result<Answer, Untold> {
    if status.is_success() {
        Ok(Answer::Yes)
    } else if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
        Ok(Answer::No)
    } else {
        Err(Untold(format!("it was answered with {status}")))
    }
}

/// Who is asked.
struct Url {
    uri: Uri,
    tls: TlsConnector,
}

impl Url {
    async fn ask(&self, hostname: &Hostname) -> Result<StatusCode, Untold> {
        let (host, secure) = (
            self.uri.host().unwrap_or_default(),
            self.uri.scheme() == Some(&Scheme::HTTPS),
        );
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = TcpStream::connect((bare, port)).await.map_err(untold)?;
        let request = self.request(hostname)?;
        if !secure {
            return exchange(stream, request).await;
        }
        let name = match bare.parse::<IpAddr>() {
            Ok(address) => ServerName::from(address),
            Err(_) => ServerName::try_from(bare.to_owned()).map_err(untold)?,
        };
        let stream = self.tls.connect(name, stream).await.map_err(untold)?;
        exchange(stream, request).await
    }

    fn request(&self, hostname: &Hostname) -> Result<Request<Empty<Bytes>>, Untold> {
        let path = match self.uri.path() {
            "" => "/",
            path => path,
        };
        // A hostname has nothing that would have to be encoded.
        let target = match self.uri.query() {
            None | Some("") => format!("{path}?domain={hostname}"),
            Some(query) => format!("{path}?{query}&domain={hostname}"),
        };
        let host = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        Request::get(target)
            .header(header::HOST, host)
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::CONNECTION, "close")
            .body(Empty::new())
            .map_err(untold)
    }
}

/// The status of the answer; the connection ends with it.
async fn exchange<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<StatusCode, Untold>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_MOST);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(untold)?;
    let exchange = sender.send_request(request);
    tokio::pin!(exchange, connection);
    // The connection may end before its answer is read out of it.
    let response = tokio::select! {
        response = &mut exchange => response,
        _ = &mut connection => exchange.await,
    };
    Ok(response.map_err(untold)?.status())
}

#[cfg(test)]
#[path = "on_demand_tests.rs"]
mod tests;
