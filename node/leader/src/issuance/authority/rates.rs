//! How fast a CA may be asked.

/// So many requests a second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In the long run; at least 1 is taken.
    pub per_second: u32,
    /// After a rest; at least 1 is taken.
    pub burst: u32,
}

/// How fast each kind of request is taken from one address: what exceeds it is answered
/// with 503, or 429, for all of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// The directory.
    pub directory: Rate,
    /// newNonce.
    pub new_nonce: Rate,
    /// newAccount.
    pub new_account: Rate,
    /// newOrder.
    pub new_order: Rate,
    /// revokeCert.
    pub revocation: Rate,
    /// Renewal information.
    pub renewal_info: Rate,
    /// All else: orders, authorizations, challenges, certificates, the account.
    pub other: Rate,
}

const fn rate(per_second: u32, burst: u32) -> Rate {
    Rate { per_second, burst }
}

impl Rates {
    /// Those that Let's Encrypt publishes ("Overall Requests limits" of its rate limits,
    /// as of August 2026).
    pub const LETS_ENCRYPT: Self = Self {
        directory: rate(40, 40),
        new_nonce: rate(20, 10),
        new_account: rate(5, 15),
        new_order: rate(300, 200),
        revocation: rate(10, 100),
        renewal_info: rate(1000, 100),
        other: rate(250, 125),
    };

    /// Those of its staging environment.
    pub const LETS_ENCRYPT_STAGING: Self = Self {
        other: rate(20, 10),
        ..Self::LETS_ENCRYPT
    };

    /// For a CA that publishes none: so many that only a loop of our own meets them. What
    /// such a CA answers to too many is obeyed.
    pub const UNPUBLISHED: Self = {
        let each = rate(1000, 1000);
        Self {
            directory: each,
            new_nonce: each,
            new_account: each,
            new_order: each,
            revocation: each,
            renewal_info: each,
            other: each,
        }
    };

    /// Those known of the CA with this directory.
    pub fn at(directory: &str) -> Self {
        let host = directory.strip_prefix("https://").unwrap_or(directory);
        match host.split('/').next() {
            Some("acme-v02.api.letsencrypt.org") => Self::LETS_ENCRYPT,
            Some("acme-staging-v02.api.letsencrypt.org") => Self::LETS_ENCRYPT_STAGING,
            _ => Self::UNPUBLISHED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_rates_are_known_by_the_directory() {
        for (directory, expected) in [
            (
                "https://acme-v02.api.letsencrypt.org/directory",
                Rates::LETS_ENCRYPT,
            ),
            (
                "https://acme-staging-v02.api.letsencrypt.org/directory",
                Rates::LETS_ENCRYPT_STAGING,
            ),
            ("https://127.0.0.1:14000/dir", Rates::UNPUBLISHED),
        ] {
            assert_eq!(Rates::at(directory), expected, "{directory}");
        }
    }
}
