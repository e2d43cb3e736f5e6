//! Certificates: shown, brought, requested, revoked, replaced in numbers.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use proto::admin::v1::{
    self as wire, CreateCertificateRequestRequest, GetCertificateRequest, ListCertificatesRequest,
    PlanReissueRequest, ReissueCertificatesRequest, RevokeCertificateRequest,
    UploadCertificateRequest,
};

use crate::{
    arguments::{self, Algorithm, Format, Globals, Reason, Reissue, Upload},
    connect::Session,
    context::{Contexts, write_narrow},
    exit::Exit,
    output::{Output, clean, note},
    secret,
    shape::certificate::{Certificate, Certificates, Pem, Plan, Request, Uploaded},
};

/// Entries asked for at once.
const PAGE: usize = 1000;

/// Longest chain that is read: a handful of certificates.
const CHAIN_MAX: u64 = 256 * 1024;

pub(crate) async fn run(
    command: arguments::Certificate,
    globals: &Globals,
    contexts: &Contexts,
    output: &mut Output,
) -> Result<Exit> {
    // What is wrong with files is told before anybody is asked.
    let prepared = match &command {
        arguments::Certificate::Upload(upload) => Some(brought(upload)?),
        _ => None,
    };
    let session = Session::open(globals, contexts).await?;
    match command {
        arguments::Certificate::List {
            expiring,
            hostname,
            limit,
        } => {
            let most = limit.unwrap_or(usize::MAX);
            let hostname = hostname.as_deref().map(of_hostname).unwrap_or_default();
            output.show(&list(&session, hostname, expiring, most).await?)?;
        }
        arguments::Certificate::Show { id, pem: true } => {
            let wire = show(&session, &id).await?;
            let fault = clean(&wire.chain_fault);
            ensure!(fault.is_empty(), "the chain could not be read: {fault}");
            output.show(&Pem {
                pem: wire.chain_pem,
            })?;
        }
        arguments::Certificate::Show { id, pem: false } => {
            output.show(&Certificate::from(show(&session, &id).await?))?;
        }
        arguments::Certificate::Upload(_) => {
            if let Some(request) = prepared {
                output.show(&upload(&session, request).await?)?;
            }
        }
        arguments::Certificate::Request {
            hostname,
            algorithm,
            out,
        } => request(&session, &hostname, algorithm, out.as_deref(), output).await?,
        arguments::Certificate::Revoke { id, reason } => {
            output.show(&revoke(&session, &id, reason).await?)?;
        }
        arguments::Certificate::Reissue(reissue) => {
            self::reissue(&session, reissue, output).await?;
        }
    }
    session.refresh().await;
    Ok(Exit::Done)
}

async fn list(
    session: &Session,
    hostname: String,
    expiring: Option<u32>,
    most: usize,
) -> Result<Certificates> {
    let within = expiring.map(|days| prost_types::Duration {
        seconds: i64::from(days) * 86_400,
        nanos: 0,
    });
    let mut client = session.certificates();
    let mut certificates = Vec::new();
    let mut page_token = String::new();
    loop {
        let page_size = PAGE.min(most - certificates.len()).max(1);
        let request = ListCertificatesRequest {
            page_size: i32::try_from(page_size).unwrap_or(i32::MAX),
            page_token,
            hostname: hostname.clone(),
            expiring_within: within,
        };
        let page = session
            .read("list the certificates", client.list_certificates(request))
            .await?;
        certificates.extend(page.certificates.into_iter().map(Certificate::from));
        page_token = page.next_page_token;
        if page_token.is_empty() || certificates.len() >= most {
            certificates.truncate(most);
            return Ok(Certificates { certificates });
        }
    }
}

async fn show(session: &Session, id: &str) -> Result<wire::Certificate> {
    let mut client = session.certificates();
    let name = resource(id);
    let call = client.get_certificate(GetCertificateRequest { name });
    let doing = format!("look at certificate {}", clean(id));
    Ok(session.read(&doing, call).await?)
}

/// What is to be uploaded, as it stands in files.
fn brought(upload: &Upload) -> Result<UploadCertificateRequest> {
    let place = upload.cert.display();
    let doing = || format!("could not read the certificate in {place}");
    let length = fs::metadata(&upload.cert).with_context(doing)?.len();
    ensure!(length <= CHAIN_MAX, "{place} is too long for a certificate");
    let chain_pem = fs::read_to_string(&upload.cert).with_context(doing)?;
    let key = upload.key.as_deref();
    let key = key
        .map(|file| secret::text(file, "the private key"))
        .transpose()?;
    Ok(UploadCertificateRequest {
        hostname: of_hostname(&upload.hostname),
        chain_pem,
        private_key_pem: key.unwrap_or_default(),
        move_at: upload.move_at.map(|at| prost_types::Timestamp {
            seconds: at.unix_timestamp(),
            nanos: 0,
        }),
        keep: upload.keep,
        revision: upload.revision,
    })
}

async fn upload(session: &Session, request: UploadCertificateRequest) -> Result<Uploaded> {
    let doing = format!("upload a certificate for {}", request.hostname);
    let mut client = session.certificates();
    let done = session
        .write(&doing, client.upload_certificate(request))
        .await?;
    Ok(Uploaded {
        certificate: done.certificate.map(Certificate::from),
        warnings: done.warnings,
    })
}

async fn request(
    session: &Session,
    hostname: &str,
    algorithm: Algorithm,
    out: Option<&Path>,
    output: &mut Output,
) -> Result<()> {
    if let Some(file) = out {
        // Before the key is made: an earlier request is lost by it.
        ensure!(!file.exists(), "{} exists already", file.display());
    }
    let algorithm = match algorithm {
        Algorithm::Ecdsa => wire::KeyAlgorithm::Ecdsa,
        Algorithm::Rsa => wire::KeyAlgorithm::Rsa,
    };
    let request = CreateCertificateRequestRequest {
        hostname: of_hostname(hostname),
        algorithm: algorithm.into(),
    };
    let doing = format!("make a request for {}", clean(hostname));
    let mut client = session.certificates();
    let call = client.create_certificate_request(request);
    let made = Request::from(session.write(&doing, call).await?);
    if output.format() == Format::Table {
        note(&format!(
            "have your CA sign it, and give what it signs to `hostquorum certificate upload {} \
             --cert FILE`: the key stays in the cluster",
            made.hostname
        ));
    }
    let Some(file) = out else {
        output.show(&made)?;
        return Ok(());
    };
    write_narrow(file, made.csr_pem.as_bytes())
        .with_context(|| format!("could not write the request to {}", file.display()))?;
    let file = Some(file.display().to_string());
    output.show(&Request { file, ..made })?;
    Ok(())
}

async fn revoke(session: &Session, id: &str, reason: Reason) -> Result<Certificate> {
    let request = RevokeCertificateRequest {
        name: resource(id),
        reason: wire_reason(reason).into(),
    };
    let doing = format!("revoke certificate {}", clean(id));
    let mut client = session.certificates();
    let done = session
        .write(&doing, client.revoke_certificate(request))
        .await?;
    Ok(Certificate::from(done))
}

/// Says what would be done, and does it if told so.
async fn reissue(session: &Session, asked: Reissue, output: &mut Output) -> Result<()> {
    let Reissue {
        conditions,
        urgent,
        yes,
    } = asked;
    let mut client = session.certificates();
    let request = PlanReissueRequest {
        r#where: conditions.clone(),
        urgent,
    };
    let call = client.plan_reissue(request);
    let mut plan = Plan::from(session.read("count the certificates", call).await?);
    if !yes {
        output.show(&plan)?;
        return Ok(());
    }
    let (mut hostnames, mut page_token) = (0, String::new());
    loop {
        let request = ReissueCertificatesRequest {
            r#where: conditions.clone(),
            urgent,
            page_token,
        };
        let doing = format!("have certificates replaced ({hostnames} hostnames asked for so far)");
        let done = session
            .write(&doing, client.reissue_certificates(request))
            .await?;
        hostnames += done.hostnames;
        page_token = done.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    plan.asked = Some(hostnames);
    output.show(&plan)?;
    Ok(())
}

fn wire_reason(reason: Reason) -> wire::RevocationReason {
    match reason {
        Reason::Unspecified => wire::RevocationReason::Unspecified,
        Reason::KeyCompromise => wire::RevocationReason::KeyCompromise,
        Reason::CaCompromise => wire::RevocationReason::CaCompromise,
        Reason::AffiliationChanged => wire::RevocationReason::AffiliationChanged,
        Reason::Superseded => wire::RevocationReason::Superseded,
        Reason::CessationOfOperation => wire::RevocationReason::CessationOfOperation,
        Reason::CertificateHold => wire::RevocationReason::CertificateHold,
        Reason::PrivilegeWithdrawn => wire::RevocationReason::PrivilegeWithdrawn,
        Reason::AaCompromise => wire::RevocationReason::AaCompromise,
    }
}

fn resource(id: &str) -> String {
    let id = id.strip_prefix("certificates/").unwrap_or(id);
    format!("certificates/{id}")
}

fn of_hostname(name: &str) -> String {
    let name = name.strip_prefix("hostnames/").unwrap_or(name);
    format!("hostnames/{name}")
}
