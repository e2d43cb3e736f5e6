//! Signed requests: flattened JSON JWS as RFC 8555 section 6.2 narrows it.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use crate::jwk::Jwk;
use crate::key::{Algorithm, PublicKey};
use crate::problem::{Kind, Problem};

/// A parsed request whose signature is yet to be checked.
#[derive(Debug)]
pub(crate) struct Jws {
    pub(crate) header: Header,
    signing_input: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// The protected header.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    /// Absent in the inner JWS of a key change only.
    pub(crate) nonce: Option<String>,
    pub(crate) url: String,
    pub(crate) signer: Signer,
}

/// Who says to have signed: exactly one of the two.
#[derive(Debug)]
pub(crate) enum Signer {
    /// A key, given whole.
    Key(PublicKey),
    /// An account, by its URL.
    Account(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flattened {
    protected: String,
    payload: String,
    signature: String,
}

#[derive(Deserialize)]
struct RawHeader {
    alg: String,
    nonce: Option<String>,
    url: Option<String>,
    jwk: Option<Jwk>,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
    b64: Option<serde::de::IgnoredAny>,
}

impl Jws {
    /// Reads a JWS.
    ///
    /// # Errors
    /// `malformed`, `badSignatureAlgorithm` or `badPublicKey`, with what is wrong.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        // deny_unknown_fields also refuses the unprotected header and the general form.
        let flattened: Flattened = serde_json::from_slice(body).map_err(|error| {
            Problem::malformed(format!("the body is not a flattened JSON JWS: {error}"))
        })?;
        let protected = decode(&flattened.protected, "protected header")?;
        Ok(Self {
            header: Header::parse(&protected)?,
            payload: decode(&flattened.payload, "payload")?,
            signature: decode(&flattened.signature, "signature")?,
            signing_input: format!("{}.{}", flattened.protected, flattened.payload),
        })
    }

    /// The payload, once the signature over it is found to be `key`'s.
    ///
    /// # Errors
    /// `badSignatureAlgorithm` when `alg` is not that of the key, `malformed` when the
    /// signature is not the key's.
    pub(crate) fn verify(self, key: &PublicKey) -> Result<Vec<u8>, Problem> {
        if key.algorithm() != self.header.algorithm {
            return Err(bad_algorithm(format!(
                "the JWS says {:?}, but its key signs with {:?}",
                self.header.algorithm,
                key.algorithm()
            )));
        }
        if key.verify(self.signing_input.as_bytes(), &self.signature) {
            Ok(self.payload)
        } else {
            Err(Problem::malformed(
                "the signature of the JWS does not verify with its key",
            ))
        }
    }
}

impl Header {
    fn parse(json: &[u8]) -> Result<Self, Problem> {
        let raw: RawHeader = serde_json::from_slice(json).map_err(|error| {
            Problem::malformed(format!(
                "the protected header is not what ACME asks: {error}"
            ))
        })?;
        if raw.crit.is_some() || raw.b64.is_some() {
            return Err(Problem::malformed(
                "the protected header uses \"crit\" or \"b64\", which this CA does not know",
            ));
        }
        let algorithm = Algorithm::named(&raw.alg)
            .ok_or_else(|| bad_algorithm(format!("the algorithm {:?} is not taken", raw.alg)))?;
        let signer = match (raw.jwk, raw.kid) {
            (Some(jwk), None) => Signer::Key(
                PublicKey::try_from(jwk)
                    .map_err(|error| Problem::new(Kind::BadPublicKey, error.to_string()))?,
            ),
            (None, Some(kid)) => Signer::Account(kid),
            (Some(_), Some(_)) => {
                return Err(Problem::malformed(
                    "the protected header has both \"jwk\" and \"kid\"; exactly one must be there",
                ));
            }
            (None, None) => {
                return Err(Problem::malformed(
                    "the protected header has neither \"jwk\" nor \"kid\"; exactly one must be there",
                ));
            }
        };
        let url = raw
            .url
            .ok_or_else(|| Problem::malformed("the protected header has no \"url\""))?;
        Ok(Self {
            algorithm,
            nonce: raw.nonce,
            url,
            signer,
        })
    }
}

fn bad_algorithm(detail: String) -> Problem {
    let mut problem = Problem::new(Kind::BadSignatureAlgorithm, detail);
    problem.algorithms = Algorithm::ALL
        .iter()
        .map(|(name, _)| (*name).into())
        .collect();
    problem
}

fn decode(text: &str, what: &str) -> Result<Vec<u8>, Problem> {
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|error| {
        Problem::malformed(format!("the JWS {what} is not unpadded base64url: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWK: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn flattened(header: &str) -> String {
        let header = BASE64URL_NOPAD.encode(header.as_bytes());
        format!(r#"{{"protected":"{header}","payload":"","signature":"AAAA"}}"#)
    }

    #[track_caller]
    fn check(header: &str, kind: Kind, part_of_detail: &str) {
        let problem = Jws::parse(flattened(header).as_bytes()).unwrap_err();
        assert_eq!(problem.kind, kind, "{header}");
        assert!(
            problem.detail.contains(part_of_detail),
            "{}",
            problem.detail
        );
    }

    #[test]
    fn headers_are_refused_with_their_fault() {
        check("", Kind::Malformed, "not what ACME asks");
        check("{}", Kind::Malformed, "missing field `alg`");
        check(r#"{"alg":"ES256","url":"u"}"#, Kind::Malformed, "neither");
        check(
            &format!(r#"{{"alg":"EdDSA","url":"u","kid":"k","jwk":{JWK}}}"#),
            Kind::Malformed,
            "both",
        );
        check(
            r#"{"alg":"ES256","kid":"k"}"#,
            Kind::Malformed,
            "no \"url\"",
        );
        check(
            r#"{"alg":"ES256","kid":"k","url":"u","crit":["x"]}"#,
            Kind::Malformed,
            "crit",
        );
        for alg in ["none", "HS256", "RS384", "es256"] {
            check(
                &format!(r#"{{"alg":"{alg}","kid":"k","url":"u"}}"#),
                Kind::BadSignatureAlgorithm,
                alg,
            );
        }
        check(
            r#"{"alg":"ES256","url":"u","jwk":{"kty":"oct"}}"#,
            Kind::BadPublicKey,
            "oct",
        );
    }

    #[test]
    fn other_shapes_than_the_flattened_one_are_refused() {
        let good = flattened(r#"{"alg":"ES256","kid":"k","url":"u"}"#);
        assert!(Jws::parse(good.as_bytes()).is_ok());
        for body in [
            String::new(),
            "[]".into(),
            "a.b.c".into(),
            good.replace(r#""payload""#, r#""header":{},"payload""#),
            good.replace(r#""signature":"AAAA""#, r#""signatures":[]"#),
            good.replace("AAAA", "AAA="),
            good.replace("AAAA", "A+/A"),
        ] {
            let problem = Jws::parse(body.as_bytes()).unwrap_err();
            assert_eq!(problem.kind, Kind::Malformed, "{body}");
        }
    }

    #[test]
    fn the_algorithm_must_be_that_of_the_key() {
        let jws = Jws::parse(flattened(r#"{"alg":"ES256","kid":"k","url":"u"}"#).as_bytes());
        let key: PublicKey = serde_json::from_str(JWK).unwrap();
        let problem = jws.unwrap().verify(&key).unwrap_err();
        assert_eq!(problem.kind, Kind::BadSignatureAlgorithm);
        assert_eq!(problem.algorithms, ["ES256", "ES384", "RS256", "EdDSA"]);
    }

    #[test]
    fn a_signature_of_another_key_does_not_verify() {
        let jws = Jws::parse(flattened(r#"{"alg":"EdDSA","kid":"k","url":"u"}"#).as_bytes());
        let key: PublicKey = serde_json::from_str(JWK).unwrap();
        let problem = jws.unwrap().verify(&key).unwrap_err();
        assert_eq!(problem.kind, Kind::Malformed);
    }
}
