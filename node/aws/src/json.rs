//! Services that speak JSON.

use http::{HeaderName, HeaderValue, header::CONTENT_TYPE};

use crate::{
    account::Account,
    said::{Failure, bounded, chain},
    signed::{Attempt, Call, Service, Signer},
};

/// A service of AWS that speaks JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json {
    pub(crate) service: Service,
    /// What stands before an action's name.
    pub(crate) target: &'static str,
}

impl Json {
    /// The answer to `action`.
    pub(crate) async fn ask(
        self,
        account: &Account,
        action: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, Failure> {
        let call = self.call(action, body.to_string());
        let call = call.map_err(|error| Failure::Out(chain(&error)))?;
        self.service
            .ask(account, &call, Signer::Account, read)
            .await
    }

    fn call(self, action: &str, body: String) -> Result<Call, http::Error> {
        let target = HeaderValue::from_str(&format!("{}.{action}", self.target))?;
        let kind = HeaderValue::from_static("application/x-amz-json-1.1");
        Ok(Call {
            headers: vec![
                (CONTENT_TYPE, kind),
                (HeaderName::from_static("x-amz-target"), target),
            ],
            body,
        })
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
    use std::time::{Duration, SystemTime};

    use aws_credential_types::Credentials;
    use bytes::Bytes;

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
        let ssm = Json {
            service: Service {
                name: "ssm",
                id: "SSM",
            },
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
            let body = r#"{"Name":"/edge/cluster"}"#;
            let call = ssm.call("GetParameter", body.to_owned()).unwrap();
            let request = call.request(endpoint).unwrap();
            let region = "eu-central-1";
            let service = ssm.service;
            let signed = service.sign_as(&identity.into(), region, time, request, body);
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
}
