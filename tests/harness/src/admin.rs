//! The admin API without the command line, where a process for each call would
//! be what is measured.

use std::{path::Path, sync::Arc};

use enroll::Context;
use proto::admin::v1::{CreateHostnameRequest, hostnames_client::HostnamesClient};
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
