//! The records that a customer, or the operator, publishes.

use std::{fmt::Write, net::IpAddr};

use state::Timestamp;

use super::{
    caa::Issuer,
    claim::{Claim, Cluster, Purpose},
    name::{DnsName, DnsNameError},
};
pub use row::{Need, Row, RowKind, RowPurpose};

mod row;

#[cfg(test)]
mod tests;

/// What the records of a hostname depend on.
#[derive(Clone, Debug)]
pub struct Wishes<'a> {
    /// The name stands at the top of its zone, where no CNAME may be: see
    /// [`super::name::is_apex`], or a SOA was seen there.
    pub apex: bool,
    /// Challenges are to go by DNS.
    pub by_dns: bool,
    /// Addresses prove a first claim ([`super::ownership::Rules::traffic`]).
    pub traffic: bool,
    /// The CAs that may issue.
    pub issuers: &'a [Issuer],
    /// Those of them that offer dns-persist-01, and until when a record is to hold.
    pub persistent: Vec<(&'a Issuer, Option<Timestamp>)>,
}

/// The records for one claim.
///
/// CAA records are offered where they can stand: not beside a CNAME, and never at a parent,
/// where they would bind names that are none of ours. A name with a CNAME to us is bound by
/// those of [`edge_rows`].
///
/// # Errors
/// If the name is too long for a label more.
pub fn hostname_rows(
    claim: &Claim,
    cluster: &Cluster,
    wishes: &Wishes<'_>,
) -> Result<Vec<Row>, DnsNameError> {
    let host = DnsName::from(&claim.subject.host);
    let wildcard = claim.subject.wildcard;
    let alias = wildcard || !wishes.apex;
    let mut rows = Vec::new();
    if let Some(target) = claim.target.as_ref().filter(|_| alias) {
        let name = if wildcard {
            host.under("*")?
        } else {
            host.clone()
        };
        rows.push(cname(name, target, RowPurpose::Traffic, Need::Required));
    } else if wildcard {
        rows.extend(addresses(&host.under("*")?, cluster));
    } else {
        rows.extend(addresses(&host, cluster));
    }
    let alias = alias && claim.target.is_some();
    let other_proof = match claim.purpose {
        Purpose::Transfer | Purpose::Contest => false,
        Purpose::First => !wildcard && (alias || wishes.traffic),
        Purpose::Recheck => true,
    };
    rows.push(Row {
        kind: RowKind::Txt,
        name: claim.txt_name()?,
        value: claim.txt_value(),
        purpose: RowPurpose::Ownership,
        need: required(!other_proof),
    });
    if let Some(target) = &claim.delegation {
        let need = required(wildcard || wishes.by_dns);
        let challenge = claim.challenge_name()?;
        rows.push(cname(challenge, target, RowPurpose::Challenge, need));
    }
    if wildcard || !alias {
        let issuers = wishes.issuers.iter();
        rows.extend(issuers.flat_map(|issuer| caa(&host, issuer, wildcard)));
    }
    for (issuer, until) in &wishes.persistent {
        rows.extend(persistent(&host, issuer, wildcard, *until)?);
    }
    Ok(rows)
}

/// The records of the edge's domain, if another provider serves it: where all tenants'
/// targets lead, and which accounts may issue for whoever points at them.
///
/// # Errors
/// If the domain is too long for a label more.
pub fn edge_rows(cluster: &Cluster, issuers: &[Issuer]) -> Result<Vec<Row>, DnsNameError> {
    let Some(edge) = &cluster.edge else {
        return Ok(Vec::new());
    };
    let all = edge.under("*")?;
    let mut rows = addresses(&all, cluster);
    rows.extend(issuers.iter().flat_map(|issuer| caa(&all, issuer, true)));
    Ok(rows)
}

/// The records at the parent that give `zone` to our own name servers: NS, and the
/// addresses of those whose names are within it (glue).
pub fn delegation_rows(zone: &DnsName, servers: &[(DnsName, Vec<IpAddr>)]) -> Vec<Row> {
    let ns = servers.iter().map(|(server, _)| Row {
        kind: RowKind::Ns,
        name: zone.clone(),
        value: server.to_string(),
        purpose: RowPurpose::Delegation,
        need: Need::Required,
    });
    let within = servers.iter().filter(|(server, _)| server.is_within(zone));
    let glue = within.flat_map(|(server, addresses)| {
        let glue = |address: &IpAddr| address_row(server, *address, RowPurpose::Delegation);
        addresses.iter().map(glue)
    });
    ns.chain(glue).collect()
}

fn addresses(name: &DnsName, cluster: &Cluster) -> Vec<Row> {
    let row = |address: &IpAddr| address_row(name, *address, RowPurpose::Traffic);
    cluster.addresses.iter().map(row).collect()
}

fn address_row(name: &DnsName, address: IpAddr, purpose: RowPurpose) -> Row {
    Row {
        kind: if address.is_ipv4() {
            RowKind::A
        } else {
            RowKind::Aaaa
        },
        name: name.clone(),
        value: address.to_string(),
        purpose,
        need: Need::Required,
    }
}

fn cname(name: DnsName, target: &DnsName, purpose: RowPurpose, need: Need) -> Row {
    Row {
        kind: RowKind::Cname,
        name,
        value: target.to_string(),
        purpose,
        need,
    }
}

/// One record for each identity and tag. A wildcard's base is issued with it, on one order.
fn caa(name: &DnsName, issuer: &Issuer, wildcard: bool) -> Vec<Row> {
    let tags: &[&str] = if wildcard {
        &["issue", "issuewild"]
    } else {
        &["issue"]
    };
    let account = issuer.account.as_ref();
    let account = account.map_or_else(String::new, |account| format!(";accounturi={account}"));
    let row = |(identity, tag): (&String, &&str)| Row {
        kind: RowKind::Caa,
        name: name.clone(),
        value: format!("0 {tag} \"{identity}{account}\""),
        purpose: RowPurpose::Caa,
        need: Need::Optional,
    };
    let identities = issuer.identities.iter().take(1);
    identities
        .flat_map(|identity| tags.iter().map(move |tag| (identity, tag)))
        .map(row)
        .collect()
}

/// `_validation-persist.<host>` (draft-ietf-acme-dns-persist). `None` without an account,
/// for the record names it.
fn persistent(
    host: &DnsName,
    issuer: &Issuer,
    wildcard: bool,
    until: Option<Timestamp>,
) -> Result<Option<Row>, DnsNameError> {
    let (Some(account), Some(identity)) = (&issuer.account, issuer.identities.first()) else {
        return Ok(None);
    };
    let mut value = format!("{identity}; accounturi={account}");
    if wildcard {
        value.push_str("; policy=wildcard");
    }
    if let Some(until) = until {
        // Writing to a string cannot fail.
        let _ = write!(value, "; persistUntil={}", until.as_secs());
    }
    Ok(Some(Row {
        kind: RowKind::Txt,
        name: host.under("_validation-persist")?,
        value,
        purpose: RowPurpose::PersistentChallenge,
        need: Need::Optional,
    }))
}

fn required(required: bool) -> Need {
    if required {
        Need::Required
    } else {
        Need::Optional
    }
}
