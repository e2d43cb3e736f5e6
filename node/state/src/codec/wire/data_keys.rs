//! The shapes of data keys, and of what is sealed anew.

use bytes::Bytes;
use prost::Message;

use super::Sealed;

shapes! {
    HpkeSealed {
        #[prost(uint64, tag = "1")]
        node: u64,
        #[prost(bytes = "bytes", tag = "2")]
        encapsulated: Bytes,
        #[prost(bytes = "bytes", tag = "3")]
        ciphertext: Bytes,
    }

    DataKey {
        #[prost(string, tag = "1")]
        purpose: String,
        #[prost(uint32, tag = "2")]
        generation: u32,
        #[prost(uint64, tag = "3")]
        created_at: u64,
        #[prost(uint64, tag = "4")]
        created: u64,
        #[prost(message, repeated, tag = "5")]
        sealed_for: Vec<HpkeSealed>,
        #[prost(bool, tag = "6")]
        replace: bool,
    }

    ShareDataKey {
        #[prost(string, tag = "1")]
        purpose: String,
        #[prost(uint32, tag = "2")]
        generation: u32,
        #[prost(message, optional, tag = "3")]
        sealed: Option<HpkeSealed>,
    }

    DataKeyName {
        #[prost(string, tag = "1")]
        purpose: String,
        #[prost(uint32, tag = "2")]
        generation: u32,
    }

    Reseal {
        /// The record's key.
        #[prost(bytes = "bytes", tag = "1")]
        holder: Bytes,
        #[prost(message, repeated, tag = "2")]
        secrets: Vec<Resealed>,
    }

    Resealed {
        #[prost(bytes = "bytes", tag = "1")]
        of: Bytes,
        #[prost(message, optional, tag = "2")]
        sealed: Option<Sealed>,
    }

    ResealCertificate {
        #[prost(bytes = "bytes", tag = "1")]
        id: Bytes,
        #[prost(bytes = "bytes", tag = "2")]
        leaf: Bytes,
        #[prost(message, optional, tag = "3")]
        key: Option<Sealed>,
    }
}
