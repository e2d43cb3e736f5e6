//! The audit: a line for each change and each denial, and no secret in any.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock},
};

use proto::admin::v1::*;
use state::ports::ProposeError;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    mill::Mill,
    stand::{Stand, told},
};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// All that this process logs from the first call on.
fn lines() -> &'static Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES.get_or_init(|| {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(lines.clone())
            .with_max_level(tracing::Level::TRACE)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        lines
    })
}

/// The audit's lines that contain `word`.
fn audited(word: &str) -> Vec<String> {
    let bytes = lines().0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    text.lines()
        .filter(|line| line.contains("\"target\":\"audit\"") && line.contains(word))
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn has(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "{word} is not in {line}");
    }
}

#[tokio::test]
async fn each_change_and_each_denial_leaves_a_line() {
    lines();
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    let request = CreateHostnameRequest {
        hostname: "audited.example".to_owned(),
        ..Default::default()
    };
    admin
        .hostnames
        .create_hostname(request.clone())
        .await
        .unwrap();
    let index = stand.alone.state().index();
    let written = audited("audited.example");
    assert_eq!(written.len(), 1, "{written:?}");
    has(
        &written[0],
        &[
            "\"who\":\"operator:founder\"",
            "\"method\":\"hostquorum.admin.v1.Hostnames/CreateHostname\"",
            "\"what\":\"hostnames/audited.example\"",
            "\"result\":\"done\"",
            &format!("\"index\":{index}"),
        ],
    );

    told(admin.hostnames.create_hostname(request).await);
    has(
        &audited("audited.example")[1],
        &["\"result\":\"HOSTNAME_EXISTS\""],
    );

    *stand.doubles.refusal.lock().unwrap() = Some(ProposeError::Unknown);
    let name = "hostnames/audited.example".to_owned();
    told(
        admin
            .hostnames
            .delete_hostname(DeleteHostnameRequest { name, revision: 0 })
            .await,
    );
    has(
        &audited("audited.example")[2],
        &["DeleteHostname", "\"result\":\"OUTCOME_UNKNOWN\""],
    );

    let viewer = stand.operator("audited-viewer", state::Role::Viewer);
    let mut viewer = stand.clients(Some(viewer)).await;
    let remove = RemoveMemberRequest {
        name: "members/1".to_owned(),
    };
    told(viewer.cluster.remove_member(remove).await);
    has(
        &audited("audited-viewer")[0],
        &["RemoveMember", "\"result\":\"PERMISSION_DENIED\""],
    );
}

#[tokio::test]
async fn no_token_is_logged() {
    lines();
    let stand = Stand::start().await;
    let mut invitations = stand.admin().await.invitations;
    let request = CreateInvitationRequest {
        role: Role::Viewer.into(),
        ttl_seconds: 0,
    };
    let made = invitations
        .create_invitation(request)
        .await
        .unwrap()
        .into_inner();
    assert!(!audited("CreateInvitation").is_empty());
    let all = String::from_utf8(lines().0.lock().unwrap().clone()).unwrap();
    assert!(!all.contains(&made.token), "the token is in the log");
}

#[tokio::test]
async fn no_key_is_logged() {
    lines();
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    stand.alone.authorize("secret.example");
    let hmac = "aG1hYy1obWFjLWhtYWMtaG1hYw";
    let bind = BindExternalAccountRequest {
        name: "cas/test-ca".to_owned(),
        account: Some(ExternalAccount {
            key_id: "audited-kid".to_owned(),
            hmac: hmac.to_owned(),
        }),
    };
    admin.cas.bind_external_account(bind).await.unwrap();
    let good = Mill::new().grind(&["secret.example"]);
    let mismatched = Mill::new().grind(&["secret.example"]);
    for key in [&good.key, &mismatched.key] {
        let request = UploadCertificateRequest {
            hostname: "hostnames/secret.example".to_owned(),
            chain_pem: good.chain.clone(),
            private_key_pem: key.clone(),
            ..Default::default()
        };
        // The second is refused.
        let _answer = admin.certificates.upload_certificate(request).await;
    }
    assert_eq!(
        audited("UploadCertificate").len(),
        1,
        "what is refused at sight is no change"
    );
    assert!(!audited("BindExternalAccount").is_empty());
    let all = String::from_utf8(lines().0.lock().unwrap().clone()).unwrap();
    let mut secrets = vec![hmac.to_owned(), "hmac-hmac-hmac".to_owned()];
    for ground in [&good, &mismatched] {
        secrets.extend(
            ground
                .key
                .lines()
                .filter(|line| line.len() > 20)
                .map(str::to_owned),
        );
    }
    secrets.retain(|secret| !secret.starts_with("-----"));
    assert!(secrets.len() > 4);
    for secret in secrets {
        assert!(!all.contains(&secret), "a key is in the log");
    }
}
