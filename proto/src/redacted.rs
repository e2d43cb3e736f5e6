//! Messages that hold secrets, as logs may show them: all but the secret.

use std::fmt;

use crate::{admin, backup, cluster, peer};

/// Stands in the place of a secret, so that its absence can be told from its presence.
struct Held(bool);

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "(held back)" } else { "(none)" })
    }
}

impl fmt::Debug for admin::v1::ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount")
            .field("key_id", &self.key_id)
            .field("hmac", &Held(!self.hmac.is_empty()))
            .finish()
    }
}

impl fmt::Debug for cluster::v1::ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount")
            .field("key_id", &self.key_id)
            .field("hmac", &Held(!self.hmac.is_empty()))
            .finish()
    }
}

impl fmt::Debug for backup::v1::Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("purpose", &self.purpose)
            .field("generation", &self.generation)
            .field("secret", &Held(!self.secret.is_empty()))
            .finish()
    }
}

impl fmt::Debug for admin::v1::UploadCertificateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadCertificateRequest")
            .field("hostname", &self.hostname)
            .field("chain_pem", &self.chain_pem)
            .field("private_key_pem", &Held(!self.private_key_pem.is_empty()))
            .field("move_at", &self.move_at)
            .field("keep", &self.keep)
            .field("revision", &self.revision)
            .finish()
    }
}

impl fmt::Debug for admin::v1::OriginIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginIdentity")
            .field("off", &self.off)
            .field("certificate_pem", &self.certificate_pem)
            .field("private_key_pem", &Held(!self.private_key_pem.is_empty()))
            .finish()
    }
}

impl fmt::Debug for admin::v1::CreateInvitationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateInvitationResponse")
            .field("invitation", &self.invitation)
            .field("token", &Held(!self.token.is_empty()))
            .finish()
    }
}

impl fmt::Debug for peer::v1::ShareTicketSecretReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShareTicketSecretReply")
            .field("lineage", &self.lineage)
            .field("epoch", &self.epoch)
            .field("secret", &Held(!self.secret.is_empty()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let secret = "c2VjcmV0".to_owned();
        let shown = [
            format!(
                "{:?}",
                admin::v1::ExternalAccount {
                    key_id: "kid".to_owned(),
                    hmac: secret.clone(),
                }
            ),
            format!(
                "{:?}",
                cluster::v1::ExternalAccount {
                    key_id: "kid".to_owned(),
                    hmac: secret.clone(),
                }
            ),
            format!(
                "{:?}",
                admin::v1::UploadCertificateRequest {
                    private_key_pem: secret.clone(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                admin::v1::OriginIdentity {
                    private_key_pem: secret.clone(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                admin::v1::CreateInvitationResponse {
                    invitation: None,
                    token: secret.clone(),
                }
            ),
            format!(
                "{:?}",
                peer::v1::ShareTicketSecretReply {
                    secret: secret.clone().into(),
                    ..Default::default()
                }
            ),
        ];
        for text in shown {
            assert!(
                !text.contains(&secret) && text.contains("held back"),
                "{text}"
            );
        }
    }
}
