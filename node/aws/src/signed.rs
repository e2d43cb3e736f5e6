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
use http::{Request, header::CONTENT_TYPE};
use tokio::time::{sleep, timeout};

use crate::{
    account::{ATTEMPT_MAX, ATTEMPTS, Account},
    said::{Failure, bounded, chain},
};

/// Pause before the second attempt; twice as long before the next.
const PAUSE_FIRST: Duration = Duration::from_millis(200);

/// A service of AWS that speaks JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    /// As signatures and hosts name it.
    pub(crate) name: &'static str,
    /// As the kit's settings name it.
    pub(crate) id: &'static str,
    /// What stands before an action's name.
    pub(crate) target: &'static str,
}

/// What comes of an attempt, before it is known whether another follows.
type Attempt = Result<(u16, Bytes), Box<dyn std::error::Error + Send + Sync>>;

impl Service {
    /// The answer to `action`, as JSON.
    pub(crate) async fn ask(
        self,
        account: &Account,
        action: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, Failure> {
        let body = body.to_string();
        let mut pause = PAUSE_FIRST;
        let mut attempt = 1;
        loop {
            let asked = timeout(ATTEMPT_MAX, self.attempt(account, action, &body)).await;
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

    async fn attempt(self, account: &Account, action: &str, body: &str) -> Attempt {
        let config = account.config();
        let request = self.request(&self.endpoint(config), action)?;
        let request = self.sign(config, request, body).await?;
        let request = request.map(|()| SdkBody::from(body));
        let answer = account.http().call(request.try_into()?).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body();
        // `Http` reads answers whole.
        Ok((
            status,
            Bytes::copy_from_slice(body.bytes().unwrap_or_default()),
        ))
    }

    fn request(self, endpoint: &str, action: &str) -> Result<Request<()>, http::Error> {
        Request::post(endpoint)
            .header(CONTENT_TYPE, "application/x-amz-json-1.1")
            .header("x-amz-target", format!("{}.{action}", self.target))
            .body(())
    }

    async fn sign(
        self,
        config: &SdkConfig,
        request: Request<()>,
        body: &str,
    ) -> Result<Request<()>, Box<dyn std::error::Error + Send + Sync>> {
        let missing = |what: &str| io::Error::other(format!("there are no {what} of AWS"));
        let provider = config.credentials_provider();
        let provider = provider.ok_or_else(|| missing("credentials"))?;
        let identity = provider.provide_credentials().await?.into();
        let time = config.time_source().ok_or_else(|| missing("clock"))?.now();
        let region = config.region().ok_or_else(|| missing("Region"))?;
        self.sign_as(&identity, region.as_ref(), time, request, body)
    }

    fn sign_as(
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

/// What hosts of a Region end in.
fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}

fn read(attempt: Attempt) -> Result<serde_json::Value, Failure> {
    let (status, body) = attempt.map_err(|error| Failure::Out(chain(&*error)))?;
    let parsed: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    if let (200, Some(answer)) = (status, &parsed) {
        return Ok(answer.clone());
    }
    let text = |names: [&str; 2]| {
        let parsed = parsed.as_ref();
        let found = names.iter().find_map(|name| parsed?.get(name)?.as_str());
        found.map(str::to_owned)
    };
    // A code may stand behind the name of the model that it is from.
    let code = text(["__type", "code"]).unwrap_or_else(|| format!("status {status}"));
    let code = code.rsplit('#').next().unwrap_or_default();
    let words = text(["message", "Message"]).unwrap_or_else(|| "no further words".to_owned());
    // The service itself always speaks JSON: something in between did not.
    if status >= 500 || parsed.is_none() {
        return Err(Failure::Out(bounded(&format!("{code}: {words}"))));
    }
    Err(Failure::answered(code, &words, &[]))
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;

    use super::*;

    fn failure(status: u16, body: &str) -> Failure {
        read(Ok((status, Bytes::copy_from_slice(body.as_bytes())))).unwrap_err()
    }

    #[test]
    fn an_answer_is_read_and_a_refusal_is_told_from_a_pause() {
        let answer = read(Ok((200, Bytes::from_static(b"{\"Version\": 1}"))));
        assert_eq!(answer.unwrap()["Version"], 1);
        for (status, body) in [
            (
                400,
                r#"{"__type": "ThrottlingException", "message": "Rate exceeded"}"#,
            ),
            (500, r#"{"__type": "InternalServerError"}"#),
            (503, "<html>"),
            (200, "no JSON"),
        ] {
            assert!(matches!(failure(status, body), Failure::Out(_)), "{status}");
        }
        let refused = failure(
            400,
            r#"{"__type": "com.amazonaws.ssm#ParameterNotFound", "message": "gone"}"#,
        );
        let Failure::Answered { code, words } = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((&*code, &*words), ("ParameterNotFound", "gone"));
    }

    /// Moto looks at no signature: what botocore 1.44.5 makes of the same request does.
    #[test]
    fn a_request_is_signed_as_botocore_signs_it() {
        let ssm = Service {
            name: "ssm",
            id: "SSM",
            target: "AmazonSSM",
        };
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_796_040_000);
        let signed = |session: Option<&str>| {
            let identity = Credentials::new(
                "AKIAIOSFODNN7EXAMPLE",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                session.map(str::to_owned),
                None,
                "tests",
            );
            let endpoint = "https://ssm.eu-central-1.amazonaws.com/";
            let request = ssm.request(endpoint, "GetParameter").unwrap();
            let body = r#"{"Name":"/edge/cluster"}"#;
            let region = "eu-central-1";
            let signed = ssm.sign_as(&identity.into(), region, time, request, body);
            let headers = signed.unwrap().into_parts().0.headers;
            assert_eq!(headers["x-amz-date"], "20261130T120000Z");
            headers["authorization"].to_str().unwrap().to_owned()
        };
        let scope = "AWS4-HMAC-SHA256 \
                     Credential=AKIAIOSFODNN7EXAMPLE/20261130/eu-central-1/ssm/aws4_request";
        assert_eq!(
            signed(Some("session")),
            format!(
                "{scope}, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, \
                 Signature=f4179df22921f5ef621545b261ef45b8574cf2ef118e3f57af16a99283834e64"
            )
        );
        assert_eq!(
            signed(None),
            format!(
                "{scope}, SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
                 Signature=e6bf5b6501f2c0e978b26e45736cd2efd64acc6bfb5cde37039cbc751a30c6fe"
            )
        );
    }

    #[test]
    fn hosts_end_as_their_partition_does() {
        assert_eq!(suffix("eu-central-1"), "amazonaws.com");
        assert_eq!(suffix("cn-north-1"), "amazonaws.com.cn");
    }
}
