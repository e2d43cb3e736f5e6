//! Clients that people use, each before a real origin.

mod browser;
mod curl;
mod grpc;
mod nghttp;
mod websocket;

use std::{process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::{
    edge::Edge,
    origins::{self, Origin},
};

/// A client that takes longer hangs, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs a client, which must end well: what it told, and what it complained about.
#[track_caller]
fn run(program: &str, arguments: &[&str]) -> impl Future<Output = (String, String)> {
    let told = format!("{program} {arguments:?}");
    let output = Command::new(origins::program(program))
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    async move {
        let output = timeout(PATIENCE, output).await;
        let output = output.unwrap_or_else(|_| panic!("{told} hangs")).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, complaint) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{told}:\n{out}\n{complaint}");
        (out, complaint)
    }
}

/// The path of a script beside the clients.
fn script(name: &str) -> String {
    format!("{}/tests/peers/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A site by Node.
async fn site() -> Origin {
    let (folder, listen) = origins::place();
    let (ip, port) = (listen.ip().to_string(), listen.port().to_string());
    let arguments = [script("site.js"), ip, port];
    origins::start("node", &arguments, folder, listen, None).await
}

/// The edge before an origin.
async fn before(origin: &Origin) -> Edge {
    Edge::set(&["--origins", &format!("http://{}", origin.address)]).await
}

/// A WebSocket server by Python's `websockets`.
async fn sockets() -> Origin {
    let (folder, listen) = origins::place();
    let (ip, port) = (listen.ip().to_string(), listen.port().to_string());
    let arguments = [script("websocket_origin.py"), ip, port];
    origins::start("python", &arguments, folder, listen, None).await
}
