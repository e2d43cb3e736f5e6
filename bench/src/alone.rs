//! Scratch, not committed: the edge in this program, for short turns while optimising.
use anyhow::Result;
use bytes::Bytes;
use edge::{ChallengeSource, Edge, Inputs, Unreachable};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use state::{
    KeyPurpose, Term,
    ports::{Bodies, Clock, Seal},
    sealed::SealContext,
    testing::{Alone, Known, ManualClock, MaskSeal, host},
};
use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::watch;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    origin: String,
    #[arg(long)]
    certs: PathBuf,
}
struct NoLeader;
#[async_trait::async_trait]
impl ChallengeSource for NoLeader {
    async fn key_authorization(
        &self,
        _: &state::Hostname,
        _: Option<&str>,
    ) -> Result<Option<String>, Unreachable> {
        Err(Unreachable)
    }
}
pub(crate) fn run(options: &Options) -> Result<()> {
    let (states, watched) = watch::channel(Arc::default());
    let clock = Arc::new(ManualClock::default()) as Arc<dyn Clock>;
    let alone = Arc::new(Alone::founded(clock, move |state| {
        states.send_replace(state);
    }));
    alone.register(Term(1), "thumb");
    alone.set_origin(&format!("http://{}", options.origin));
    for entry in std::fs::read_dir(&options.certs)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap().to_string_lossy().to_string();
        let chain: Vec<_> = CertificateDer::pem_file_iter(&path)?.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&path)?;
        let sealed = MaskSeal
            .seal(
                KeyPurpose::Serving,
                &SealContext::CertificateKey(host(&name)),
                key.secret_der(),
            )
            .unwrap();
        alone.authorize(&name);
        let der = |c: &CertificateDer<'_>| Bytes::copy_from_slice(c);
        alone.install(
            Term(1),
            &name,
            sealed,
            der(&chain[0]),
            chain[1..].iter().map(der).collect(),
        );
    }
    let _edge = Edge::start(
        edge::Config {
            https: options.listen,
            http: "127.0.0.1:0".parse()?,
            public_https_port: None,
            cores: NonZeroUsize::MIN,
            origin_roots: None,
            lame_duck: Duration::ZERO,
            limits: edge::Limits::default(),
            dns: None,
        },
        Inputs {
            states: watched,
            bodies: alone.clone() as Arc<dyn Bodies>,
            seal: Arc::new(MaskSeal),
            challenges: Arc::new(NoLeader),
            reach: Arc::new(Known),
            behind: Arc::new(|| false),
        },
    )?;
    loop {
        std::thread::park();
    }
}
