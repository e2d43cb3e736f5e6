//! What a development CA can be told.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::behaviour::Behaviour;
use crate::moment::Moment;
use crate::timestamp::Timestamp;
use crate::validate::Probing;

/// Where the CA takes the time from: seconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The same time, finer: since the Unix epoch.
pub type PreciseClock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The clocks in use.
#[derive(Clone)]
pub(crate) struct Clocks {
    seconds: Clock,
    precise: Option<PreciseClock>,
}

impl Clocks {
    pub(crate) fn new(seconds: Clock, precise: Option<PreciseClock>) -> Self {
        Self { seconds, precise }
    }

    /// The time, as finely as it is told.
    pub(crate) fn moment(&self) -> Moment {
        match &self.precise {
            Some(precise) => Moment::since_epoch(precise()),
            None => Timestamp::from_unix((self.seconds)()).into(),
        }
    }
}

/// As at Let's Encrypt.
pub const DEFAULT_CERTIFICATE_VALIDITY: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// As at Let's Encrypt.
pub const DEFAULT_ORDER_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The shortest validity and lifetime: certificates count in seconds, and what ends with
/// the second it began in cannot be tested for anything.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest validity: half of what the intermediate has.
const LONGEST_VALIDITY: Duration = Duration::from_secs(5 * 365 * 24 * 60 * 60);
/// A delay is for watching a client poll, not for leaving it alone.
const LONGEST_DELAY: Duration = Duration::from_secs(60 * 60);

/// The settings of a development CA.
#[derive(Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The host in all URLs: a name, an IPv4 address, or an IPv6 address in brackets.
    /// Without it, the address listened on (`localhost` for the unspecified address). The
    /// CA's own certificate is for this host and for loopback.
    pub public_host: Option<String>,
    /// Where root, accounts, orders and certificates are kept; without it, in memory only.
    pub directory: Option<PathBuf>,
    /// How long certificates are valid after the moment of issue: 1 s to 5 years.
    pub certificate_validity: Duration,
    /// How long orders and their authorizations may be worked on: from 1 s.
    pub order_lifetime: Duration,
    /// How long an order stays `processing`: whole seconds, up to an hour. With zero (the
    /// default) finalizing answers `valid` at once, as RFC 8555 section 7.4 allows.
    pub issue_delay: Duration,
    /// How hostnames are looked at; can be changed while the CA runs.
    pub probing: Probing,
    /// How the CA behaves at first; can be changed while it runs.
    pub behaviour: Behaviour,
    /// Where other processes can reach the CA's [`Control`], by plain HTTP without any
    /// authentication: an address on loopback; port 0 takes a free one.
    ///
    /// [`Control`]: crate::Control
    pub control: Option<SocketAddr>,
    /// The time.
    pub clock: Clock,
    /// The same time, finer than seconds; without it limits by the second are coarse, and
    /// so is the ledger.
    pub precise_clock: Option<PreciseClock>,
}

impl Config {
    /// A CA with Let's Encrypt's lifetimes, in memory, that issues without delay.
    pub fn new(listen: SocketAddr, probing: Probing, clock: Clock) -> Self {
        Self {
            listen,
            public_host: None,
            directory: None,
            certificate_validity: DEFAULT_CERTIFICATE_VALIDITY,
            order_lifetime: DEFAULT_ORDER_LIFETIME,
            issue_delay: Duration::ZERO,
            probing,
            behaviour: Behaviour::default(),
            control: None,
            clock,
            precise_clock: None,
        }
    }

    pub(crate) fn clocks(&self) -> Clocks {
        Clocks::new(Arc::clone(&self.clock), self.precise_clock.clone())
    }

    /// Finds the settings that are out of their bounds.
    ///
    /// # Errors
    /// The first one.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !(SHORTEST..=LONGEST_VALIDITY).contains(&self.certificate_validity) {
            return Err(ConfigError::CertificateValidity(self.certificate_validity));
        }
        if self.order_lifetime < SHORTEST {
            return Err(ConfigError::OrderLifetime(self.order_lifetime));
        }
        if self.issue_delay > LONGEST_DELAY || self.issue_delay.subsec_nanos() != 0 {
            return Err(ConfigError::IssueDelay(self.issue_delay));
        }
        match self.control {
            Some(control) if !control.ip().is_loopback() => {
                return Err(ConfigError::Control(control));
            }
            _ => {}
        }
        match &self.public_host {
            Some(host) if !is_host(host) => Err(ConfigError::PublicHost(host.clone())),
            _ => Ok(()),
        }
    }

    /// The base of all URLs, once the listener is bound to `bound`.
    pub(crate) fn base_url(&self, bound: SocketAddr) -> String {
        format!("https://{}:{}", self.host(bound), bound.port())
    }

    /// The host in all URLs.
    pub(crate) fn host(&self, bound: SocketAddr) -> String {
        match &self.public_host {
            Some(host) => host.clone(),
            None if bound.ip().is_unspecified() => "localhost".into(),
            None if bound.is_ipv6() => format!("[{}]", bound.ip()),
            None => bound.ip().to_string(),
        }
    }
}

/// A setting out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Too short or too long.
    #[error("certificate_validity is {0:?}; it must be 1 s to 5 years")]
    CertificateValidity(Duration),
    /// Too short.
    #[error("order_lifetime is {0:?}; it must be at least 1 s")]
    OrderLifetime(Duration),
    /// Too long, or not whole seconds.
    #[error("issue_delay is {0:?}; it must be whole seconds, at most an hour")]
    IssueDelay(Duration),
    /// Not a host.
    #[error("public_host is {0:?}; it must be a lower-case hostname or an IP address")]
    PublicHost(String),
    /// Whoever reaches it commands the CA.
    #[error("control is {0}; it must be an address on loopback")]
    Control(SocketAddr),
}

fn is_host(host: &str) -> bool {
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = address {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("public_host", &self.public_host)
            .field("directory", &self.directory)
            .field("certificate_validity", &self.certificate_validity)
            .field("order_lifetime", &self.order_lifetime)
            .field("issue_delay", &self.issue_delay)
            .field("probing", &self.probing)
            .field("behaviour", &self.behaviour)
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let listen = ([127, 0, 0, 1], 0).into();
        Config::new(listen, Probing::loopback(5_002, 5_001), Arc::new(|| 0))
    }

    #[test]
    fn settings_out_of_bounds_are_named() {
        assert_eq!(config().check(), Ok(()));
        let mut short = config();
        short.certificate_validity = Duration::from_millis(900);
        assert!(matches!(
            short.check(),
            Err(ConfigError::CertificateValidity(_))
        ));
        let mut open = config();
        open.control = Some(([0, 0, 0, 0], 0).into());
        assert!(matches!(open.check(), Err(ConfigError::Control(_))));
        let mut ended = config();
        ended.order_lifetime = Duration::ZERO;
        assert!(matches!(ended.check(), Err(ConfigError::OrderLifetime(_))));
        let mut slow = config();
        slow.issue_delay = Duration::from_millis(1_500);
        assert!(matches!(slow.check(), Err(ConfigError::IssueDelay(_))));
        for host in ["", "a b", "https://a", "a:1", "[::g]", "A"] {
            let mut odd = config();
            odd.public_host = Some(host.into());
            assert!(
                matches!(odd.check(), Err(ConfigError::PublicHost(_))),
                "{host}"
            );
        }
    }

    #[test]
    fn urls_name_the_host_told_or_the_address_bound() {
        let bound = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mut config = config();
        assert_eq!(config.base_url(bound("127.0.0.1:7")), "https://127.0.0.1:7");
        assert_eq!(config.base_url(bound("[::1]:7")), "https://[::1]:7");
        assert_eq!(config.base_url(bound("0.0.0.0:7")), "https://localhost:7");
        config.public_host = Some("ca.example".into());
        assert_eq!(config.base_url(bound("0.0.0.0:7")), "https://ca.example:7");
    }
}
