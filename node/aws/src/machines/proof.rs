//! The signature that a machine hands over. It is a stranger's: nothing of it goes to AWS before it
//! is known to be what it must be, and where it goes is never its to say.

use cluster::join::MachineError;
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use proto::cluster::v1::AwsProof;

use super::BINDING_NAME;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Longest header of each kind: AWS says no bound of its tokens, which have about 1 KB.
const AUTHORIZATION_MAX: usize = 1024;
const TOKEN_MAX: usize = 8192;

/// What must be among the headers that were signed: else the
/// signature would be good for another host, another time or another request to join.
const SIGNED: [&str; 4] = ["host", "x-amz-date", "x-amz-security-token", BINDING_NAME];

/// The headers that somebody else signed with.
#[derive(Debug)]
pub(super) struct Signature(HeaderMap);

impl Signature {
    /// Reads what was sent, by somebody who must have signed for STS in `region`.
    pub(super) fn read(sent: &AwsProof, region: &str) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        for (name, value, max) in [
            (AUTHORIZATION, &sent.authorization, AUTHORIZATION_MAX),
            (DATE, &sent.date, 16),
            (SECURITY_TOKEN, &sent.security_token, TOKEN_MAX),
        ] {
            let fits = (1..=max).contains(&value.len());
            let header = HeaderValue::from_str(value).ok().filter(|_| fits);
            let header =
                header.ok_or_else(|| format!("{name} is missing, too long or no header"))?;
            headers.insert(name, header);
        }
        check(&sent.authorization, region)?;
        Ok(Self(headers))
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.0
    }
}

fn check(authorization: &str, region: &str) -> Result<(), String> {
    let wrong = |what: &str| format!("the machine's signature {what}");
    let parts = authorization
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .ok_or_else(|| wrong("is not of AWS Signature Version 4"))?;
    let part = |name: &str| {
        let mut parts = parts.split(',').map(str::trim);
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let credential = part("Credential").ok_or_else(|| wrong("names no credential"))?;
    let scope: Vec<&str> = credential.split('/').collect();
    let [_, _, of, "sts", "aws4_request"] = &scope[..] else {
        return Err(wrong("is not for STS"));
    };
    if *of != region {
        return Err(wrong(&format!(
            "is for the Region {of:?}, but this cluster asks in {region}"
        )));
    }
    let signed = part("SignedHeaders").ok_or_else(|| wrong("names no headers"))?;
    let signed: Vec<&str> = signed.split(';').collect();
    match SIGNED.iter().find(|name| !signed.contains(name)) {
        Some(name) => Err(wrong(&format!("leaves {name} out"))),
        None => Ok(()),
    }
}

/// What is handed over of signed headers.
pub(super) fn proof_of(headers: &HeaderMap) -> Result<AwsProof, MachineError> {
    let text = |name: HeaderName| {
        let value = headers.get(&name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned).ok_or_else(|| {
            MachineError::Refused(format!(
                "the credentials of AWS gave no {name}: are they a machine's, of its role?"
            ))
        })
    };
    Ok(AwsProof {
        authorization: text(AUTHORIZATION)?,
        date: text(DATE)?,
        security_token: text(SECURITY_TOKEN)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION: &str = "eu-central-1";

    fn sent(scope: &str, signed: &str) -> AwsProof {
        AwsProof {
            authorization: format!(
                "AWS4-HMAC-SHA256 Credential=ASIA/20261201/{scope}, SignedHeaders={signed}, \
                 Signature=00"
            ),
            date: "20261201T000000Z".to_owned(),
            security_token: "token".to_owned(),
        }
    }

    #[test]
    fn only_a_signature_of_all_that_counts_for_sts_here_is_sent_on() {
        let all = "content-type;host;x-amz-date;x-amz-security-token;x-hostquorum-join";
        let scope = "eu-central-1/sts/aws4_request";
        let good = Signature::read(&sent(scope, all), REGION).unwrap();
        assert_eq!(good.headers().len(), 3);
        for (scope, signed, why) in [
            ("us-east-1/sts/aws4_request", all, "Region \"us-east-1\""),
            ("eu-central-1/ec2/aws4_request", all, "not for STS"),
            ("eu-central-1/sts/aws4_request/x", all, "not for STS"),
            (
                scope,
                "host;x-amz-date;x-amz-security-token",
                "leaves x-hostquorum-join out",
            ),
            (
                scope,
                "x-amz-date;x-amz-security-token;x-hostquorum-join",
                "leaves host out",
            ),
            (
                scope,
                "host;x-amz-security-token;x-hostquorum-join",
                "leaves x-amz-date out",
            ),
        ] {
            let error = Signature::read(&sent(scope, signed), REGION).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_is_no_header_is_not_sent_on() {
        let good = || {
            let all = "host;x-amz-date;x-amz-security-token;x-hostquorum-join";
            sent("eu-central-1/sts/aws4_request", all)
        };
        let wrong = [
            AwsProof {
                date: "20261201T000000Z\r\nhost: elsewhere".to_owned(),
                ..good()
            },
            AwsProof {
                security_token: "a\nb".to_owned(),
                ..good()
            },
            AwsProof {
                security_token: "a".repeat(TOKEN_MAX + 1),
                ..good()
            },
            AwsProof {
                security_token: String::new(),
                ..good()
            },
            AwsProof {
                authorization: "Bearer x".to_owned(),
                ..good()
            },
            AwsProof::default(),
        ];
        for sent in wrong {
            Signature::read(&sent, REGION).unwrap_err();
        }
    }
}
