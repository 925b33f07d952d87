//! The keyring of the session: whether there is one, whether it is locked, and our entry in it.
//!
//! A keyring may show a dialogue and wait for its owner, so it is spoken to on a thread of its own and for
//! at most five seconds. Each conversation looks for it anew: it may come, or be unlocked, while this
//! program runs.

use std::{sync::mpsc, thread, time::Duration};

/// How long a keyring may take: an unlocked one answers in milliseconds, a locked one waits for its
/// owner.
const WITHIN: Duration = Duration::from_secs(5);

/// The name under which a keyring shows the entry.
pub(crate) const SERVICE: &str = "deskhand";

/// How the session's keyring is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keyring {
    /// It takes and gives entries.
    Unlocked,
    /// It is there, and waits for its owner's password.
    Locked,
    /// There is none, or none that holds anything.
    Absent,
}

/// Why an entry cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The keyring is locked, or did not answer in time, which means the same.
    Locked,
    /// It said no, or is not there.
    Said(String),
}

/// Looks how the keyring is. Blocks for up to five seconds; shows nothing to the owner.
pub fn status() -> Keyring {
    on_a_thread(|| Ok(store::status())).unwrap_or(Keyring::Absent)
}

/// Reads the entry of an account; none where the keyring has none.
pub(crate) fn get(account: &str) -> Result<Option<String>, Refusal> {
    let account = account.to_owned();
    let found = on_a_thread(move || match store::entry(&account)?.get_password() {
        Ok(text) => Ok(Some(text)),
        Err(keyring_core::Error::NoEntry) => Ok(None),
        Err(error) => Err(error),
    });
    match found {
        // A locked one may say that it has no such entry.
        Ok(None) | Err(Refusal::Said(_)) if status() == Keyring::Locked => Err(Refusal::Locked),
        found => found,
    }
}

/// Writes the entry of an account.
pub(crate) fn set(account: &str, text: String) -> Result<(), Refusal> {
    let account = account.to_owned();
    on_a_thread(move || store::entry(&account)?.set_password(&text))
}

/// Runs one conversation. One that hangs keeps its thread until it ends by itself: a thread that waits
/// for a dialogue cannot be stopped.
fn on_a_thread<T: Send + 'static>(
    talk: impl FnOnce() -> Result<T, keyring_core::Error> + Send + 'static,
) -> Result<T, Refusal> {
    let (answer, answered) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("keyring".to_owned())
        .spawn(move || {
            // Nobody listens any more when it took too long.
            let _ = answer.send(talk());
        })
        .map_err(|error| Refusal::Said(error.to_string()))?;
    match answered.recv_timeout(WITHIN) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Refusal::Said(said(&error))),
        Err(_) => Err(Refusal::Locked),
    }
}

/// Returns what a keyring said, without the bytes it may have found.
fn said(error: &keyring_core::Error) -> String {
    match error {
        keyring_core::Error::BadEncoding(_) | keyring_core::Error::BadDataFormat(..) => {
            "the entry is not what this program wrote".to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(target_os = "linux")]
mod store {
    use keyring_core::{Entry, api::CredentialStoreApi};
    use secret_service::{EncryptionType, blocking::SecretService};
    use zbus_secret_service_keyring_store::Store;

    use super::{Keyring, SERVICE};

    pub(super) fn entry(account: &str) -> keyring_core::Result<Entry> {
        Store::new()?.build(SERVICE, account, None)
    }

    pub(super) fn status() -> Keyring {
        // No secret travels.
        let Ok(service) = SecretService::connect(EncryptionType::Plain) else {
            return Keyring::Absent;
        };
        let collection = service.get_default_collection();
        match collection.and_then(|collection| collection.is_locked()) {
            Ok(true) => Keyring::Locked,
            Ok(false) => Keyring::Unlocked,
            Err(_) => Keyring::Absent,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod store {
    use keyring_core::Entry;

    use super::{Keyring, SERVICE};

    pub(super) fn entry(account: &str) -> keyring_core::Result<Entry> {
        Ok(keyring::v1::Entry::new(SERVICE, account)?.inner)
    }

    pub(super) fn status() -> Keyring {
        match keyring::v1::Entry::store_status() {
            Ok(()) => Keyring::Unlocked,
            Err(_) => Keyring::Absent,
        }
    }
}
