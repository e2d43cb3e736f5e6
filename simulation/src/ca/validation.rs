//! The CA's look at a hostname, http-01 (RFC 8555 section 8.3) over the simulated
//! network: at every node that takes a connection, as a balancer may lead to any.

use std::time::Duration;

use bytes::Bytes;
use devca::{Kind, Problem, Validation};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use state::NodeId;
use tokio::time::timeout;
use turmoil::net::TcpStream;

use crate::network::host;
use crate::port80;

/// How long a node is waited for, as at Let's Encrypt.
const PATIENCE: Duration = Duration::from_secs(10);

/// And how long others, once one has answered: those are down, or going down.
const NO_LONGER: Duration = Duration::from_millis(500);

/// A key authorization has 87 bytes.
const BODY_MAX: usize = 4096;

/// All nodes that can be reached answer rightly, and one can.
pub(super) async fn validate(nodes: &[NodeId], validation: &Validation) -> Result<(), Problem> {
    let mut asked: FuturesUnordered<_> = nodes
        .iter()
        .map(|node| async move { (*node, fetch(*node, validation).await) })
        .collect();
    let (mut reached, mut patience) = (false, PATIENCE);
    while let Ok(Some((node, answer))) = timeout(patience, asked.next()).await {
        let Some((status, body)) = answer else {
            continue;
        };
        (reached, patience) = (true, NO_LONGER);
        if status != StatusCode::OK || body != validation.key_authorization {
            let detail = format!("node {node} answers {status} and not the key authorization");
            return Err(Problem::new(Kind::Unauthorized, detail));
        }
    }
    if reached {
        return Ok(());
    }
    Err(Problem::new(Kind::Connection, "no node can be reached"))
}

async fn fetch(node: NodeId, validation: &Validation) -> Option<(StatusCode, Bytes)> {
    let stream = TcpStream::connect((host(node), port80::PORT)).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let request = Request::get(format!("{}{}", port80::CHALLENGES, validation.token))
        .header(HOST, &validation.hostname)
        .body(Empty::<Bytes>::new());
    let response = sender.send_request(request.ok()?).await.ok()?;
    let status = response.status();
    let body = Limited::new(response.into_body(), BODY_MAX).collect().await;
    Some((status, body.ok()?.to_bytes()))
}
