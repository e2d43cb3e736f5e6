//! Names in the cluster's own certificates. The signer writes them by policy and
//! never takes them from a request; whoever verifies reads them back here.

use std::fmt;

use data_encoding::HEXLOWER;

/// The domain of all names in the cluster's certificates. It resolves nowhere:
/// names are compared, never looked up.
pub const DOMAIN: &str = "hostquorum.internal";

/// A cluster's 128-bit id.
pub type ClusterId = [u8; 16];

/// Who a certificate speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A member, by its id.
    Node(u64),
    /// Somebody who uses the admin API.
    Operator {
        /// What it may do.
        role: OperatorRole,
        /// Its id.
        id: u64,
    },
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorRole {
    /// Change things.
    Admin,
    /// Look.
    Viewer,
}

impl OperatorRole {
    /// Its name on the wire and in certificates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Viewer => "viewer",
        }
    }

    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Admin, Self::Viewer]
            .into_iter()
            .find(|role| role.as_str() == name)
    }
}

impl fmt::Display for OperatorRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The DNS name that every member's certificate carries: what operators verify,
/// whichever node answers.
pub fn cluster_host(cluster: &ClusterId) -> String {
    format!("{}.{DOMAIN}", HEXLOWER.encode(cluster))
}

/// The DNS name of one member: what other members verify.
pub fn node_host(cluster: &ClusterId, node: u64) -> String {
    format!("node-{node}.{}", cluster_host(cluster))
}

/// The cluster whose DNS name that is.
pub fn cluster_of_host(host: &str) -> Option<ClusterId> {
    let id = host.strip_suffix(DOMAIN)?.strip_suffix('.')?;
    parse_cluster(id)
}

/// The SPIFFE id of a subject, `spiffe://<cluster>/node/3`: the role is in the path.
pub fn uri(cluster: &ClusterId, subject: Subject) -> String {
    let cluster = HEXLOWER.encode(cluster);
    match subject {
        Subject::Node(id) => format!("spiffe://{cluster}/node/{id}"),
        Subject::Operator { role, id } => format!("spiffe://{cluster}/{role}/{id}"),
    }
}

/// Reads a SPIFFE id that [`uri`] wrote; nothing else is accepted.
pub fn parse_uri(text: &str) -> Option<(ClusterId, Subject)> {
    let mut parts = text.strip_prefix("spiffe://")?.split('/');
    let cluster = parse_cluster(parts.next()?)?;
    let (kind, number) = (parts.next()?, parts.next()?);
    let id: u64 = number.parse().ok()?;
    // `parse` accepts `+3` and `03`; a name has one spelling only.
    if parts.next().is_some() || id.to_string() != number {
        return None;
    }
    let subject = match kind {
        "node" => Subject::Node(id),
        role => Subject::Operator {
            role: OperatorRole::parse(role)?,
            id,
        },
    };
    Some((cluster, subject))
}

fn parse_cluster(hex: &str) -> Option<ClusterId> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: ClusterId = [0xab; 16];

    #[test]
    fn a_uri_reads_back() {
        let admin = OperatorRole::Admin;
        for subject in [
            Subject::Node(3),
            Subject::Operator { role: admin, id: 1 },
            Subject::Operator {
                role: OperatorRole::Viewer,
                id: 99,
            },
        ] {
            assert_eq!(parse_uri(&uri(&CLUSTER, subject)), Some((CLUSTER, subject)));
        }
    }

    #[test]
    fn other_uris_are_refused() {
        let hex = HEXLOWER.encode(&CLUSTER);
        for bad in [
            format!("https://{hex}/node/1"),
            format!("spiffe://{hex}/node/+1"),
            format!("spiffe://{hex}/node/01"),
            format!("spiffe://{hex}/node/1/x"),
            format!("spiffe://{hex}/node"),
            format!("spiffe://{hex}/root/1"),
            format!("spiffe://{}/node/1", hex.to_uppercase()),
            "spiffe://abcd/node/1".to_owned(),
        ] {
            assert_eq!(parse_uri(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_cluster_is_read_from_its_host_only() {
        assert_eq!(cluster_of_host(&cluster_host(&CLUSTER)), Some(CLUSTER));
        assert_eq!(cluster_of_host(&node_host(&CLUSTER, 1)), None);
        assert_eq!(cluster_of_host("evil.example"), None);
    }
}
