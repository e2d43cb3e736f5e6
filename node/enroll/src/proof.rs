//! The proof that somebody holds a token, bound to the TLS connection and to all
//! that is asked for: nobody in the middle can use it elsewhere or for another
//! key, name or address.

use aws_lc_rs::{digest, hmac};

/// Label under which keying material is exported from the connection (RFC 8446
/// section 7.5).
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-hostquorum-enrollment";

/// Keying material of one connection, the same on both of its ends.
pub type Exporter = [u8; 32];

/// What somebody asks for with a token.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// To be a member.
    Join {
        /// PKCS #10 (DER).
        csr: &'a [u8],
        /// X25519.
        hpke_public_key: &'a [u8],
        /// What its operator calls it.
        node_name: &'a str,
        /// host:port.
        peer_address: &'a str,
        /// host:port.
        admin_address: &'a str,
    },
    /// To be an operator.
    Login {
        /// PKCS #10 (DER).
        csr: &'a [u8],
        /// As the audit will show it.
        name: &'a str,
    },
}

/// HMAC-SHA256 under the token's verifier over the connection and the request.
pub fn prove(verifier: &[u8; 32], exporter: &Exporter, request: Request<'_>) -> [u8; 32] {
    let tag = hmac::sign(&key(verifier), &message(exporter, request));
    let mut mac = [0; 32];
    mac.copy_from_slice(tag.as_ref());
    mac
}

/// True if that is the proof; takes as long whichever byte differs.
pub fn check(verifier: &[u8; 32], exporter: &Exporter, request: Request<'_>, mac: &[u8]) -> bool {
    hmac::verify(&key(verifier), &message(exporter, request), mac).is_ok()
}

/// What a cloud's word for a machine is bound to: SHA-256 over the connection and the request.
pub fn digest(exporter: &Exporter, request: Request<'_>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"hostquorum machine");
    context.update(&message(exporter, request));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

fn key(verifier: &[u8; 32]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, verifier)
}

/// Each part with its length before it, so that no two requests have one message.
fn message(exporter: &Exporter, request: Request<'_>) -> Vec<u8> {
    let mut message = exporter.to_vec();
    let mut part = |bytes: &[u8]| {
        message.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        message.extend_from_slice(bytes);
    };
    match request {
        Request::Join {
            csr,
            hpke_public_key,
            node_name,
            peer_address,
            admin_address,
        } => {
            part(b"join");
            part(digest::digest(&digest::SHA256, csr).as_ref());
            part(hpke_public_key);
            part(node_name.as_bytes());
            part(peer_address.as_bytes());
            part(admin_address.as_bytes());
        }
        Request::Login { csr, name } => {
            part(b"login");
            part(digest::digest(&digest::SHA256, csr).as_ref());
            part(name.as_bytes());
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOIN: Request<'_> = Request::Join {
        csr: b"csr",
        hpke_public_key: b"hpke",
        node_name: "a",
        peer_address: "10.0.0.1:1",
        admin_address: "10.0.0.1:2",
    };

    #[test]
    fn a_digest_is_of_one_request_on_one_connection() {
        let digest = digest(&[9; 32], JOIN);
        assert_eq!(digest, super::digest(&[9; 32], JOIN));
        assert_ne!(digest, super::digest(&[8; 32], JOIN), "another connection");
        let Request::Join {
            csr,
            hpke_public_key,
            peer_address,
            admin_address,
            ..
        } = JOIN
        else {
            unreachable!("it is a join")
        };
        let renamed = Request::Join {
            csr,
            hpke_public_key,
            node_name: "b",
            peer_address,
            admin_address,
        };
        assert_ne!(digest, super::digest(&[9; 32], renamed), "another name");
    }

    #[test]
    fn only_the_very_request_on_the_very_connection_is_proven() {
        let (verifier, exporter) = ([7; 32], [9; 32]);
        let mac = prove(&verifier, &exporter, JOIN);
        assert!(check(&verifier, &exporter, JOIN, &mac));
        assert!(!check(&[8; 32], &exporter, JOIN, &mac), "another token");
        assert!(
            !check(&verifier, &[8; 32], JOIN, &mac),
            "another connection"
        );
        assert!(
            !check(&verifier, &exporter, JOIN, &mac[..31]),
            "a shorter proof"
        );
        assert!(!check(&verifier, &exporter, JOIN, &[]), "no proof");
        let join =
            |csr: &'static [u8], hpke: &'static [u8], text: [&'static str; 3]| Request::Join {
                csr,
                hpke_public_key: hpke,
                node_name: text[0],
                peer_address: text[1],
                admin_address: text[2],
            };
        let tampered = [
            (
                "key",
                join(b"CSR", b"hpke", ["a", "10.0.0.1:1", "10.0.0.1:2"]),
            ),
            (
                "hpke",
                join(b"csr", b"HPKE", ["a", "10.0.0.1:1", "10.0.0.1:2"]),
            ),
            (
                "name",
                join(b"csr", b"hpke", ["b", "10.0.0.1:1", "10.0.0.1:2"]),
            ),
            (
                "peer",
                join(b"csr", b"hpke", ["a", "10.0.0.2:1", "10.0.0.1:2"]),
            ),
            (
                "admin",
                join(b"csr", b"hpke", ["a", "10.0.0.1:1", "10.0.0.2:2"]),
            ),
            (
                "boundary",
                join(b"csr", b"hpke", ["a1", "0.0.0.1:1", "10.0.0.1:2"]),
            ),
            (
                "kind",
                Request::Login {
                    csr: b"csr",
                    name: "a",
                },
            ),
        ];
        for (what, request) in tampered {
            assert!(!check(&verifier, &exporter, request, &mac), "{what}");
        }
    }
}
