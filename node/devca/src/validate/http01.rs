//! http-01 (RFC 8555 section 8.3): a file fetched over HTTP.

use bytes::Bytes;
use http::header::{HOST, LOCATION, USER_AGENT};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::AbortOnDropHandle;

use super::agreement::Miss;
use super::certificate;
use super::vantage::{Eye, Scheme};
use crate::problem::{Kind, Problem};
use crate::step::Validation;

/// As at Let's Encrypt.
const MAX_REDIRECTS: usize = 10;
/// A key authorization has 87 bytes; the rest is room for white space.
const MAX_BODY: usize = 4_096;

pub(super) async fn probe(eye: &Eye, validation: &Validation) -> Result<(), Miss> {
    let mut place = Place {
        scheme: Scheme::Http,
        host: validation.hostname.clone(),
        authority: validation.hostname.clone(),
        path: format!("/.well-known/acme-challenge/{}", validation.token),
    };
    for _ in 0..=MAX_REDIRECTS {
        match fetch(eye, &place).await? {
            Answer::Body(body) => return compare(&body, validation, &place),
            Answer::Elsewhere(location) => place = place.redirected(eye, &location)?,
        }
    }
    Err(place.wrong(&format!("more than {MAX_REDIRECTS} redirects")))
}

enum Answer {
    Body(Bytes),
    Elsewhere(String),
}

/// What is fetched from where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    scheme: Scheme,
    host: String,
    /// The `Host` header: host and, when a redirect named one, port.
    authority: String,
    path: String,
}

impl Place {
    fn wrong(&self, fault: &str) -> Miss {
        self.failed(Kind::IncorrectResponse, fault)
    }

    fn failed(&self, kind: Kind, fault: &str) -> Miss {
        Miss::Wrong(Problem::new(kind, format!("http-01 at {self}: {fault}")))
    }

    fn unreachable(&self, fault: &dyn std::fmt::Display) -> Miss {
        let detail = format!("http-01 at {self}: {fault}");
        Miss::Unreachable(Problem::new(Kind::Connection, detail))
    }

    /// Where a redirect from here leads.
    fn redirected(&self, eye: &Eye, location: &str) -> Result<Self, Miss> {
        let refused = |why: &str| self.wrong(&format!("redirect to {location:?}: {why}"));
        let uri: Uri = location.parse().map_err(|_| refused("not a URL"))?;
        let path = uri
            .path_and_query()
            .map_or("/", |it| it.as_str())
            .to_owned();
        let Some(authority) = uri.authority() else {
            return Ok(Self {
                path,
                ..self.clone()
            });
        };
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(refused("neither http nor https")),
        };
        if authority.as_str().contains('@') {
            return Err(refused("it carries credentials"));
        }
        let host = authority.host().to_owned();
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        if address.is_ok() {
            return Err(refused("an address, not a hostname"));
        }
        if !authority
            .port_u16()
            .is_none_or(|port| eye.follows_to(scheme, port))
        {
            return Err(refused("only ports 80 and 443 are followed"));
        }
        Ok(Self {
            scheme,
            host,
            authority: authority.as_str().into(),
            path,
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

async fn fetch(eye: &Eye, place: &Place) -> Result<Answer, Miss> {
    match place.scheme {
        Scheme::Http => get(eye.connect(Scheme::Http, &place.host).await?, place).await,
        Scheme::Https => {
            let stream = certificate::connect(eye, &place.host, b"http/1.1").await?;
            get(stream, place).await
        }
    }
}

async fn get<S>(stream: S, place: &Place) -> Result<Answer, Miss>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let lost = |error: hyper::Error| place.unreachable(&error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    // Ends with the exchange, whatever the server does.
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::get(&place.path)
        .header(HOST, &place.authority)
        .header(USER_AGENT, "hostquorum-devca")
        .body(Empty::<Bytes>::new())
        .map_err(|error| place.wrong(&error.to_string()))?;
    let response = sender.send_request(request).await.map_err(lost)?;
    if let Some(location) = redirect(&response) {
        return Ok(Answer::Elsewhere(location));
    }
    if response.status() != http::StatusCode::OK {
        let fault = format!("the answer is {}", response.status());
        return Err(place.failed(Kind::Unauthorized, &fault));
    }
    let body = Limited::new(response.into_body(), MAX_BODY);
    let body = body
        .collect()
        .await
        .map_err(|error| place.wrong(&format!("no body of at most {MAX_BODY} bytes: {error}")))?;
    Ok(Answer::Body(body.to_bytes()))
}

fn redirect<B>(response: &Response<B>) -> Option<String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    location.to_str().ok().map(Into::into)
}

fn compare(body: &[u8], validation: &Validation, place: &Place) -> Result<(), Miss> {
    if body.trim_ascii_end() == validation.key_authorization.as_bytes() {
        return Ok(());
    }
    let fault = "the answer is not the key authorization of the account and the token";
    Err(place.failed(Kind::Unauthorized, fault))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::Vantage;

    fn eye() -> Eye {
        Eye::Fixed(Vantage {
            http: ([127, 0, 0, 1], 5_002).into(),
            tls: ([127, 0, 0, 1], 5_001).into(),
        })
    }

    #[track_caller]
    fn check(location: &str, expected: Option<&str>) {
        let place = Place {
            scheme: Scheme::Http,
            host: "a.example".into(),
            authority: "a.example".into(),
            path: "/token".into(),
        };
        let led = place.redirected(&eye(), location);
        assert_eq!(led.ok().map(|it| it.to_string()).as_deref(), expected);
    }

    #[test]
    fn redirects_lead_to_hostnames_on_web_ports_only() {
        check("/x?y", Some("http://a.example/x?y"));
        check("https://b.example/x", Some("https://b.example/x"));
        check("http://b.example", Some("http://b.example/"));
        check("http://b.example:80/x", Some("http://b.example:80/x"));
        check("http://b.example:5002/x", Some("http://b.example:5002/x"));
        check("https://b.example:5001/x", Some("https://b.example:5001/x"));
        check("http://b.example:22/x", None);
        check("https://b.example:5002/x", None);
        check("ftp://b.example/x", None);
        check("http://u:p@b.example/x", None);
        check("http://192.0.2.1/x", None);
        check("http://[2001:db8::1]/x", None);
        check("no url", None);
    }
}
