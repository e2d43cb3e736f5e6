//! The verifier of operators' certificates: chain, dates, names, and the key that
//! the cluster knows. A caller without a certificate passes: it may redeem a token.

use std::{io, sync::Arc};

use enroll::chain::ChainError;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

use super::{NotAnOperator, Operators};
use crate::tls::Signatures;

#[derive(Debug)]
pub(super) struct OperatorVerifier {
    operators: Operators,
    signatures: Signatures,
}

impl OperatorVerifier {
    pub(super) fn new(operators: Operators, signatures: Signatures) -> Self {
        Self {
            operators,
            signatures,
        }
    }
}

/// Why the verifier said no, if the handshake failed for that.
pub(super) fn not_an_operator(error: &io::Error) -> Option<NotAnOperator> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(CertificateError::Expired) => Some(ChainError::Expired.into()),
        Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) => {
            reason.downcast_ref().cloned()
        }
        _ => None,
    }
}

impl ClientCertVerifier for OperatorVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.operators.identify(end_entity, intermediates, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            // Its own alert: an operator whose certificate ended can be told so.
            Err(NotAnOperator::Chain(ChainError::Expired)) => Err(CertificateError::Expired.into()),
            Err(reason) => Err(CertificateError::Other(OtherError(Arc::new(reason))).into()),
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
