//! The admin API without the command line, where a process for each call would
//! be what is measured.

use std::{path::Path, sync::Arc};

use enroll::Context;
use prost_types::FieldMask;
use proto::admin::v1::{
    CreateHostnameRequest, DnsZone, ExplainHostnameRequest, Hostname, HostnameState,
    ListCasRequest, ListHostnamesRequest, Nameserver, RollAccountKeyRequest, TimelineEvent,
    UpdateHostnameRequest, UpdateZoneRequest, UploadCertificateRequest, Wants, ZoneSettings,
    cas_client::CasClient, certificates_client::CertificatesClient,
    hostnames_client::HostnamesClient, zones_client::ZonesClient,
};
use rustls::time_provider::DefaultTimeProvider;
use tonic::{Code, Status, transport::Channel};

/// An operator with open connections.
pub struct Admin {
    context: Context,
}

impl Admin {
    /// From a context file.
    pub fn read(path: &Path) -> Self {
        Self {
            context: Context::read(path).unwrap(),
        }
    }

    /// A connection to the node at `address`.
    pub async fn connect(&self, address: &str) -> Result<Channel, enroll::EnrollError> {
        self.context
            .credential
            .connect(address, Arc::new(DefaultTimeProvider))
            .await
    }
}

/// Authorizes a hostname; one that is authorized already was so by an earlier,
/// unanswered try.
pub async fn authorize(channel: &Channel, hostname: &str) -> Result<(), Status> {
    let request = CreateHostnameRequest {
        hostname: hostname.to_owned(),
        ..Default::default()
    };
    match HostnamesClient::new(channel.clone())
        .create_hostname(request)
        .await
    {
        Ok(_) => Ok(()),
        Err(status) if status.code() == Code::AlreadyExists => Ok(()),
        Err(status) => Err(status),
    }
}

/// All hostnames that are live, as the connected node knows them.
pub async fn live(channel: &Channel) -> Result<Vec<Hostname>, Status> {
    let mut client = HostnamesClient::new(channel.clone());
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListHostnamesRequest {
            page_size: 1000,
            page_token,
            state: HostnameState::Live.into(),
            ..ListHostnamesRequest::default()
        };
        let page = client.list_hostnames(request).await?.into_inner();
        found.extend(page.hostnames);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(found);
        }
    }
}

/// What happened to a hostname, oldest first.
pub async fn timeline(channel: &Channel, hostname: &str) -> Result<Vec<TimelineEvent>, Status> {
    let request = ExplainHostnameRequest {
        name: format!("hostnames/{hostname}"),
    };
    let mut client = HostnamesClient::new(channel.clone());
    let explanation = client.explain_hostname(request).await?.into_inner();
    Ok(explanation.timeline)
}

/// Authorizes a hostname that is to have what `wants` says.
pub async fn create(channel: &Channel, hostname: &str, wants: Wants) -> Result<Hostname, Status> {
    let request = CreateHostnameRequest {
        hostname: hostname.to_owned(),
        wants: Some(wants),
        ..Default::default()
    };
    let mut client = HostnamesClient::new(channel.clone());
    Ok(client.create_hostname(request).await?.into_inner())
}

/// Changes all that a hostname is to have.
pub async fn update(channel: &Channel, hostname: &str, wants: Wants) -> Result<Hostname, Status> {
    let request = UpdateHostnameRequest {
        name: format!("hostnames/{hostname}"),
        wants: Some(wants),
        update_mask: Some(all()),
        ..Default::default()
    };
    let mut client = HostnamesClient::new(channel.clone());
    Ok(client.update_hostname(request).await?.into_inner())
}

/// Lets the nodes answer for the DNS zone `name`, under these names and addresses of
/// theirs.
pub async fn answer_for(
    channel: &Channel,
    name: &str,
    nameservers: &[(String, String)],
) -> Result<(), Status> {
    let nameservers = nameservers.iter().map(|(name, address)| Nameserver {
        name: name.clone(),
        addresses: vec![address.clone()],
    });
    let dns = DnsZone {
        name: name.to_owned(),
        nameservers: nameservers.collect(),
    };
    let request = UpdateZoneRequest {
        name: "zones/default".to_owned(),
        settings: Some(ZoneSettings {
            dns: Some(dns),
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["dns".to_owned()],
        }),
        ..Default::default()
    };
    let mut client = ZonesClient::new(channel.clone());
    client.update_zone(request).await?;
    Ok(())
}

/// Brings a certificate with its key, both PEM.
pub async fn upload(
    channel: &Channel,
    hostname: &str,
    chain: &str,
    key: &str,
) -> Result<(), Status> {
    let request = UploadCertificateRequest {
        hostname: format!("hostnames/{hostname}"),
        chain_pem: chain.to_owned(),
        private_key_pem: key.to_owned(),
        ..Default::default()
    };
    let mut client = CertificatesClient::new(channel.clone());
    client.upload_certificate(request).await?;
    Ok(())
}

/// Asks for another account key at each CA.
pub async fn roll_account_keys(channel: &Channel) -> Result<(), Status> {
    let mut client = CasClient::new(channel.clone());
    let cas = client
        .list_cas(ListCasRequest::default())
        .await?
        .into_inner();
    for ca in cas.cas {
        let request = RollAccountKeyRequest { name: ca.name };
        client.roll_account_key(request).await?;
    }
    Ok(())
}

fn all() -> FieldMask {
    FieldMask {
        paths: vec!["*".to_owned()],
    }
}
