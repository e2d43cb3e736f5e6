//! The verifier of both ends of a link: the committed key, and nothing else.

use std::{io, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use state::NodeId;

use crate::{
    roster::{NotAMember, Roster},
    tls::Signatures,
};

/// Accepts any member, or only the one that is called.
#[derive(Debug)]
pub(super) struct PeerVerifier {
    roster: Arc<Roster>,
    expected: Option<NodeId>,
    signatures: Signatures,
}

impl PeerVerifier {
    pub(super) fn of_callers(roster: Arc<Roster>, signatures: Signatures) -> Self {
        Self {
            roster,
            expected: None,
            signatures,
        }
    }

    pub(super) fn of(node: NodeId, roster: Arc<Roster>, signatures: Signatures) -> Self {
        Self {
            roster,
            expected: Some(node),
            signatures,
        }
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), NotAMember> {
        let found = self.roster.identify(leaf, others, now)?;
        match self.expected {
            Some(expected) if expected != found => Err(NotAMember::Other { expected, found }),
            _ => Ok(()),
        }
    }
}

/// Why the verifier said no, if the handshake failed for that.
pub(super) fn not_a_member(error: &io::Error) -> Option<NotAMember> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) => {
            reason.downcast_ref().copied()
        }
        Error::InvalidCertificate(CertificateError::Revoked) => Some(NotAMember::Removed),
        Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            Some(NotAMember::Unknown)
        }
        _ => None,
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, now)
            .map(|()| ServerCertVerified::assertion())
            .map_err(|reason| CertificateError::Other(OtherError(Arc::new(reason))).into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.refuse_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    /// The kind of error becomes the alert that the caller sees: `certificate_revoked`
    /// tells a removed node so, `access_denied` anybody else.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.verify(end_entity, intermediates, now) {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(NotAMember::Removed) => Err(CertificateError::Revoked.into()),
            Err(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.refuse_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.schemes()
    }
}
