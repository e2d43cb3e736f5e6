//! TLS with clients.

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    V12,
    /// RFC 8446.
    V13,
}

impl TlsVersion {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V12, Self::V13];

    /// Its name in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V12 => "1.2",
            Self::V13 => "1.3",
        }
    }

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == text)
    }
}

/// Which cipher suites clients may use. All of them are AEADs with forward secrecy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ciphers {
    /// AES-128-GCM, AES-256-GCM and ChaCha20-Poly1305.
    Default,
    /// Keys of 256 bits only.
    Strong,
    /// AES-GCM only, for those who must use what NIST approves.
    Aes,
}

impl Ciphers {
    /// All choices.
    pub const ALL: [Self; 3] = [Self::Default, Self::Strong, Self::Aes];

    /// Its name in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Strong => "strong",
            Self::Aes => "aes",
        }
    }

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == text)
    }
}
