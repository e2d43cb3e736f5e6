//! Watching a hostname.

use std::time::Duration;

use proto::admin::v1::*;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use crate::stand::{Stand, report, told};

const SOON: Duration = Duration::from_secs(5);

async fn watch(stand: &Stand, name: &str) -> Streaming<Hostname> {
    let request = WatchHostnameRequest {
        name: format!("hostnames/{name}"),
    };
    let answer = stand.admin().await.hostnames.watch_hostname(request).await;
    answer.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<Hostname>) -> Result<Hostname, Status> {
    let message = timeout(SOON, stream.message())
        .await
        .expect("something soon");
    message.map(|message| message.expect("the stream goes on"))
}

#[tokio::test]
async fn a_watch_tells_now_each_change_and_the_end() {
    let stand = Stand::start().await;
    stand.alone.authorize("shop.example");
    let mut stream = watch(&stand, "shop.example").await;
    let first = next(&mut stream).await.unwrap();
    assert_eq!(first.state(), HostnameState::Pending);

    stand.alone.authorize("other.example");
    stand.alone.register(state::Term(4), "thumbprint");
    let key = state::Sealed {
        purpose: state::KeyPurpose::Serving,
        generation: 1,
        nonce: [0; 12],
        ciphertext: bytes::Bytes::new(),
    };
    stand
        .alone
        .prepare(state::Term(4), "shop.example", key, "token");
    let mut seen = next(&mut stream).await.unwrap();
    assert!(
        seen.revision > first.revision,
        "others' changes are not told"
    );
    while seen
        .order
        .as_ref()
        .is_none_or(|order| order.stage != "prepared")
    {
        seen = next(&mut stream).await.unwrap();
    }

    let remove = DeleteHostnameRequest {
        name: seen.name,
        revision: 0,
    };
    stand
        .admin()
        .await
        .hostnames
        .delete_hostname(remove)
        .await
        .unwrap();
    assert_eq!(told(next(&mut stream).await), "NotFound HOSTNAME_NOT_FOUND");
}

#[tokio::test]
async fn a_watch_tells_when_nodes_begin_to_serve() {
    let stand = Stand::start().await;
    stand.alone.authorize("shop.example");
    *stand.doubles.reports.lock().unwrap() = vec![report(1, Some(1), 0)];
    let mut stream = watch(&stand, "shop.example").await;
    assert!(!next(&mut stream).await.unwrap().serving[0].current);
    *stand.doubles.reports.lock().unwrap() = vec![report(1, Some(1000), 0)];
    assert!(next(&mut stream).await.unwrap().serving[0].current);
}

#[tokio::test]
async fn watches_are_bounded_and_their_places_come_back() {
    let stand = Stand::start().await;
    stand.alone.authorize("shop.example");
    let mut admin = stand.admin().await;
    let request = WatchHostnameRequest {
        name: "hostnames/shop.example".to_owned(),
    };
    let mut open = Vec::new();
    let refused = loop {
        match admin.hostnames.watch_hostname(request.clone()).await {
            Ok(stream) => open.push(stream),
            Err(status) => break status,
        }
        assert!(open.len() <= 128, "there is a bound");
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(open.len(), 128);
    drop(open);
    let again = async {
        while admin
            .hostnames
            .watch_hostname(request.clone())
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, again).await.expect("a place came back");
}
