//! The machine that answers DNS, and how the leader asks it and looks at hostnames. Each
//! of its views can lie for a while.
//!
//! The wire between the two is plain text: what production's resolver makes of hostile
//! bytes is for its own tests, what the rules make of hostile answers is seen here.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use leader::verification::answer::{Answer, Data, Kind, Look, Outcome, Sighting, Vantage};
use leader::verification::claim::{TXT_LABEL, TXT_PREFIX, Token};
use leader::verification::name::DnsName;
use leader::verification::resolver::Resolver;
use serde::{Deserialize, Serialize};
use state::OwnershipToken;
use tokio::time::timeout;
use turmoil::net::UdpSocket;

/// Its name.
pub(crate) const NAME: &str = "dns.example";

const PORT: u16 = 53;

/// Resolvers that are asked, beside the zone itself: a majority of them decides.
const RESOLVERS: u16 = 3;

/// How long one view has for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Hostnames of this form are nobody's: they show no token.
pub(crate) const STRAY: &str = "stray-";

/// Where customers point to: the balancer before the nodes.
pub(crate) const BALANCER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// And where they point to when DNS lies.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 99);

/// What a view does in the place of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lie {
    /// It says nothing.
    Silent,
    /// It fails.
    ServFail,
    /// It knows no name.
    NxDomain,
    /// It points elsewhere, and shows other tokens.
    Elsewhere,
}

/// The zones of all hostnames; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zones(Arc<Mutex<BTreeMap<u16, Lie>>>);

impl Zones {
    /// The view of that number (0 is the zone itself) lies from now on, or tells the truth.
    pub(crate) fn set(&self, view: u16, lie: Option<Lie>) {
        match lie {
            Some(lie) => self.lies().insert(view, lie),
            None => self.lies().remove(&view),
        };
    }

    fn lies(&self) -> MutexGuard<'_, BTreeMap<u16, Lie>> {
        // One thread only; each holder leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a view says of a name, as it travels; nothing if it is silent.
    fn answer(&self, view: u16, kind: &str, name: &str) -> Option<String> {
        let lie = self.lies().get(&view).copied();
        let truth = match (kind, name.strip_prefix(TXT_LABEL)) {
            ("A", _) => Some(BALANCER.to_string()),
            ("TXT", Some(host)) if !host.starts_with(&format!(".{STRAY}")) => {
                let token = Token::from(OwnershipToken([1; 16]));
                Some(format!("{TXT_PREFIX}{}", token.as_str()))
            }
            _ => None,
        };
        match (lie, kind) {
            (Some(Lie::Silent), _) => None,
            (Some(Lie::ServFail), _) => Some("servfail".into()),
            (Some(Lie::NxDomain), _) => Some("nxdomain".into()),
            (Some(Lie::Elsewhere), "A") => Some(ELSEWHERE.to_string()),
            (Some(Lie::Elsewhere), "TXT") => Some(format!("{TXT_PREFIX}{}", "x".repeat(22))),
            _ => Some(truth.unwrap_or_else(|| "nothing".into())),
        }
    }
}

/// The software of its machine.
pub(crate) async fn run(zones: Zones) -> turmoil::Result {
    let socket = UdpSocket::bind(("0.0.0.0", PORT)).await?;
    let mut buffer = [0; 512];
    loop {
        let (length, origin) = socket.recv_from(&mut buffer).await?;
        let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
        let mut words = text.split(' ');
        let (Some(view), Some(kind), Some(name)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let view = view.parse().unwrap_or_default();
        if let Some(answer) = zones.answer(view, kind, name) {
            socket.send_to(answer.as_bytes(), origin).await?;
        }
    }
}

/// Asks that machine from a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking;

#[async_trait]
impl Resolver for Asking {
    async fn look(&self, name: &DnsName, kind: Kind) -> Look {
        let views = (0..=RESOLVERS).map(|view| async move {
            let said = timeout(PATIENCE, ask(view, name, kind)).await;
            let outcome = said.ok().and_then(Result::ok);
            Sighting {
                vantage: vantage(view),
                answer: Answer::plain(outcome.unwrap_or(Outcome::Timeout)),
            }
        });
        Look {
            name: name.clone(),
            kind,
            sightings: futures_util::future::join_all(views).await,
        }
    }
}

fn vantage(view: u16) -> Vantage {
    let address = SocketAddr::new(IpAddr::V4(BALANCER), view);
    match (view, DnsName::parse(NAME)) {
        (0, Ok(name)) => Vantage::Authoritative(name, address),
        _ => Vantage::Recursive(address),
    }
}

async fn ask(view: u16, name: &DnsName, kind: Kind) -> std::io::Result<Outcome> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).await?;
    let question = format!("{view} {kind} {name}");
    socket.send_to(question.as_bytes(), (NAME, PORT)).await?;
    let mut buffer = [0; 512];
    let (length, _) = socket.recv_from(&mut buffer).await?;
    let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
    Ok(match (text.as_ref(), kind) {
        ("servfail", _) => Outcome::ServFail,
        ("nxdomain", _) => Outcome::NxDomain,
        ("nothing", _) => Outcome::NoData,
        (address, Kind::A) => match address.parse() {
            Ok(address) => Outcome::Records(vec![Data::A(address)]),
            Err(_) => Outcome::Malformed,
        },
        (text, _) => Outcome::Records(vec![Data::Txt(text.to_owned())]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_show_tokens_of_customers_only_and_lie_when_told() {
        let zones = Zones::default();
        let said = |view, kind, name| zones.answer(view, kind, name);
        let token = said(1, "TXT", "_hostquorum.shop-1.example").unwrap();
        assert!(token.starts_with(TXT_PREFIX), "{token}");
        let stray = said(1, "TXT", "_hostquorum.stray-1.example");
        assert_eq!(stray.as_deref(), Some("nothing"));
        zones.set(1, Some(Lie::Silent));
        assert_eq!(said(1, "A", "shop-1.example"), None);
        assert_eq!(said(2, "A", "shop-1.example"), Some(BALANCER.to_string()));
        zones.set(1, None);
        assert_eq!(said(1, "A", "shop-1.example"), Some(BALANCER.to_string()));
    }
}
