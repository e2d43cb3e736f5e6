//! Which certificates a mass reissue means, as operators write it: `issuer=R11`,
//! `ca=letsencrypt`, `tenant=acme`, `hostname=shop.example`, `expiring<30d`, or `all`.

use std::time::Duration;

use state::{CaName, Certificate, Hostname, HostnameRecord, Source, State, Tenant, Timestamp};

use crate::{limits, names, page, problem::Problem};

/// Certificates that all conditions hold for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    conditions: Vec<Condition>,
    /// Tells one selection's page tokens from another's.
    pub(crate) fingerprint: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Issuer(String),
    Ca(CaName),
    Tenant(Tenant),
    Hostname(Hostname),
    Expiring(Duration),
}

/// What a selection says of one hostname.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Matched {
    /// Certificates that we obtained and would replace.
    pub(crate) ours: usize,
    /// Certificates that match but were uploaded.
    pub(crate) uploaded: usize,
    /// It was named, and failed: it is tried at once.
    pub(crate) tried: bool,
}

impl Matched {
    /// Something is to be asked for.
    pub(crate) fn any(self) -> bool {
        self.ours > 0 || self.tried
    }
}

impl Selection {
    /// Reads what an operator wrote. Never means all by accident.
    pub(crate) fn parse(texts: &[String]) -> Result<Self, Problem> {
        let unfit = |message: String| Err(Problem::field("where", message));
        if texts.is_empty() {
            return unfit("say which certificates: a condition, or `all`".to_owned());
        }
        if texts.len() > limits::CONDITIONS_MAX {
            return unfit(format!(
                "at most {} conditions are taken",
                limits::CONDITIONS_MAX
            ));
        }
        let fingerprint = page::filter(texts.iter().map(String::as_str));
        if texts == ["all"] {
            return Ok(Self {
                conditions: Vec::new(),
                fingerprint,
            });
        }
        let conditions = texts.iter().map(|text| condition(text));
        Ok(Self {
            conditions: conditions.collect::<Result<_, _>>()?,
            fingerprint,
        })
    }

    /// What is served of `hostname` and meant.
    pub(crate) fn matched(
        &self,
        state: &State,
        hostname: &Hostname,
        record: &HostnameRecord,
        now: Timestamp,
    ) -> Matched {
        let mut matched = Matched {
            tried: record.failure.is_some() && self.names(hostname, record),
            ..Matched::default()
        };
        for certificate in record
            .certificates()
            .filter_map(|id| state.certificate(&id))
        {
            let mut conditions = self.conditions.iter();
            if conditions.all(|one| one.holds(hostname, record, certificate, now)) {
                match certificate.source {
                    Source::Ca(_) => matched.ours += 1,
                    Source::Uploaded => matched.uploaded += 1,
                }
            }
        }
        matched
    }

    /// True if the hostname itself was named, and nothing was said of a certificate: only
    /// then one that has none is meant.
    fn names(&self, hostname: &Hostname, record: &HostnameRecord) -> bool {
        let named = |one: &Condition| matches!(one, Condition::Hostname(name) if name == hostname);
        let holds = |one: &Condition| match one {
            Condition::Tenant(tenant) => record.tenant == *tenant,
            one => named(one),
        };
        self.conditions.iter().any(named) && self.conditions.iter().all(holds)
    }
}

impl Condition {
    fn holds(
        &self,
        hostname: &Hostname,
        record: &HostnameRecord,
        certificate: &Certificate,
        now: Timestamp,
    ) -> bool {
        match self {
            Self::Issuer(name) => *certificate.issuer == **name,
            Self::Ca(name) => matches!(&certificate.source, Source::Ca(ca) if ca == name),
            Self::Tenant(tenant) => record.tenant == *tenant,
            Self::Hostname(name) => hostname == name,
            Self::Expiring(within) => certificate.not_after <= now.plus(*within),
        }
    }
}

fn condition(text: &str) -> Result<Condition, Problem> {
    let unfit = |why: String| {
        let message = format!("`{}`: {why}", names::shown(text));
        Problem::field("where", message)
    };
    if let Some(within) = text.strip_prefix("expiring<") {
        let span = span(within.trim());
        let span = span.ok_or_else(|| unfit("a span of time looks like 30d or 12h".to_owned()))?;
        return Ok(Condition::Expiring(span));
    }
    let Some((field, value)) = text.split_once('=') else {
        return Err(unfit(
            "a condition is issuer=NAME, ca=NAME, tenant=NAME, hostname=NAME or expiring<30d; \
             `all` stands alone"
                .to_owned(),
        ));
    };
    let value = value.trim();
    match field.trim() {
        "issuer" if !value.is_empty() => Ok(Condition::Issuer(value.to_owned())),
        "issuer" => Err(unfit("the common name of an issuer is needed".to_owned())),
        "ca" => {
            let id = value.strip_prefix("cas/").unwrap_or(value);
            let id = id.parse();
            id.map(Condition::Ca)
                .map_err(|error: state::ca::CaNameError| unfit(error.to_string()))
        }
        "tenant" => {
            let tenant = value.parse();
            tenant
                .map(Condition::Tenant)
                .map_err(|error: state::tenant::TenantError| unfit(error.to_string()))
        }
        "hostname" => {
            let hostname = Hostname::parse(value);
            hostname
                .map(Condition::Hostname)
                .map_err(|error| unfit(error.to_string()))
        }
        _ => Err(unfit(
            "what is asked for is issuer, ca, tenant, hostname or expiring".to_owned(),
        )),
    }
}

/// `30d`, `12h` or `45m`.
fn span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok().filter(|_| !number.starts_with('+'))?;
    let unit = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        _ => return None,
    };
    number.checked_mul(unit).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<Selection, String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Selection::parse(&texts).map_err(|problem| problem.message)
    }

    #[test]
    fn conditions_are_read() {
        for texts in [
            &["all"][..],
            &["issuer=R11"],
            &["issuer=Some CA, Inc. R1"],
            &["ca=letsencrypt", "expiring<30d"],
            &["ca=cas/letsencrypt"],
            &["tenant=org_1:x", "hostname=Shop.example"],
            &["expiring<12h"],
            &["expiring< 5m"],
        ] {
            parse(texts).unwrap_or_else(|error| panic!("{texts:?}: {error}"));
        }
    }

    #[test]
    fn nothing_means_all_by_accident() {
        for texts in [
            &[][..],
            &[""],
            &["all", "ca=x"],
            &["ALL"],
            &["issuer="],
            &["issuer"],
            &["ca=No Such"],
            &["tenant="],
            &["hostname=*"],
            &["expiring<"],
            &["expiring<30"],
            &["expiring<d"],
            &["expiring<-1d"],
            &["expiring<+1d"],
            &["expiring<99999999999999999999d"],
            &["expiring>30d"],
            &["serial=1"],
            &["ca=a"; 9],
        ] {
            assert!(parse(texts).is_err(), "{texts:?}");
        }
    }

    #[test]
    fn selections_are_told_apart() {
        let fingerprint = |texts: &[&str]| parse(texts).unwrap().fingerprint;
        assert_ne!(fingerprint(&["all"]), fingerprint(&["ca=a"]));
        assert_ne!(
            fingerprint(&["ca=a", "ca=b"]),
            fingerprint(&["ca=b", "ca=a"])
        );
        assert_eq!(fingerprint(&["ca=a"]), fingerprint(&["ca=a"]));
    }
}
