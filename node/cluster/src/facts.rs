//! What a machine says of itself when it forms or enters a cluster.

/// Longest name of a node: a DNS label, since people put it into host names.
const NAME_MAX: usize = 63;

/// Longest address: a host name of 253 bytes, a colon and a port.
const ADDRESS_MAX: usize = 259;

/// Longest name of an operator: a common name has at most 64 characters (RFC 5280,
/// ub-common-name).
const OPERATOR_MAX: usize = 64;

/// A machine's name and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// What its operator calls it.
    pub name: String,
    /// host:port at which members reach it.
    pub peer_address: String,
    /// host:port at which operators reach it.
    pub admin_address: String,
}

/// What is wrong with a name or an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactError {
    /// The node's name.
    #[error("a node's name is 1 to 63 of a-z, 0-9, `-` and `.`, and begins with a letter or digit")]
    NodeName,
    /// An operator's name.
    #[error("an operator's name is 1 to 64 characters, none of them a control character")]
    OperatorName,
    /// One of the addresses.
    #[error("the {0} address must be host:port, as others reach it, with a port above 0")]
    Address(&'static str),
}

impl NodeFacts {
    /// Refuses names and addresses that nobody could use.
    pub fn check(&self) -> Result<(), FactError> {
        let mut bytes = self.name.bytes();
        let first = bytes
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
        let fits = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
        };
        if !first || self.name.len() > NAME_MAX || !self.name.bytes().all(fits) {
            return Err(FactError::NodeName);
        }
        check_address(&self.peer_address).ok_or(FactError::Address("peer"))?;
        check_address(&self.admin_address).ok_or(FactError::Address("admin"))
    }
}

/// Refuses an operator's name that an audit line could not show.
pub fn check_operator_name(name: &str) -> Result<(), FactError> {
    let length = name.chars().count();
    let visible = name.chars().all(|c| !c.is_control()) && !name.trim().is_empty();
    if (1..=OPERATOR_MAX).contains(&length) && visible {
        Ok(())
    } else {
        Err(FactError::OperatorName)
    }
}

fn check_address(address: &str) -> Option<()> {
    let (host, port) = address.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let plain = !host.contains([':', '[', ']', '/', '@']) && host.is_ascii();
    let fits = !host.is_empty() && address.len() <= ADDRESS_MAX && !host.contains(' ');
    (port > 0 && fits && (bracketed || plain)).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_facts_are_told() {
        let check = |name: &str, peer: &str, admin: &str| {
            NodeFacts {
                name: name.to_owned(),
                peer_address: peer.to_owned(),
                admin_address: admin.to_owned(),
            }
            .check()
        };
        let (peer, admin) = ("10.0.0.1:7443", "[::1]:7444");
        assert_eq!(check("a-1.b", peer, admin), Ok(()));
        assert_eq!(check("a", "node.example:1", admin), Ok(()));
        for name in ["", "-a", "A", "a b", "ä", &"a".repeat(64)] {
            assert_eq!(check(name, peer, admin), Err(FactError::NodeName), "{name}");
        }
        for address in [
            "",
            "host",
            "host:",
            ":1",
            "host:0",
            "host:65536",
            "::1:5",
            "a/b:1",
            "a b:1",
        ] {
            let error = FactError::Address("peer");
            assert_eq!(check("a", address, admin), Err(error), "{address}");
        }
        assert_eq!(check("a", peer, "x"), Err(FactError::Address("admin")));
    }

    #[test]
    fn operators_have_visible_names() {
        for name in ["alice", "Zoë", "deploy@ci"] {
            assert_eq!(check_operator_name(name), Ok(()), "{name}");
        }
        for name in ["", "  ", "a\nb", &"x".repeat(65)] {
            assert_eq!(check_operator_name(name), Err(FactError::OperatorName));
        }
    }
}
