//! The shapes of how traffic is served.

use bytes::Bytes;
use prost::Message;

use super::{Origin, Sealed};

shapes! {
    SetTraffic {
        #[prost(string, optional, tag = "1")]
        hostname: Option<String>,
        #[prost(message, optional, tag = "2")]
        traffic: Option<Traffic>,
        #[prost(uint64, optional, tag = "3")]
        revision: Option<u64>,
    }

    Traffic {
        #[prost(message, optional, tag = "1")]
        origins: Option<Origins>,
        #[prost(message, optional, tag = "2")]
        health_check: Option<HealthCheck>,
        #[prost(message, optional, tag = "3")]
        ejection: Option<Ejection>,
        #[prost(uint32, optional, tag = "4")]
        retry_percent: Option<u32>,
        #[prost(string, optional, tag = "5")]
        origin_host: Option<String>,
        #[prost(string, optional, tag = "6")]
        origin_sni: Option<String>,
        #[prost(message, optional, tag = "7")]
        origin_trust: Option<OriginTrust>,
        #[prost(message, optional, tag = "8")]
        origin_identity: Option<OriginIdentity>,
        #[prost(string, optional, tag = "9")]
        min_tls: Option<String>,
        #[prost(string, optional, tag = "10")]
        ciphers: Option<String>,
        #[prost(bool, optional, tag = "11")]
        http2: Option<bool>,
        #[prost(message, optional, tag = "12")]
        client_roots: Option<ClientRoots>,
        #[prost(message, optional, tag = "13")]
        hsts: Option<Hsts>,
        #[prost(message, optional, tag = "14")]
        redirects: Option<Redirects>,
        #[prost(message, optional, tag = "15")]
        request_headers: Option<HeaderRules>,
        #[prost(message, optional, tag = "16")]
        response_headers: Option<HeaderRules>,
        #[prost(message, optional, tag = "17")]
        paths: Option<PathRules>,
        #[prost(message, optional, tag = "18")]
        metadata: Option<Metadata>,
        #[prost(uint64, optional, tag = "19")]
        max_body: Option<u64>,
        #[prost(message, optional, tag = "20")]
        request_rate: Option<Rate>,
        #[prost(message, optional, tag = "21")]
        max_connections: Option<MaxConnections>,
        #[prost(message, optional, tag = "22")]
        maintenance: Option<Maintenance>,
    }

    Origins {
        #[prost(message, repeated, tag = "1")]
        list: Vec<Weighted>,
    }

    Weighted {
        #[prost(message, optional, tag = "1")]
        origin: Option<Origin>,
        #[prost(uint32, tag = "2")]
        weight: u32,
    }

    HealthCheck {
        #[prost(bool, tag = "1")]
        off: bool,
        #[prost(string, tag = "2")]
        path: String,
        #[prost(uint64, tag = "3")]
        interval_ms: u64,
        #[prost(uint64, tag = "4")]
        timeout_ms: u64,
        #[prost(uint32, tag = "5")]
        rise: u32,
        #[prost(uint32, tag = "6")]
        fall: u32,
        #[prost(uint32, tag = "7")]
        status_from: u32,
        #[prost(uint32, tag = "8")]
        status_to: u32,
    }

    Ejection {
        #[prost(bool, tag = "1")]
        off: bool,
        #[prost(uint32, tag = "2")]
        failures: u32,
        #[prost(uint64, tag = "3")]
        period_ms: u64,
    }

    OriginTrust {
        #[prost(string, tag = "1")]
        how: String,
        #[prost(bytes = "bytes", repeated, tag = "2")]
        roots: Vec<Bytes>,
        #[prost(bytes = "bytes", repeated, tag = "3")]
        pins: Vec<Bytes>,
    }

    OriginIdentity {
        #[prost(bool, tag = "1")]
        off: bool,
        #[prost(bytes = "bytes", repeated, tag = "2")]
        chain: Vec<Bytes>,
        #[prost(message, optional, tag = "3")]
        key: Option<Sealed>,
    }

    ClientRoots {
        #[prost(bool, tag = "1")]
        off: bool,
        #[prost(bytes = "bytes", repeated, tag = "2")]
        roots: Vec<Bytes>,
    }

    Hsts {
        #[prost(bool, tag = "1")]
        off: bool,
        #[prost(uint32, tag = "2")]
        max_age: u32,
        #[prost(bool, tag = "3")]
        subdomains: bool,
        #[prost(bool, tag = "4")]
        preload: bool,
    }

    Redirects {
        #[prost(message, repeated, tag = "1")]
        list: Vec<Redirect>,
    }

    Redirect {
        #[prost(string, tag = "1")]
        path: String,
        #[prost(string, tag = "2")]
        target: String,
        #[prost(bool, tag = "3")]
        keep: bool,
        #[prost(uint32, tag = "4")]
        status: u32,
    }

    HeaderRules {
        #[prost(message, repeated, tag = "1")]
        list: Vec<HeaderRule>,
    }

    HeaderRule {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        action: String,
        #[prost(string, tag = "3")]
        value: String,
    }

    PathRules {
        #[prost(message, repeated, tag = "1")]
        list: Vec<PathRule>,
    }

    PathRule {
        #[prost(string, tag = "1")]
        path: String,
        #[prost(string, optional, tag = "2")]
        replace: Option<String>,
        #[prost(message, optional, tag = "3")]
        origins: Option<Origins>,
    }

    Metadata {
        #[prost(message, repeated, tag = "1")]
        list: Vec<Metadatum>,
    }

    Metadatum {
        #[prost(string, tag = "1")]
        key: String,
        #[prost(string, tag = "2")]
        value: String,
    }

    Rate {
        #[prost(bool, tag = "1")]
        off: bool,
        #[prost(uint32, tag = "2")]
        per_second: u32,
        #[prost(uint32, tag = "3")]
        burst: u32,
    }

    MaxConnections {
        #[prost(bool, tag = "1")]
        off: bool,
        #[prost(uint32, tag = "2")]
        most: u32,
    }

    Maintenance {
        #[prost(bool, tag = "1")]
        off: bool,
        #[prost(uint32, tag = "2")]
        status: u32,
        #[prost(string, tag = "3")]
        content_type: String,
        #[prost(bytes = "bytes", tag = "4")]
        body: Bytes,
        #[prost(uint32, optional, tag = "5")]
        retry_after: Option<u32>,
    }
}
