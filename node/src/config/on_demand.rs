//! Who is asked about hostnames that nobody authorized.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use edge::on_demand::Limits;
use http::{Uri, uri::Scheme};
use state::Tenant;

use super::file::File;

/// Who is asked about hostnames that nobody authorized, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDemand {
    /// What is asked, `domain=NAME` added to its query: https, or http on this machine.
    pub ask: Uri,
    /// Extra trust roots (PEM) for it.
    pub roots: Option<PathBuf>,
    /// Whose the hostnames are.
    pub tenant: Tenant,
    /// How often it is asked, and what is made of the answers.
    pub limits: Limits,
}

const SECTION: &str = "on_demand";
const WANTED: &str = "an address such as \"https://app.example/allowed\", or one that begins with http:// and an address of this machine";

impl OnDemand {
    /// Absent: nobody is asked.
    pub(super) fn read(file: &mut File<'_>, base: &Path) -> Option<Self> {
        let ask = file.read::<String>(SECTION, "ask").and_then(|text| {
            let uri = text.parse::<Uri>().ok().filter(may_be_asked);
            if uri.is_none() {
                // It may hold a secret.
                file.fault(SECTION, "ask", &format!("what stands here is not {WANTED}"));
            }
            uri
        });
        let tenant = file.read::<String>(SECTION, "tenant").and_then(|text| {
            let tenant = text.parse::<Tenant>();
            if let Err(error) = &tenant {
                file.fault(SECTION, "tenant", &error.to_string());
            }
            tenant.ok()
        });
        let roots = file.read::<PathBuf>(SECTION, "roots");
        let limits = limits(file);
        Some(Self {
            ask: ask?,
            roots: roots.map(|path| base.join(path)),
            tenant: tenant.unwrap_or_default(),
            limits,
        })
    }
}

fn limits(file: &mut File<'_>) -> Limits {
    let usual = Limits::default();
    let seconds = Duration::from_secs;
    let mut many = |key, most: u64, usual: usize| {
        let usual = u64::try_from(usual).unwrap_or(most);
        file.bounded(SECTION, key, 1..=most, usual)
    };
    // Bounded, all of them.
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let rate = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let questions_at_once = size(many("questions_at_once", 1000, usual.questions_at_once));
    let per_second = usual.questions_per_second as usize;
    let questions_per_second = rate(many("questions_per_second", 10_000, per_second));
    let per_client = usual.questions_per_client as usize;
    let questions_per_client = rate(many("questions_per_client", 10_000, per_client));
    let per_hour = usual.authorized_per_hour;
    let authorized_per_hour = size(many("authorized_per_hour", 100_000, per_hour));
    let per_domain = usual.authorized_per_domain;
    let authorized_per_domain = size(many("authorized_per_domain", 100_000, per_domain));
    let mut long = |key, from, to, usual| file.bounded(SECTION, key, from..=to, usual);
    Limits {
        timeout: long(
            "timeout",
            Duration::from_millis(100),
            seconds(30),
            usual.timeout,
        ),
        questions_at_once,
        questions_per_second,
        questions_per_client,
        authorized_per_hour,
        authorized_per_domain,
        yes_for: long("yes_for", seconds(0), seconds(86_400), usual.yes_for),
        no_for: long("no_for", seconds(1), seconds(86_400), usual.no_for),
        failed_for: long("failed_for", seconds(1), seconds(3600), usual.failed_for),
    }
}

/// Whoever stands between could answer in its place, unless nobody can.
fn may_be_asked(uri: &Uri) -> bool {
    let Some(authority) = uri.authority() else {
        return false;
    };
    if authority.as_str().contains('@') {
        return false;
    }
    let scheme = uri.scheme();
    scheme == Some(&Scheme::HTTPS) || scheme == Some(&Scheme::HTTP) && is_loopback(authority.host())
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>()
        .is_ok_and(|address| address.is_loopback())
}
