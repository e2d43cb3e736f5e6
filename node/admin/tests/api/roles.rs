//! Every method of the descriptors, called by everybody.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::FileDescriptorSet;
use state::Role;
use tonic::{Code, Status, client::Grpc, service::interceptor::InterceptedService};
use tonic_types::StatusExt;

use crate::stand::{ADMIN, Claim, Stand};

/// Methods that viewers may call, apart from their service's name; all others of
/// the operators' API are for administrators.
const VIEWERS: [&str; 19] = [
    "CheckHostname",
    "ListRecords",
    "GetCa",
    "ListCas",
    "ListBuckets",
    "ForecastLedger",
    "ListCertificates",
    "GetCertificate",
    "PlanReissue",
    "GetHostname",
    "ListHostnames",
    "WatchHostname",
    "ExplainHostname",
    "GetZone",
    "GetStatus",
    "ListMembers",
    "GetHostnameStats",
    "ListHostnameStats",
    "ListTopHostnameStats",
];

/// Nobody may call it but whoever holds the machine.
const MACHINES: &str = "/RestoreBackup";

fn methods() -> BTreeMap<String, bool> {
    let set = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap();
    let mut methods = BTreeMap::new();
    for file in set
        .file
        .iter()
        .filter(|file| file.package() == "hostquorum.admin.v1")
    {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                methods.insert(path, VIEWERS.contains(&method.name()));
            }
        }
    }
    assert_eq!(
        methods.values().filter(|viewer| **viewer).count(),
        VIEWERS.len()
    );
    methods
}

/// Calls with an empty request. What becomes of it beyond the gate is not asked.
async fn call(stand: &Stand, who: Option<(u64, String, Role)>, path: &str) -> Option<Status> {
    let channel = InterceptedService::new(stand.channel().await, Claim(who));
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = path.parse().unwrap();
    grpc.unary(tonic::Request::new(()), path, codec).await.err()
}

fn reason(status: Option<&Status>) -> String {
    let info = status.and_then(|status| status.get_details_error_info());
    info.map(|info| info.reason).unwrap_or_default()
}

#[tokio::test]
async fn each_role_may_call_its_methods_and_no_others() {
    let stand = Stand::start().await;
    let admin = (ADMIN.0, ADMIN.1.to_owned(), ADMIN.2);
    let viewer = stand.operator("vera", Role::Viewer);
    // A certificate of before: what counts is what the state says now.
    let pretender = (viewer.0, "vera".to_owned(), Role::Admin);
    let gone = (99, "gone".to_owned(), Role::Admin);
    for (path, open_to_viewers) in methods() {
        let status = call(&stand, None, &path).await;
        assert_eq!(reason(status.as_ref()), "UNAUTHENTICATED", "{path}");
        assert_eq!(status.unwrap().code(), Code::Unauthenticated, "{path}");

        let status = call(&stand, Some(gone.clone()), &path).await;
        assert_eq!(reason(status.as_ref()), "OPERATOR_UNKNOWN", "{path}");
        assert_eq!(status.unwrap().code(), Code::Unauthenticated, "{path}");

        let status = call(&stand, Some(admin.clone()), &path).await;
        if path.ends_with(MACHINES) {
            assert_eq!(reason(status.as_ref()), "PERMISSION_DENIED", "{path}");
            continue;
        }
        let refused = ["PERMISSION_DENIED", "UNAUTHENTICATED", "METHOD_UNKNOWN"];
        assert!(
            !refused.contains(&reason(status.as_ref()).as_str()),
            "{path}: {status:?}"
        );

        for viewer in [&viewer, &pretender] {
            let status = call(&stand, Some(viewer.clone()), &path).await;
            let denied = reason(status.as_ref()) == "PERMISSION_DENIED";
            assert_eq!(denied, !open_to_viewers, "{path}: {status:?}");
            if denied {
                assert_eq!(status.unwrap().code(), Code::PermissionDenied, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn other_services_are_not_here() {
    let stand = Stand::start().await;
    let admin = (ADMIN.0, ADMIN.1.to_owned(), ADMIN.2);
    for path in [
        "/hostquorum.peer.v1.Consensus/Propose",
        "/hostquorum.cluster.v1.Enrollment/Login",
        "/hostquorum.admin.v1.Hostnames/Nonsense",
        "/hostquorum.admin.v1.Nonsense/GetZone",
    ] {
        let status = call(&stand, Some(admin.clone()), path).await;
        assert_eq!(status.unwrap().code(), Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn health_is_open_and_reflection_is_for_operators() {
    let stand = Stand::start().await;
    assert!(
        call(&stand, None, "/grpc.health.v1.Health/Check")
            .await
            .is_none()
    );
    for path in [
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ] {
        let status = call(&stand, None, path).await;
        assert_eq!(status.unwrap().code(), Code::Unauthenticated, "{path}");
    }
}

#[tokio::test]
async fn reflection_tells_the_services() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let stand = Stand::start().await;
    let claim = Claim(Some((ADMIN.0, ADMIN.1.to_owned(), ADMIN.2)));
    let mut client = ServerReflectionClient::with_interceptor(stand.channel().await, claim);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = tokio_stream::once(ask);
    let mut answers = client
        .server_reflection_info(asked)
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<String> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for service in [
        "Hostnames",
        "Zones",
        "Cas",
        "Ledger",
        "Certificates",
        "Cluster",
        "Invitations",
    ] {
        let name = format!("hostquorum.admin.v1.{service}");
        assert!(names.contains(&name), "{names:?}");
    }
}
