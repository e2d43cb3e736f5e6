//! gRPC, by Google's library for Python at both ends.

use super::{run, script};
use crate::{
    edge::{Edge, HOST},
    origins,
};

#[tokio::test(flavor = "multi_thread")]
async fn all_kinds_of_calls_pass_through() {
    let (folder, listen) = origins::place();
    let arguments = [script("grpc_origin.py"), listen.to_string()];
    let origin = origins::start("python", &arguments, folder, listen, None).await;
    let url = format!("http://{},protocol=http2", origin.address);
    let edge = Edge::set(&["--origins", &url]).await;
    let roots = edge.roots_file().display().to_string();
    let address = edge.address().to_string();
    let (told, _) = run(
        "python",
        &[&script("grpc_client.py"), HOST, &address, &roots],
    )
    .await;
    assert_eq!(told, "all calls are as they must be\n");
}
