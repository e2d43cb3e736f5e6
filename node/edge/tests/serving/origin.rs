//! Applications behind the edge.

use std::{
    convert::Infallible,
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::{
    body::{Frame, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use state::{Origin, OriginProtocol};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    parts::Ca,
    rig::{Body, empty, full, streamed},
};

/// An application that does what its paths say; see [`answer`].
pub(crate) struct App {
    pub(crate) at: Origin,
    pub(crate) speaks: Speaks,
    pub(crate) seen: Arc<Seen>,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    pub(crate) requests: AtomicUsize,
    /// Bytes that `/endless` has given away.
    pub(crate) produced: AtomicU64,
    /// Lets one `/gate` go.
    pub(crate) gate: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http1,
    Http2,
    /// Over TLS, by these ALPN protocols.
    Tls(&'static [&'static str]),
}

impl App {
    pub(crate) async fn start(speaks: Speaks, ca: &Ca) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let (url, protocol) = match speaks {
            Speaks::Http1 => (format!("http://127.0.0.1:{port}"), OriginProtocol::Auto),
            Speaks::Http2 => (format!("http://127.0.0.1:{port}"), OriginProtocol::Http2),
            Speaks::Tls(_) => (format!("https://localhost:{port}"), OriginProtocol::Auto),
        };
        let tls = match speaks {
            Speaks::Tls(alpn) => Some(TlsAcceptor::from(Arc::new(ca.server("localhost", alpn)))),
            _ => None,
        };
        tokio::spawn(accept(listener, speaks, tls, Arc::clone(&seen)));
        Self {
            at: url.parse::<Origin>().unwrap().with_protocol(protocol),
            speaks,
            seen,
        }
    }
}

async fn accept(listener: TcpListener, speaks: Speaks, tls: Option<TlsAcceptor>, seen: Arc<Seen>) {
    while let Ok((stream, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::Relaxed);
        let (tls, seen) = (tls.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, speaks == Speaks::Http2, seen).await,
                Some(tls) => {
                    let Ok(stream) = tls.accept(stream).await else {
                        return;
                    };
                    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    serve(stream, h2, seen).await;
                }
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    h2: bool,
    seen: Arc<Seen>,
) {
    let service = service_fn(move |request| {
        let seen = Arc::clone(&seen);
        async move { Ok::<_, Infallible>(answer(request, seen).await) }
    });
    let io = TokioIo::new(stream);
    if h2 {
        let _ = http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await;
    } else {
        let _ = http1::Builder::new().serve_connection(io, service).await;
    }
}

async fn answer(request: Request<Incoming>, seen: Arc<Seen>) -> Response<Body> {
    seen.requests.fetch_add(1, Ordering::Relaxed);
    match request.uri().path() {
        "/echo" => Response::new(request.into_body().map_err(Into::into).boxed()),
        "/endless" => Response::new(endless(seen)),
        "/never" => std::future::pending().await,
        "/gate" => {
            seen.gate.notified().await;
            Response::new(full("through"))
        }
        "/grpc" => grpc(request).await,
        "/early" => {
            let mut response = Response::new(full("enough"));
            *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            response
        }
        "/empty" => {
            let mut response = Response::new(empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        _ => {
            let shown = show(&request);
            let length = HeaderValue::from(shown.len());
            // hyper would send it all the same over HTTP/2.
            let asked_for_head = request.method() == http::Method::HEAD;
            let mut response = Response::new(if asked_for_head { empty() } else { full(shown) });
            response.headers_mut().insert("content-length", length);
            let headers = response.headers_mut();
            headers.insert("x-kept", HeaderValue::from_static("1"));
            headers.insert("keep-alive", HeaderValue::from_static("timeout=9"));
            response
        }
    }
}

/// The request's head, a line each.
fn show(request: &Request<Incoming>) -> String {
    let mut text = format!(
        "{} {} {:?}\n",
        request.method(),
        request.uri(),
        request.version()
    );
    let mut lines: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    lines.sort();
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn endless(seen: Arc<Seen>) -> Body {
    let pieces = stream::repeat_with(move || {
        seen.produced.fetch_add(16 << 10, Ordering::Relaxed);
        Ok(Frame::data(Bytes::from_static(&[b'e'; 16 << 10])))
    });
    streamed(pieces)
}

/// Answers with the request's data, and its trailers in the trailers.
async fn grpc(request: Request<Incoming>) -> Response<Body> {
    let collected = request.into_body().collect().await.unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("set-cookie", HeaderValue::from_static("evil=1"));
    let names = collected.trailers().map(|t| {
        t.keys()
            .map(|name| name.as_str())
            .collect::<Vec<_>>()
            .join(",")
    });
    trailers.insert(
        "x-request-trailers",
        HeaderValue::from_str(&names.unwrap_or_default()).unwrap(),
    );
    let frames = [
        Ok(Frame::data(collected.to_bytes())),
        Ok(Frame::trailers(trailers)),
    ];
    let mut response = Response::new(streamed(stream::iter(frames)));
    response.headers_mut().insert(
        "content-type",
        HeaderValue::from_static("application/grpc+proto"),
    );
    response
}

/// An application of bytes: each connection's first bytes are told, then it is
/// answered with the next of `answers`, and closed if that says so.
pub(crate) struct Script {
    pub(crate) at: Origin,
    /// What each connection received before its answer.
    pub(crate) received: mpsc::UnboundedReceiver<String>,
}

/// What a scripted origin does once the head of a request has arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Answers, and waits for the next request.
    Say(&'static str),
    /// Answers and closes.
    SayAndClose(&'static str),
}

impl Script {
    /// Every connection goes through all of `acts`, then closes.
    pub(crate) async fn start(acts: &'static [Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let (tell, received) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(play(stream, acts, tell.clone()));
            }
        });
        Self { at, received }
    }
}

async fn play(mut stream: TcpStream, acts: &'static [Act], tell: mpsc::UnboundedSender<String>) {
    for act in acts {
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let _ = tell.send(String::from_utf8_lossy(&head).into_owned());
        let (Act::Say(text) | Act::SayAndClose(text)) = act;
        if stream.write_all(text.as_bytes()).await.is_err() || matches!(act, Act::SayAndClose(_)) {
            return;
        }
    }
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    let _ = tell.send(format!("rest: {}", String::from_utf8_lossy(&rest)));
}
