//! Requests that we sign ourselves, with AWS's signer, for services of which we need a call or
//! two. Their clients are made from descriptions of all that they can do: the parameter store's
//! alone costs a minute to build.

use std::{
    io,
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::{http::HttpConnector as _, identity::Identity};
use aws_smithy_types::body::SdkBody;
use aws_types::service_config::ServiceConfigKey;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tokio::time::{sleep, timeout};

use crate::{
    account::{ATTEMPT_MAX, ATTEMPTS, Account},
    said::{Failure, chain},
};

/// Pause before the second attempt; twice as long before the next.
const PAUSE_FIRST: Duration = Duration::from_millis(200);

/// A service of AWS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    /// As signatures and hosts name it.
    pub(crate) name: &'static str,
    /// As the kit's settings name it.
    pub(crate) id: &'static str,
}

/// What is posted to a service, before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: String,
}

/// Who signs a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signer<'a> {
    /// The account's credentials.
    Account,
    /// Somebody else has, and these are the headers that say so.
    Other(&'a HeaderMap),
}

/// What comes of an attempt, before it is known whether another follows.
pub(crate) type Attempt = Result<(u16, Bytes), Box<dyn std::error::Error + Send + Sync>>;

impl Service {
    /// The answer to `call`, as `read` reads it.
    pub(crate) async fn ask<T>(
        self,
        account: &Account,
        call: &Call,
        signer: Signer<'_>,
        read: impl Fn(Attempt) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut pause = PAUSE_FIRST;
        let mut attempt = 1;
        loop {
            let asked = timeout(ATTEMPT_MAX, self.attempt(account, call, signer)).await;
            let asked = asked.unwrap_or_else(|elapsed| Err(elapsed.into()));
            match read(asked) {
                Err(Failure::Out(_)) if attempt < ATTEMPTS => {
                    attempt += 1;
                    sleep(pause).await;
                    pause *= 2;
                }
                answer => return answer,
            }
        }
    }

    /// The headers of `call` once the account's credentials have signed it.
    pub(crate) async fn sign(self, account: &Account, call: &Call) -> Result<HeaderMap, Failure> {
        let signed = timeout(ATTEMPT_MAX, self.signed(account, call)).await;
        let signed = signed.unwrap_or_else(|elapsed| Err(elapsed.into()));
        match signed {
            Ok(request) => Ok(request.into_parts().0.headers),
            Err(error) => Err(Failure::Out(chain(&*error))),
        }
    }

    async fn attempt(self, account: &Account, call: &Call, signer: Signer<'_>) -> Attempt {
        let request = match signer {
            Signer::Account => self.signed(account, call).await?,
            Signer::Other(headers) => {
                let mut request = call.request(&self.endpoint(account.config()))?;
                request.headers_mut().extend(headers.clone());
                request
            }
        };
        let request = request.map(|()| SdkBody::from(call.body.as_str()));
        let answer = account.http().call(request.try_into()?).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body();
        // `Http` reads answers whole.
        Ok((
            status,
            Bytes::copy_from_slice(body.bytes().unwrap_or_default()),
        ))
    }

    async fn signed(
        self,
        account: &Account,
        call: &Call,
    ) -> Result<Request<()>, Box<dyn std::error::Error + Send + Sync>> {
        let config = account.config();
        let missing = |what: &str| io::Error::other(format!("there are no {what} of AWS"));
        let provider = config.credentials_provider();
        let provider = provider.ok_or_else(|| missing("credentials"))?;
        let identity = provider.provide_credentials().await?.into();
        let time = config.time_source().ok_or_else(|| missing("clock"))?.now();
        let region = config.region().ok_or_else(|| missing("Region"))?;
        let request = call.request(&self.endpoint(config))?;
        self.sign_as(&identity, region.as_ref(), time, request, &call.body)
    }

    pub(crate) fn sign_as(
        self,
        identity: &Identity,
        region: &str,
        time: SystemTime,
        mut request: Request<()>,
        body: &str,
    ) -> Result<Request<()>, Box<dyn std::error::Error + Send + Sync>> {
        let params = v4::SigningParams::builder()
            .identity(identity)
            .region(region)
            .name(self.name)
            .time(time)
            .settings(SigningSettings::default())
            .build()?
            .into();
        let uri = request.uri().to_string();
        let headers = request.headers().iter();
        let headers =
            headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new("POST", uri, headers, body)?;
        let (instructions, _) = sign(signable, &params)?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }

    /// Where the kit's settings say, or where the service is in the account's Region.
    fn endpoint(self, config: &SdkConfig) -> String {
        let key = ServiceConfigKey::builder()
            .service_id(self.id)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        let settings = config.service_config();
        let set = settings
            .zip(key.ok())
            .and_then(|(settings, key)| settings.load_config(key));
        let set = set.or_else(|| config.endpoint_url().map(str::to_owned));
        set.unwrap_or_else(|| {
            let region = config.region().map_or("", |region| region.as_ref());
            format!("https://{}.{region}.{}/", self.name, suffix(region))
        })
    }
}

impl Call {
    pub(crate) fn request(&self, endpoint: &str) -> Result<Request<()>, http::Error> {
        let mut request = Request::post(endpoint).body(())?;
        request.headers_mut().extend(self.headers.iter().cloned());
        Ok(request)
    }
}

/// What hosts of a Region end in.
fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_end_as_their_partition_does() {
        assert_eq!(suffix("eu-central-1"), "amazonaws.com");
        assert_eq!(suffix("cn-north-1"), "amazonaws.com.cn");
    }
}
