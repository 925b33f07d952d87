//! The relay's certificate: read from files, read again when they change.
//!
//! The files are looked at every five seconds rather than watched: a renewal may write them in place,
//! rename over them or turn a link, and certificate and key change one after the other. A pair that
//! cannot be used is reported once and the one in force stays.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;

/// How often it is looked whether the files have changed.
const LOOK: Duration = Duration::from_secs(5);

/// Where a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that lead to its root, in PEM, its own first.
    pub certificate: PathBuf,
    /// The private key, in PEM: PKCS #8, PKCS #1 or SEC 1, without a passphrase.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("read `{}`", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no certificate in it.
    #[error("find a certificate in `{}`: it holds none in PEM", path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// There is no key in it.
    #[error("find a private key in `{}`: it holds none in PEM without a passphrase", path.display())]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
    /// They do not belong together, or are of a kind that is not supported.
    #[error("use `{}` with `{}`", files.certificate.display(), files.key.display())]
    Unusable {
        /// Both files.
        files: TlsFiles,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// A certificate that serves, and is replaced when its files change.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    seen: Contents,
    current: Arc<Current>,
}

/// What is in the two files.
type Contents = (Vec<u8>, Vec<u8>);

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(
            self.0
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        )
    }
}

impl Tls {
    /// Reads a certificate and its key. Blocks.
    ///
    /// # Errors
    ///
    /// A file cannot be read or holds something else, or the two do not belong together.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let seen = read(&files)?;
        let key = parse(&files, &seen)?;
        Ok(Self {
            files,
            seen,
            current: Arc::new(Current(RwLock::new(Arc::new(key)))),
        })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks the default versions")
            .with_no_client_auth()
            .with_cert_resolver(self.current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config).into()
    }

    /// Looks at the files for ever.
    pub(crate) async fn keep_fresh(mut self) {
        let mut look = tokio::time::interval(LOOK);
        let mut was_read = true;
        loop {
            look.tick().await;
            let files = self.files.clone();
            let Ok(contents) = tokio::task::spawn_blocking(move || read(&files)).await else {
                continue;
            };
            match contents {
                Ok(contents) => {
                    was_read = true;
                    self.take(contents);
                }
                Err(error) if was_read => {
                    was_read = false;
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "keeping the certificate in force"
                    );
                }
                Err(_) => {}
            }
        }
    }

    fn take(&mut self, contents: Contents) {
        if contents == self.seen {
            return;
        }
        match parse(&self.files, &contents) {
            Ok(key) => {
                let mut current = self
                    .current
                    .0
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(key);
                tracing::info!(file = %self.files.certificate.display(), "took a new certificate");
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "keeping the certificate in force"
                );
            }
        }
        self.seen = contents;
    }
}

fn read(files: &TlsFiles) -> Result<Contents, TlsError> {
    let read = |path: &Path| {
        fs::read(path).map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })
    };
    Ok((read(&files.certificate)?, read(&files.key)?))
}

fn parse(files: &TlsFiles, (certificate, key): &Contents) -> Result<CertifiedKey, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| TlsError::NoCertificate {
        path: files.certificate.clone(),
    })?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey {
        path: files.key.clone(),
    })?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|source| {
        TlsError::Unusable {
            files: files.clone(),
            source,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair(tempfile::TempDir);

    impl Pair {
        fn files(&self) -> TlsFiles {
            TlsFiles {
                certificate: self.0.path().join("cert.pem"),
                key: self.0.path().join("key.pem"),
            }
        }

        fn write(&self) {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            fs::write(self.files().certificate, made.cert.pem()).unwrap();
            fs::write(self.files().key, made.signing_key.serialize_pem()).unwrap();
        }
    }

    fn pair() -> Pair {
        let pair = Pair(tempfile::tempdir().unwrap());
        pair.write();
        pair
    }

    fn serves(tls: &Tls) -> Vec<u8> {
        let key = tls.current.0.read().unwrap().clone();
        key.cert[0].to_vec()
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let (pair, other) = (pair(), pair());
        let files = pair.files();
        let fault = |files: TlsFiles| Tls::load(files).unwrap_err().to_string();
        let missing = TlsFiles {
            key: "/no/such/key.pem".into(),
            ..files.clone()
        };
        assert_eq!(fault(missing), "read `/no/such/key.pem`");
        let swapped = TlsFiles {
            certificate: files.key.clone(),
            key: files.certificate.clone(),
        };
        assert!(fault(swapped).starts_with("find a certificate in"));
        let no_key = TlsFiles {
            key: files.certificate.clone(),
            ..files.clone()
        };
        assert!(fault(no_key).starts_with("find a private key in"));
        let mixed = TlsFiles {
            key: other.files().key,
            ..files
        };
        assert!(fault(mixed).starts_with("use `"));
    }

    #[test]
    fn a_pair_in_the_middle_of_its_renewal_does_not_replace_the_one_in_force() {
        let pair = pair();
        let mut tls = Tls::load(pair.files()).unwrap();
        let first = serves(&tls);
        let old_key = fs::read(pair.files().key).unwrap();
        pair.write();
        let (certificate, key) = read(&pair.files()).unwrap();
        tls.take((certificate.clone(), old_key));
        assert_eq!(serves(&tls), first);
        tls.take((certificate, key));
        assert_ne!(serves(&tls), first);
    }
}
