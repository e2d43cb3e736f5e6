//! The local socket: whoever may open it is this machine's administrator. It forms the
//! cluster; once the node is a member of one it answers all that the admin port does, to
//! whoever has lost every other way in.

use std::{
    convert::Infallible,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::Path,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use admin::LocalCaller;
use http::{Request as HttpRequest, Response as HttpResponse};
use state::NodeId;

use proto::cluster::v1::{
    InitReply, InitRequest,
    bootstrap_server::{Bootstrap, BootstrapServer},
};
use tokio::{
    net::UnixListener,
    sync::{mpsc, oneshot},
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status, body::Body, service::Routes, transport::Server};
use tower::Service;

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

/// What is behind the socket, besides the calls that form a cluster.
#[derive(Clone, Debug, Default)]
pub struct Local {
    member: Arc<OnceLock<(NodeId, Routes)>>,
}

impl Local {
    /// From now on `routes` are served there, too: this node is a member.
    pub fn serve(&self, node: NodeId, routes: Routes) {
        // Nobody becomes a member twice.
        let _first = self.member.set((node, routes));
    }
}

/// Opens the socket in `data_dir`, mode 0600, and serves it until the task ends.
/// Each call comes out of the receiver.
pub fn serve(data_dir: &Path) -> io::Result<(mpsc::Receiver<InitCall>, Local)> {
    let path = data_dir.join(NAME);
    // The data directory is locked by this process: a socket that is there is dead.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let (calls, received) = mpsc::channel(WAITING_MAX);
    let local = Local::default();
    let members = Members(local.clone());
    tokio::spawn(async move {
        let bootstrap = Routes::new(BootstrapServer::new(Door { calls }));
        let routes = bootstrap.into_axum_router().fallback_service(members);
        let served = Server::builder()
            .add_routes(Routes::from(routes))
            .serve_with_incoming(UnixListenerStream::new(listener))
            .await;
        if let Err(error) = served {
            tracing::error!(
                error = crate::telemetry::chain(&error),
                "the local socket ended"
            );
        }
    });
    Ok((received, local))
}

/// Everything but the forming of a cluster.
#[derive(Clone)]
struct Members(Local);

impl<B> Service<HttpRequest<B>> for Members
where
    Routes: Service<HttpRequest<B>, Response = HttpResponse<Body>, Error = Infallible>,
    <Routes as Service<HttpRequest<B>>>::Future: Send + 'static,
{
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Routes are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: HttpRequest<B>) -> Self::Future {
        let Some((node, routes)) = self.0.member.get() else {
            let none = Status::failed_precondition(
                "this node belongs to no cluster yet: form one by `hostquorum cluster init`, or let \
                 it join one",
            );
            return Box::pin(std::future::ready(Ok(none.into_http())));
        };
        request.extensions_mut().insert(LocalCaller(*node));
        Box::pin(routes.clone().call(request))
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<HttpResponse<Body>, Infallible>> + Send>>;

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
