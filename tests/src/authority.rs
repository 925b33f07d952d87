//! An authority that certifies relays of this computer.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Gives rustls its algorithms, for clients that are made without more ado.
pub(crate) fn install_algorithms() {
    // Fails when the process has them already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// An authority of its own.
#[derive(Debug)]
pub struct TestAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl TestAuthority {
    /// Makes an authority nobody knows.
    #[expect(clippy::new_without_default, reason = "each one is another")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    /// Returns its certificate, in PEM.
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// Writes its certificate into a directory.
    pub fn write(&self, dir: &Path) -> PathBuf {
        let file = dir.join("authority.pem");
        std::fs::write(&file, self.certificate()).unwrap();
        file
    }

    /// Certifies this computer and writes certificate and key into a directory.
    pub fn issue(&self, dir: &Path) -> (PathBuf, PathBuf) {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = (dir.join("cert.pem"), dir.join("key.pem"));
        std::fs::write(&files.1, key.serialize_pem()).unwrap();
        std::fs::write(&files.0, certificate.pem()).unwrap();
        files
    }
}
