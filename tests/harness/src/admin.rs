//! The admin API without the command line, where a process for each call would
//! be what is measured.

use std::{path::Path, sync::Arc};

use enroll::Context;
use proto::admin::v1::{
    CreateHostnameRequest, ExplainHostnameRequest, Hostname, HostnameState, ListHostnamesRequest,
    TimelineEvent, hostnames_client::HostnamesClient,
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
