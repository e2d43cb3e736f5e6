//! What is known of public CAs, so that an operator has to say a name only.

use std::time::Duration;

use super::CaSettings;
use crate::{Limit, LimitKind};

/// A CA that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Let's Encrypt.
    LetsEncrypt,
    /// Its staging environment: untrusted certificates, generous limits.
    LetsEncryptStaging,
    /// ZeroSSL; needs an external account.
    ZeroSsl,
    /// Google Trust Services; needs an external account.
    GoogleTrustServices,
}

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

impl Preset {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::LetsEncrypt,
        Self::LetsEncryptStaging,
        Self::ZeroSsl,
        Self::GoogleTrustServices,
    ];

    /// What operators say.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LetsEncrypt => "letsencrypt",
            Self::LetsEncryptStaging => "letsencrypt-staging",
            Self::ZeroSsl => "zerossl",
            Self::GoogleTrustServices => "google",
        }
    }

    /// By what operators say.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == text)
    }

    /// Its directory's URL.
    pub fn directory(self) -> &'static str {
        match self {
            Self::LetsEncrypt => "https://acme-v02.api.letsencrypt.org/directory",
            Self::LetsEncryptStaging => "https://acme-staging-v02.api.letsencrypt.org/directory",
            Self::ZeroSsl => "https://acme.zerossl.com/v2/DV90",
            Self::GoogleTrustServices => "https://dv.acme-v02.api.pki.goog/directory",
        }
    }

    /// True if it gives accounts only to whom it knows otherwise.
    pub fn needs_external_account(self) -> bool {
        matches!(self, Self::ZeroSsl | Self::GoogleTrustServices)
    }

    /// What is known of it. Contacts, agreement to its terms and its rank are for the
    /// operator to add.
    pub fn settings(self) -> CaSettings {
        let caa: &[&str] = match self {
            Self::LetsEncrypt | Self::LetsEncryptStaging => &["letsencrypt.org"],
            Self::ZeroSsl => &["sectigo.com", "zerossl.com"],
            Self::GoogleTrustServices => &["pki.goog"],
        };
        CaSettings {
            directory: self.directory().to_owned(),
            caa_identities: caa.iter().map(|name| (*name).to_owned()).collect(),
            // Boulder marks an order as being processed by one conditional update.
            finalize_atomic: matches!(self, Self::LetsEncrypt | Self::LetsEncryptStaging),
            limits: self.limits(),
            ..CaSettings::default()
        }
    }

    /// Let's Encrypt documents its limits (letsencrypt.org/docs/rate-limits and
    /// /docs/staging-environment, as of 2026-08). ZeroSSL and Google Trust Services
    /// publish no numbers: they are learnt from what they refuse.
    fn limits(self) -> Vec<Limit> {
        use LimitKind::{Certificates, Failures, Orders, Sets};
        let limit = |kind, burst: u32, period: u64| Limit {
            kind,
            burst,
            refill: (Duration::from_secs(period) / burst).max(Duration::from_millis(1)),
        };
        match self {
            Self::LetsEncrypt => vec![
                limit(Orders, 300, 3 * HOUR),
                limit(Certificates, 50, WEEK),
                limit(Sets, 5, WEEK),
                limit(Failures, 5, HOUR),
            ],
            Self::LetsEncryptStaging => vec![
                limit(Orders, 1500, 3 * HOUR),
                limit(Certificates, 30_000, 1),
                limit(Sets, 30_000, WEEK),
                limit(Failures, 200, HOUR),
            ],
            Self::ZeroSsl | Self::GoogleTrustServices => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_is_found_by_its_name_and_speaks_https() {
        for preset in Preset::ALL {
            assert_eq!(Preset::parse(preset.as_str()), Some(preset));
            assert!(preset.directory().starts_with("https://"));
            assert!(!preset.settings().caa_identities.is_empty());
        }
        assert_eq!(Preset::parse("letsencrypt-prod"), None);
    }

    #[test]
    fn a_token_of_each_limit_takes_as_long_as_is_documented() {
        let limits = Preset::LetsEncrypt.settings().limits;
        let refills: Vec<u64> = limits.iter().map(|limit| limit.refill.as_secs()).collect();
        assert_eq!(refills, [36, 12_096, 120_960, 720]);
    }
}
