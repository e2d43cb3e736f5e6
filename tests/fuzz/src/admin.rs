//! What operators send: messages, names of resources, page tokens, selections.

use std::{
    fmt::Debug,
    sync::{Arc, OnceLock},
};

use admin::fuzzing;
use prost::Message;
use proto::{admin::v1, cluster::v1 as cluster, peer::v1 as peer};
use state::{
    Hostname, State, Timestamp,
    testing::{Alone, ManualClock, START},
};

/// Reads what the first byte chooses.
pub fn target(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 5 {
        0 => names(&String::from_utf8_lossy(rest)),
        1 => pages(rest),
        2 => selections(&String::from_utf8_lossy(rest)),
        3 => messages(rest),
        _ => secrets(rest),
    }
}

fn names(text: &str) {
    let found = fuzzing::names(text);
    if let Ok(hostname) = &found.hostname {
        let name = fuzzing::name_of_hostname(hostname);
        assert_eq!(fuzzing::names(&name).hostname.as_ref(), Ok(hostname));
        // And in every listing it can stand at the end of a page.
        let token = fuzzing::token_of_hostname(7, hostname);
        assert_eq!(
            fuzzing::page(&token, 7).hostname.unwrap().as_ref(),
            Some(hostname)
        );
    }
    if let Ok(id) = found.certificate {
        let name = fuzzing::name_of_certificate(id);
        assert_eq!(fuzzing::names(&name).certificate, Ok(id));
    }
    for (kind, key) in &found.keys {
        let Ok(key) = key else { continue };
        let again = fuzzing::names(key).keys;
        let again = again.into_iter().find(|(other, _)| other == kind);
        assert_eq!(again, Some((*kind, Ok(key.clone()))), "{kind}");
    }
    let errors = [
        found.hostname.err(),
        found.member.err(),
        found.invitation.err(),
        found.ca.err(),
        found.certificate.err(),
    ];
    let keys = found.keys.into_iter().map(|(_, key)| key.err());
    for error in errors.into_iter().chain(keys).flatten() {
        crate::is_fit_to_show(&error);
    }
}

/// A token that leads somewhere is the one that leads there.
fn pages(data: &[u8]) {
    let token = String::from_utf8_lossy(data);
    let found = fuzzing::page(&token, 0);
    if let Ok(Some(last)) = &found.certificate {
        assert_eq!(fuzzing::token_of_certificate(0, *last), token);
    }
    if let Ok(Some(last)) = &found.invitation {
        assert_eq!(fuzzing::token_of_invitation(*last), token);
    }
    if let Ok(Some(last)) = &found.bucket {
        let again = fuzzing::page(&fuzzing::token_of_bucket(0, last), 0);
        assert_eq!(again.bucket.unwrap().as_ref(), Some(last));
    }
    if let Ok(Some(last)) = &found.hostname {
        let again = fuzzing::page(&fuzzing::token_of_hostname(0, last), 0);
        assert_eq!(again.hostname.unwrap().as_ref(), Some(last));
    }
    let errors = [
        found.certificate.err(),
        found.invitation.err(),
        found.bucket.err(),
        found.hostname.err(),
    ];
    for error in errors.into_iter().flatten() {
        crate::is_fit_to_show(&error);
    }
}

fn selections(text: &str) {
    let texts: Vec<String> = text.split('\n').map(ToOwned::to_owned).collect();
    let state = present();
    for now in [START, Timestamp(0), Timestamp(u64::MAX)] {
        match fuzzing::select(state, &texts, now) {
            Ok(meant) => assert!(meant <= state.hostname_count()),
            Err(error) => crate::is_fit_to_show(&error),
        }
    }
}

/// Messages of every service: what is read is written and read alike.
fn messages(data: &[u8]) {
    macro_rules! each {
        ($($message:ty),+ $(,)?) => { $(again::<$message>(data);)+ };
    }
    each!(
        v1::CreateHostnameRequest,
        v1::UpdateHostnameRequest,
        v1::ListHostnamesRequest,
        v1::UpdateZoneRequest,
        v1::CreateCaRequest,
        v1::UpdateCaRequest,
        v1::BindExternalAccountRequest,
        v1::ForecastLedgerRequest,
        v1::SetLimitOverrideRequest,
        v1::ListCertificatesRequest,
        v1::RevokeCertificateRequest,
        v1::PlanReissueRequest,
        v1::ReissueCertificatesRequest,
        v1::CreateInvitationRequest,
        v1::RemoveMemberRequest,
        cluster::JoinRequest,
        peer::Envelope,
    );
}

fn again<M: Message + Default + PartialEq + Debug>(data: &[u8]) {
    let Ok(message) = M::decode(data) else {
        return;
    };
    let bytes = message.encode_to_vec();
    assert_eq!(M::decode(&*bytes).as_ref(), Ok(&message));
}

/// A key never shows in what a log may print of its message.
fn secrets(data: &[u8]) {
    let Ok(mut upload) = v1::UploadCertificateRequest::decode(data) else {
        return;
    };
    let key = std::mem::take(&mut upload.private_key_pem);
    let without = format!("{upload:?}").replace("(none)", "(held back)");
    upload.private_key_pem = format!("{key}.");
    assert_eq!(format!("{upload:?}"), without);
    assert_eq!(
        v1::UploadCertificateRequest::decode(&*upload.encode_to_vec()),
        Ok(upload)
    );
}

fn present() -> &'static State {
    static PRESENT: OnceLock<Arc<State>> = OnceLock::new();
    PRESENT.get_or_init(|| {
        let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
        for name in ["shop.client.example", "www.client.example"] {
            assert!(Hostname::parse(name).is_ok());
            alone.authorize(name);
        }
        alone.state()
    })
}
