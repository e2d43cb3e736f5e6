//! Certificates: shown, brought, requested, revoked; replaced in numbers in `reissue`.

use std::sync::Arc;

use proto::admin::v1::{
    self, CreateCertificateRequestRequest, GetCertificateRequest, ListCertificatesRequest,
    ListCertificatesResponse, PlanReissueRequest, ReissueCertificatesRequest,
    ReissueCertificatesResponse, ReissuePlan, RevokeCertificateRequest, UploadCertificateRequest,
    UploadCertificateResponse, certificates_server::Certificates,
};
use state::{
    Certificate, CertificateId, Change, Hostname, HostnameRecord, KeyPurpose, Secret, State,
    Timestamp, command::Upload, outcome::Kind, sealed::SealContext,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{Desk, aside, caller, deadline};
use crate::{
    convert, limits, names, page,
    problem::Problem,
    upload::{self, Brought, Key},
};

#[tonic::async_trait]
impl Certificates for Desk {
    async fn list_certificates(
        &self,
        request: Request<ListCertificatesRequest>,
    ) -> Result<Response<ListCertificatesResponse>, Status> {
        Ok(Response::new(self.certificates_page(request.get_ref())?))
    }

    async fn get_certificate(
        &self,
        request: Request<GetCertificateRequest>,
    ) -> Result<Response<v1::Certificate>, Status> {
        let deadline = deadline();
        let id = names::certificate(&request.get_ref().name)?;
        let certificate = found(&self.state(), id)?;
        let mut shown = convert::certificate(&certificate);
        match self.chain(certificate, deadline).await {
            Ok(pem) => shown.chain_pem = pem,
            Err(fault) => shown.chain_fault = fault,
        }
        Ok(Response::new(shown))
    }

    async fn upload_certificate(
        &self,
        request: Request<UploadCertificateRequest>,
    ) -> Result<Response<UploadCertificateResponse>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let mut request = request.into_inner();
        // Wiped when dropped, whatever becomes of the request.
        let key = Secret::new(std::mem::take(&mut request.private_key_pem).into_bytes());
        let hostname = names::hostname_in("hostname", &request.hostname)?;
        let asked = who.asks(names::hostname_name(&hostname));
        let revision = convert::revision(request.revision);
        let moving = Moving::of(&request)?;
        let (brought, manual) = self
            .check_upload(&hostname, request.chain_pem, key, deadline)
            .await?;
        let move_at = moving.at(&brought)?;
        let mut warnings = brought.warnings;
        warnings.extend(moving.surprises(&brought.parts, move_at, manual, self.now()));
        let id = brought.parts.id;
        let key = brought
            .key
            .map(|key| self.sealed_key(&hostname, &key))
            .transpose()?;
        let change = Change::UploadCertificate(Box::new(Upload {
            hostname,
            wildcard: brought.wildcard,
            algorithm: brought.algorithm,
            key,
            parts: brought.parts,
            move_at,
            revision,
        }));
        let changed = self.change(asked, change, deadline).await?;
        let state = self.state_at(changed.index, deadline).await?;
        Ok(Response::new(UploadCertificateResponse {
            certificate: Some(shown(&state, id)?),
            warnings,
        }))
    }

    async fn create_certificate_request(
        &self,
        request: Request<CreateCertificateRequestRequest>,
    ) -> Result<Response<v1::CertificateRequest>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        let hostname = names::hostname_in("hostname", &request.hostname)?;
        let algorithm = convert::algorithm(request.algorithm)?;
        let wildcard = record(&self.state(), &hostname)?.is_wildcard();
        let (requests, name) = (self.requests.clone(), hostname.clone());
        let making = move || requests.request(&name, wildcard, algorithm);
        let within = deadline.min(Instant::now() + limits::KEY_MADE_WITHIN);
        let made = aside(&self.keys, within, making).await?;
        let made = made.map_err(|error| {
            tracing::error!(%error, "no key for a certificate request");
            Problem::internal()
        })?;
        let change = Change::CreateRequest {
            hostname: hostname.clone(),
            key: self.sealed_key(&hostname, &made.key)?,
            csr: made.csr,
        };
        let asked = who.asks(names::hostname_name(&hostname));
        let changed = self.change(asked, change, deadline).await?;
        let state = self.state_at(changed.index, deadline).await?;
        let record = record(&state, &hostname)?;
        let request = record.request().ok_or_else(Problem::internal)?;
        Ok(Response::new(convert::request(&hostname, request)))
    }

    async fn revoke_certificate(
        &self,
        request: Request<RevokeCertificateRequest>,
    ) -> Result<Response<v1::Certificate>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        let id = names::certificate(&request.name)?;
        let reason = convert::reason(request.reason)?;
        let asked = who.asks(names::certificate_name(id));
        let change = Change::RevokeCertificate { id, reason };
        let changed = self.change(asked, change, deadline).await?;
        let state = self.state_at(changed.index, deadline).await?;
        Ok(Response::new(shown(&state, id)?))
    }

    async fn plan_reissue(
        &self,
        request: Request<PlanReissueRequest>,
    ) -> Result<Response<ReissuePlan>, Status> {
        Ok(Response::new(self.reissue_plan(request.get_ref()).await?))
    }

    async fn reissue_certificates(
        &self,
        request: Request<ReissueCertificatesRequest>,
    ) -> Result<Response<ReissueCertificatesResponse>, Status> {
        let who = caller(&request)?;
        let done = self.reissue(&who, request.get_ref()).await?;
        Ok(Response::new(done))
    }
}

impl Desk {
    fn certificates_page(
        &self,
        request: &ListCertificatesRequest,
    ) -> Result<ListCertificatesResponse, Problem> {
        let size = page::size(request.page_size)?;
        let hostname = match request.hostname.as_str() {
            "" => None,
            name => Some(names::hostname_in("hostname", name)?),
        };
        let within = request.expiring_within;
        let within = within.map(|span| convert::duration_from("expiring_within", span));
        let (state, now) = (self.state(), self.now());
        let until = within.transpose()?.map(|within| now.plus(within));
        let span = format!("{:?}", request.expiring_within);
        let filter = page::filter([hostname.as_ref().map_or("", Hostname::as_str), &span]);
        let after = page::certificates_after(&request.page_token, filter)?;
        let wanted = |certificate: &Certificate| {
            let named = hostname.as_ref();
            named.map_or(certificate.forget_at.is_none(), |name| {
                certificate.hostname == *name
            }) && until.is_none_or(|until| certificate.not_after <= until)
        };
        let mut found = state.certificates_after(after.as_ref()).peekable();
        let mut page = ListCertificatesResponse::default();
        let mut looked_at = 0;
        while let Some(certificate) = found.next() {
            if wanted(certificate) {
                page.certificates.push(convert::certificate(certificate));
            }
            looked_at += 1;
            if page.certificates.len() >= size || looked_at >= limits::PAGE_LOOKED_AT_MAX {
                let more = found
                    .peek()
                    .map(|_| page::certificates_token(filter, certificate.id));
                page.next_page_token = more.unwrap_or_default();
                break;
            }
        }
        Ok(page)
    }

    /// A certificate and its issuers in PEM, from this node's disk, or why not.
    async fn chain(
        &self,
        certificate: Arc<Certificate>,
        deadline: Instant,
    ) -> Result<String, String> {
        let bodies = self.bodies.clone();
        let within = deadline.min(Instant::now() + limits::TIMELINE_WITHIN);
        let reading = move || bodies.certificate(&certificate);
        let read = aside(&self.timelines, within, reading).await;
        let read = read.map_err(|_| "this node's disk does not answer".to_owned())?;
        let body = read.map_err(|error| error.to_string())?;
        let body = body.ok_or_else(|| "this node's disk does not hold it".to_owned())?;
        let pem = |der: &bytes::Bytes| convert::pem("CERTIFICATE", der);
        Ok(body.chain.iter().map(pem).collect())
    }

    /// Looks at what was brought; says also whether nothing is ever ordered for it.
    async fn check_upload(
        &self,
        hostname: &Hostname,
        chain: String,
        key: Secret,
        deadline: Instant,
    ) -> Result<(Brought, bool), Problem> {
        for (field, length, most) in [
            ("chain_pem", chain.len(), limits::CHAIN_PEM_MAX),
            ("private_key_pem", key.expose().len(), limits::KEY_PEM_MAX),
        ] {
            if length > most {
                let message = format!("it is longer than {most} bytes");
                return Err(Problem::field(field, message));
            }
        }
        let state = self.state();
        let record = record(&state, hostname)?;
        let manual = !record.wants().automatic;
        let csr = record.request().map(|request| request.csr.clone());
        if key.expose().is_empty() && csr.is_none() {
            let message = format!(
                "there is no request of {hostname} whose key it could have: give its private key"
            );
            return Err(Problem::field("private_key_pem", message));
        }
        let (hostname, now) = (hostname.clone(), self.now());
        let looking = move || {
            let key = match csr.as_deref() {
                Some(csr) if key.expose().is_empty() => Key::Requested(csr),
                _ => Key::Brought(key.expose()),
            };
            upload::check(&hostname, &chain, &key, now)
        };
        let checked = aside(&self.keys, deadline, looking).await?;
        Ok((checked?, manual))
    }

    fn sealed_key(&self, hostname: &Hostname, key: &Secret) -> Result<state::Sealed, Problem> {
        let context = SealContext::CertificateKey(hostname.clone());
        let sealed = self.seal.seal(KeyPurpose::Serving, &context, key.expose());
        sealed.map_err(|error| Problem::unsealed(&error))
    }
}

/// When what was brought is replaced by what we order.
enum Moving {
    /// By hand only.
    Never,
    /// Then.
    At(Timestamp),
    /// When a third of its life is left.
    Usual,
}

impl Moving {
    fn of(request: &UploadCertificateRequest) -> Result<Self, Problem> {
        match (request.move_at, request.keep) {
            (None, false) => Ok(Self::Usual),
            (None, true) => Ok(Self::Never),
            (Some(at), false) => convert::moment_from("move_at", at).map(Self::At),
            (Some(_), true) => {
                let message = "what is kept for good has no moment at which it is replaced";
                Err(Problem::field("move_at", message))
            }
        }
    }

    fn at(&self, brought: &Brought) -> Result<Option<Timestamp>, Problem> {
        let (from, to) = (brought.parts.not_before, brought.parts.not_after);
        match self {
            Self::Never => Ok(None),
            Self::Usual => Ok(Some(from.plus(to.since(from) / 3 * 2))),
            Self::At(at) if *at < to => Ok(Some(*at)),
            Self::At(_) => {
                let message = "the certificate ends before that: a moment before its end is needed";
                Err(Problem::field("move_at", message))
            }
        }
    }

    fn surprises(
        &self,
        parts: &state::command::CertificateParts,
        move_at: Option<Timestamp>,
        manual: bool,
        now: Timestamp,
    ) -> Vec<String> {
        let mut told = Vec::new();
        if manual {
            told.push(
                "nothing is ordered for this hostname: upload the next one in time".to_owned(),
            );
        } else if move_at.is_some_and(|at| at <= now) {
            let hours = parts.not_after.since(now).as_secs() / 3600;
            told.push(format!(
                "it is replaced as soon as another is issued, as it ends in {hours} h; to serve it \
                 to its end, upload it again to be kept"
            ));
        }
        told
    }
}

fn found(state: &State, id: CertificateId) -> Result<Arc<Certificate>, Problem> {
    let certificate = state.certificate(&id).cloned();
    certificate.ok_or_else(|| Problem::not_found(Kind::Certificate, &names::certificate_name(id)))
}

fn shown(state: &State, id: CertificateId) -> Result<v1::Certificate, Problem> {
    let certificate = found(state, id)?;
    Ok(convert::certificate(&certificate))
}

fn record<'a>(state: &'a State, hostname: &Hostname) -> Result<&'a HostnameRecord, Problem> {
    let record = state.hostname(hostname.as_str());
    record.ok_or_else(|| Problem::not_found(Kind::Hostname, hostname.as_str()))
}
