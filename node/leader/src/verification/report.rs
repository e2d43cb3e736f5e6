//! What an operator asks: how a hostname's records stand, and which are to be published.

use state::{
    ChallengeKind, Hostname, HostnameRecord, OwnershipPolicy, Proof, State, outcome::Kind,
};

use super::{
    check::{Check, check},
    claim::{Claim, Purpose},
    name::{DnsName, DnsNameError, is_apex},
    preflight::Order,
    probe::Scope,
    records::{self, Row, Wishes},
    situation,
    survey::Surveyor,
};

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The cluster as it is.
    pub state: &'a State,
    /// The name.
    pub hostname: &'a Hostname,
    /// For the tenant that contests it, not for the one that has it.
    pub contest: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(Kind),
    /// No record can be below it.
    #[error(transparent)]
    Name(#[from] DnsNameError),
}

/// The token by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpToken {
    /// Where it is looked for.
    pub url: String,
    /// What is to stand there, alone.
    pub body: String,
}

impl<'a> Question<'a> {
    fn claim(&self) -> Result<(&'a HostnameRecord, Claim), QuestionError> {
        let record = self.state.hostname(self.hostname.as_str());
        let record = record.ok_or(QuestionError::NotFound(Kind::Hostname))?;
        if !self.contest {
            return Ok((record, situation::claim(self.state, self.hostname, record)));
        }
        let contest = record.contest();
        let contest = contest.ok_or(QuestionError::NotFound(Kind::Contest))?;
        let claim = situation::contested(self.state, self.hostname, record, contest);
        Ok((record, claim))
    }

    /// Looks now, and judges as before an order.
    ///
    /// # Errors
    /// If there is no such hostname or contest, or it is too long for a label more.
    pub async fn check(&self, surveyor: &Surveyor) -> Result<Check, QuestionError> {
        let (record, claim) = self.claim()?;
        let scope = Scope {
            ownership: true,
            order: true,
        };
        let survey = surveyor
            .look(claim, situation::cluster(self.state), scope)
            .await?;
        let issuers = situation::issuers(self.state, record);
        let order = Order {
            claim: &survey.claim,
            forced: record.wants().challenge.map(Into::into),
            issuers: &issuers,
            // Over in a moment, and no matter of records.
            member_silent: false,
        };
        let vouched = !self.contest
            && (record.ownership.standing == Proof::Vouched
                || self.state.zone().settings.ownership == OwnershipPolicy::Operator);
        Ok(check(
            &order,
            &survey.cluster,
            surveyor.rules(),
            &survey.seen,
            vouched,
        ))
    }

    /// What is to be published, and where else the token may stand. With `persist` for
    /// dns-persist-01 too.
    ///
    /// # Errors
    /// As [`Question::check`].
    pub fn records(
        &self,
        surveyor: &Surveyor,
        persist: bool,
    ) -> Result<(Vec<Row>, Option<HttpToken>), QuestionError> {
        let (record, claim) = self.claim()?;
        let issuers = situation::issuers(self.state, record);
        let persistent = issuers.iter().filter(|_| persist);
        let wishes = Wishes {
            apex: is_apex(self.hostname),
            by_dns: record.wants().challenge == Some(ChallengeKind::Dns01),
            traffic: surveyor.rules().traffic,
            issuers: &issuers,
            persistent: persistent.map(|issuer| (issuer, None)).collect(),
        };
        let rows = records::hostname_rows(&claim, &situation::cluster(self.state), &wishes)?;
        let by_http = claim.purpose == Purpose::First && !claim.subject.wildcard;
        let token = by_http.then(|| HttpToken {
            url: format!("http://{}{}", self.hostname, claim.http_path()),
            body: claim.http_body(),
        });
        Ok((rows, token))
    }
}

/// What the operator publishes. With DNS servers of the cluster's own: at the parent, what
/// gives them their zones. Without: where tenants' targets lead.
///
/// # Errors
/// If the edge's domain is too long for a label more.
pub fn zone_records(state: &State) -> Result<Vec<Row>, DnsNameError> {
    let cluster = situation::cluster(state);
    let settings = &state.zone().settings;
    let Some(dns) = &settings.dns else {
        let cas = state.cas_by_rank().into_iter();
        let cas = cas.filter(|_| !settings.caa_open);
        let issuers: Vec<_> = cas.map(|ca| situation::issuer(ca)).collect();
        return records::edge_rows(&cluster, &issuers);
    };
    let servers: Vec<_> = dns
        .nameservers
        .iter()
        .map(|server| (DnsName::from(&server.name), server.addresses.clone()))
        .collect();
    let zones: Vec<DnsName> = std::iter::once(DnsName::from(&dns.name))
        .chain(cluster.edge)
        .collect();
    // Within the other, it is told by the other's servers, which are ours too.
    let outermost = zones.iter().enumerate().filter(|(place, zone)| {
        let mut others = zones.iter().enumerate();
        !others.any(|(other, outer)| {
            other != *place && zone.is_within(outer) && (outer != *zone || other < *place)
        })
    });
    Ok(outermost
        .flat_map(|(_, zone)| records::delegation_rows(zone, &servers))
        .collect())
}
