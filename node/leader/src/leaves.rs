//! A certificate itself, from this node's store.

use std::sync::Arc;

use bytes::Bytes;
use state::{Certificate, ports::Bodies};

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoLeaf {
    #[error(transparent)]
    Store(#[from] state::ports::BodiesError),
    #[error("the certificate {0} is not in this node's store")]
    Missing(state::CertificateId),
    #[error("the store was not read to the end")]
    Ended,
}

/// The certificate (DER), read where reading may block.
pub(crate) async fn leaf(
    bodies: &Arc<dyn Bodies>,
    certificate: &Arc<Certificate>,
) -> Result<Bytes, NoLeaf> {
    let id = certificate.id;
    let (bodies, certificate) = (bodies.clone(), certificate.clone());
    let body = if bodies.blocks() {
        let read = tokio::task::spawn_blocking(move || bodies.certificate(&certificate));
        read.await.map_err(|_| NoLeaf::Ended)??
    } else {
        bodies.certificate(&certificate)?
    };
    let leaf = body.and_then(|body| body.chain.into_iter().next());
    leaf.ok_or(NoLeaf::Missing(id))
}
