//! The CA's control by other processes.

use devca::{Config, Endpoint, Running, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{account, config, ready_order};
use crate::site::Site;

async fn ca() -> (Running, Site) {
    let site = Site::start().await;
    let config = Config {
        control: Some(([127, 0, 0, 1], 0).into()),
        ..config(site.probing())
    };
    (Server::start(config).await.unwrap(), site)
}

async fn ask(ca: &Running, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut stream = TcpStream::connect(ca.control_addr().unwrap())
        .await
        .unwrap();
    let body = body.to_string();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn the_behaviour_is_read_replaced_and_patched() {
    let (ca, _site) = ca().await;
    let (status, plain) = ask(&ca, "GET", "/behaviour", &Value::Null).await;
    assert_eq!((status, &plain["order_reuse"]), (200, &json!(false)));
    let patch = json!({
        "order_reuse": true,
        "limits": { "new_orders_per_account": { "burst": 3, "count": 3, "period_millis": 1_000 } },
    });
    let (status, patched) = ask(&ca, "PATCH", "/behaviour", &patch).await;
    assert_eq!((status, &patched["order_reuse"]), (200, &json!(true)));
    assert_eq!(patched["orders_list"], true);
    assert!(ca.control().behaviour().order_reuse);
    let (status, told) = ask(&ca, "PATCH", "/behaviour", &json!({ "no_such": 1 })).await;
    assert_eq!(status, 400, "{told}");
    let (status, put) = ask(&ca, "PUT", "/behaviour", &json!({})).await;
    assert_eq!((status, put), (200, plain));
}

#[tokio::test]
async fn faults_come_and_go() {
    let (ca, _site) = ca().await;
    let fault = json!({ "endpoint": "new_order", "times": 2, "mishap": "bad_nonce" });
    let (status, faults) = ask(&ca, "POST", "/faults", &fault).await;
    assert_eq!((status, &faults[0]["struck"]), (200, &json!(0)));
    assert_eq!(ca.control().faults().len(), 1);
    let (status, _) = ask(&ca, "DELETE", "/faults", &Value::Null).await;
    assert_eq!(status, 200);
    assert!(ca.control().faults().is_empty());
    let (status, _) = ask(&ca, "POST", "/faults", &json!({ "mishap": "x" })).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn what_the_ca_did_is_told() {
    let (ca, site) = ca().await;
    let account = account(&ca).await;
    let mut order = ready_order(&account, &["shop.client.example"], &site).await;
    order.finalize().await.unwrap();
    let (_, ledger) = ask(&ca, "GET", "/ledger", &Value::Null).await;
    assert_eq!(ledger["certificates"].as_array().unwrap().len(), 1);
    assert!(ledger["finalizations"][0]["completed"].is_u64(), "{ledger}");
    let (_, posts) = ask(&ca, "GET", "/posts", &Value::Null).await;
    let finalized = posts.as_array().unwrap().iter();
    let finalized = finalized.filter(|post| post["endpoint"] == json!(Endpoint::Finalize));
    assert_eq!(finalized.count(), 1);
    for path in ["/duplicates/86400", "/overlaps"] {
        let (status, none) = ask(&ca, "GET", path, &Value::Null).await;
        assert_eq!((status, none), (200, json!([])), "{path}");
    }
}

#[tokio::test]
async fn commands_change_the_records() {
    let (ca, site) = ca().await;
    let account = account(&ca).await;
    let order = ready_order(&account, &["shop.client.example"], &site).await;
    let id = order.url().rsplit('/').next().unwrap();
    let invalidate = json!({ "invalidate": { "order": id } });
    assert_eq!(ask(&ca, "POST", "/commands", &invalidate).await.0, 200);
    let (_, ledger) = ask(&ca, "GET", "/ledger", &Value::Null).await;
    assert_eq!(ledger["orders"][0]["status"], "invalid");
    let mut order = ready_order(&account, &["shop.client.example"], &site).await;
    order.finalize().await.unwrap();
    let serial = ca.ledger().certificates[0].serial.clone();
    let revoke = json!({ "revoke": { "serial": serial, "reason": 1 } });
    assert_eq!(ask(&ca, "POST", "/commands", &revoke).await.0, 200);
    assert_eq!(ask(&ca, "POST", "/commands", &revoke).await.0, 409);
    let unknown = json!({ "invalidate": { "order": "none" } });
    assert_eq!(ask(&ca, "POST", "/commands", &unknown).await.0, 404);
    assert_eq!(ask(&ca, "POST", "/unpause/none", &Value::Null).await.1, 0);
    assert_eq!(ask(&ca, "GET", "/nothing", &Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_hand_left_behind_does_not_hold_the_ca() {
    let (ca, _site) = ca().await;
    let control = ca.control();
    ca.shutdown().await;
    let order = "o".to_owned();
    let told = control.command(devca::Command::Invalidate { order }).await;
    assert_eq!(told, Err(devca::CommandError::Stopped));
}
