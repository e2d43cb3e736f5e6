//! The connection over which an operator speaks to a cluster.

use std::{io, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::{
    client::ClientConfig, crypto::aws_lc_rs, pki_types::CertificateDer, sign::CertifiedKey,
    time_provider::TimeProvider,
};
use tonic::transport::Channel;

use crate::{
    key::PrivateKey,
    names::ClusterId,
    session::{EnrollError, dial, endpoint, handshake},
    trust::Trust,
};

/// How often an idle connection is asked whether it still stands: `watch` may be
/// silent for long, and a dead node must be noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// An operator's identity and the cluster it is for.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The cluster's id.
    pub cluster: ClusterId,
    /// The cluster's root.
    pub root: CertificateDer<'static>,
    /// Leaf first, then the online CA.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key.
    pub key: Arc<PrivateKey>,
}

impl Credential {
    /// Mutual TLS 1.3 with any node of the cluster.
    pub fn client_config(&self, time: Arc<dyn TimeProvider>) -> Result<ClientConfig, EnrollError> {
        let key = self.key.to_rustls();
        let certified =
            CertifiedKey::from_der(self.chain.clone(), key, &aws_lc_rs::default_provider());
        let trust = Trust::Known {
            root: self.root.clone(),
            cluster: self.cluster,
        };
        certified
            .and_then(|certified| trust.client_config(Some(certified), time))
            .map_err(|error| EnrollError::Handshake(io::Error::other(error)))
    }

    /// Connects to the admin API of a node at `address` (host:port). Fails at once
    /// if nobody answers there or another cluster does.
    pub async fn connect(
        &self,
        address: &str,
        time: Arc<dyn TimeProvider>,
    ) -> Result<Channel, EnrollError> {
        let config = Arc::new(self.client_config(time)?);
        let first = handshake(dial(address).await?, config.clone()).await?;
        let address: Arc<str> = address.into();
        let mut first = Some(first);
        let connector = tower::service_fn(move |_| {
            let (address, config, first) = (address.clone(), config.clone(), first.take());
            async move {
                let stream = match first {
                    Some(stream) => stream,
                    None => handshake(dial(&address).await?, config).await?,
                };
                Ok::<_, EnrollError>(TokioIo::new(stream))
            }
        });
        endpoint()
            .http2_keep_alive_interval(KEEP_ALIVE)
            .connect_with_connector(connector)
            .await
            .map_err(|error| EnrollError::Handshake(io::Error::other(error)))
    }
}
