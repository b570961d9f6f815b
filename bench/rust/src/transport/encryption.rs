//! TLS configuration of a plan.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::plan::{Plan, PlanError, Tls};

/// TLS configuration of the connections of a plan.
#[derive(Clone, Debug)]
pub struct Encryption {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Encryption {
    /// Make the configuration; None for a plan without TLS.
    ///
    /// # Errors
    /// The server name is invalid, or the authorities cannot be read.
    pub fn of(plan: &Plan) -> Result<Option<Self>, PlanError> {
        if plan.tls == Tls::None {
            return Ok(None);
        }
        let wrong = |field: &str, why: &dyn ToString| PlanError::at(field, &why.to_string());
        let name = ServerName::try_from(plan.server_name.clone())
            .map_err(|error| wrong("server_name", &error))?;
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = if plan.verify {
            let roots = Arc::new(authorities(plan.ca.as_deref())?);
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|error| wrong("ca", &error))?
        } else {
            Arc::new(AcceptAnyCertificate(Arc::clone(&provider)))
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("tls", &error))?
            .dangerous() // with `verify`, the verifier is the one of rustls
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        if !plan.tls_resumption {
            config.resumption = Resumption::disabled();
        }
        Ok(Some(Self {
            config: Arc::new(config),
            name,
        }))
    }

    /// Make the TLS state of a new connection.
    pub(super) fn connection(&self) -> Result<ClientConnection, Error> {
        ClientConnection::new(Arc::clone(&self.config), self.name.clone())
    }
}

fn authorities(path: Option<&str>) -> Result<RootCertStore, PlanError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = path {
        let wrong =
            |why: &dyn ToString| PlanError::at("ca", &format!("{path}: {}", why.to_string()));
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
            let certificate = certificate.map_err(|error| wrong(&error))?;
            roots.add(certificate).map_err(|error| wrong(&error))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        return Err(PlanError::at("ca", "no certificate authorities found"));
    }
    Ok(roots)
}

/// Accepts every certificate, since test servers use self-signed ones. Signatures are verified, so the
/// cost is that of a real client.
#[derive(Debug)]
struct AcceptAnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
