//! Which certificates of others are trusted: the system's, and the owner's own authority.

use std::{io, path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::Config;

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file of the owner's authority cannot be read.
    #[error("read `{}` (tls.ca_file)", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no certificate of an authority in it.
    #[error("find the certificate of an authority in `{}` (tls.ca_file): {reason}", path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// Returns whom to trust in talking to a relay; nothing where the address needs no trust. Blocks.
///
/// # Errors
///
/// The owner's own file cannot be used.
pub fn for_address(url: &str, config: &Config) -> Result<Option<Arc<ClientConfig>>, TrustError> {
    match url.starts_with("https:") {
        true => trust(config).map(Some),
        false => Ok(None),
    }
}

/// Returns whom to trust. Reads the system's certificates, which takes some milliseconds. Blocks.
///
/// # Errors
///
/// The owner's own file cannot be used.
pub fn trust(config: &Config) -> Result<Arc<ClientConfig>, TrustError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in system.errors {
        tracing::warn!(%error, "cannot read some of the system's certificates");
    }
    roots.add_parsable_certificates(system.certs);
    let path = &config.tls_ca_file.value;
    if !path.as_os_str().is_empty() {
        add_own(&mut roots, path)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks the default versions");
    Ok(Arc::new(
        builder.with_root_certificates(roots).with_no_client_auth(),
    ))
}

fn add_own(roots: &mut RootCertStore, path: &PathBuf) -> Result<(), TrustError> {
    let none = |reason: String| TrustError::NoCertificate {
        path: path.clone(),
        reason,
    };
    let text = std::fs::read(path).map_err(|source| TrustError::Read {
        path: path.clone(),
        source,
    })?;
    let mut n_added = 0;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| none(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| none(error.to_string()))?;
        n_added += 1;
    }
    match n_added {
        0 => Err(none("it holds none in PEM".to_owned())),
        _ => Ok(()),
    }
}
