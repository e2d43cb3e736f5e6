//! The local socket: whoever may open it is this machine's operator. It forms the
//! cluster, and nothing else.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use proto::cluster::v1::{
    InitReply, InitRequest,
    bootstrap_server::{Bootstrap, BootstrapServer},
};
use tokio::{
    net::UnixListener,
    sync::{mpsc, oneshot},
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// The socket's name in the data directory.
pub const NAME: &str = "hostquorumd.sock";

/// Requests that may wait: an operator makes one.
const WAITING_MAX: usize = 4;

/// A request to form a cluster, and where its answer goes.
#[derive(Debug)]
pub struct InitCall {
    /// What was asked for.
    pub request: InitRequest,
    /// The answer.
    pub reply: oneshot::Sender<Result<InitReply, Status>>,
}

/// Opens the socket in `data_dir`, mode 0600, and serves it until the task ends.
/// Each call comes out of the receiver.
pub fn serve(data_dir: &Path) -> io::Result<mpsc::Receiver<InitCall>> {
    let path = data_dir.join(NAME);
    // The data directory is locked by this process: a socket that is there is dead.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let (calls, received) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        let served = Server::builder()
            .add_service(BootstrapServer::new(Door { calls }))
            .serve_with_incoming(UnixListenerStream::new(listener))
            .await;
        if let Err(error) = served {
            tracing::error!(
                error = crate::telemetry::chain(&error),
                "the local socket ended"
            );
        }
    });
    Ok(received)
}

struct Door {
    calls: mpsc::Sender<InitCall>,
}

#[tonic::async_trait]
impl Bootstrap for Door {
    async fn init(&self, request: Request<InitRequest>) -> Result<Response<InitReply>, Status> {
        let (reply, answer) = oneshot::channel();
        let call = InitCall {
            request: request.into_inner(),
            reply,
        };
        let busy = |_| Status::unavailable("too many calls are waiting; try again");
        self.calls.try_send(call).map_err(busy)?;
        let gone =
            |_| Status::unavailable("the node stopped before it could answer; look at its log");
        answer.await.map_err(gone)?.map(Response::new)
    }
}
