//! Codes that a browser carries from the page to the program: good for a minute, once. One that is shown
//! a second time ends what it gave the first time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deskhand_protocol::{KeyId, Secret};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::consents::Wanted;
use crate::{
    error::Fault,
    token::{self, Hash},
};

/// How long a code is good for.
const LIFETIME: Duration = Duration::from_secs(60);

/// How long a used one is remembered, to know it again.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Codes that are remembered at once: each was confirmed by the owner, two digits at a time.
const MAX_CODES: usize = 1_000;

/// The codes.
#[derive(Debug, Default)]
pub(super) struct Codes(Mutex<HashMap<Hash, Code>>);

#[derive(Debug)]
struct Code {
    made: Instant,
    wanted: Option<Wanted>,
    /// What it gave.
    gave: Option<KeyId>,
    /// It was shown again before it had given anything.
    again: bool,
}

/// What became of a code that was shown.
#[derive(Debug)]
pub(super) enum Redeemed {
    /// It is good, and used from now on; [`Codes::gave`] is to be told what it gave.
    Good(Box<Wanted>),
    /// It is none, or has ended.
    Unknown,
    /// It was used before, and gave this.
    Replayed(Option<KeyId>),
}

impl Codes {
    /// Makes a code for what the owner confirmed.
    pub(super) fn make(&self, wanted: Wanted) -> Result<Secret, Fault> {
        let (code, hash) = token::mint_oauth("dc_")?;
        let mut codes = self.lock();
        if codes.len() >= MAX_CODES
            && let Some(oldest) = codes.iter().min_by_key(|(_, code)| code.made)
        {
            let oldest = *oldest.0;
            codes.remove(&oldest);
        }
        codes.insert(
            hash,
            Code {
                made: Instant::now(),
                wanted: Some(wanted),
                gave: None,
                again: false,
            },
        );
        Ok(code)
    }

    /// Takes a code. Whatever is wrong with the rest of the request, it is used.
    pub(super) fn redeem(&self, code: &str) -> Redeemed {
        let mut codes = self.lock();
        let Some(code) = codes.get_mut(&token::hash(code)) else {
            return Redeemed::Unknown;
        };
        match code.wanted.take() {
            Some(_) if code.made.elapsed() > LIFETIME => Redeemed::Unknown,
            Some(wanted) => Redeemed::Good(Box::new(wanted)),
            None => {
                code.again = true;
                Redeemed::Replayed(code.gave.clone())
            }
        }
    }

    /// Notes what a code gave; false when it was shown again meanwhile.
    pub(super) fn gave(&self, code: &str, key: &KeyId) -> bool {
        match self.lock().get_mut(&token::hash(code)) {
            Some(code) => {
                code.gave = Some(key.clone());
                !code.again
            }
            None => true,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Hash, Code>> {
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|_, code| code.made.elapsed() <= REMEMBERED);
        codes
    }
}

/// Tells whether a verifier is the one of a challenge, by S256 of RFC 7636.
pub(super) fn proves(verifier: &str, challenge: &str) -> bool {
    let is_one = (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    let hashed = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    is_one && bool::from(hashed.as_bytes().ct_eq(challenge.as_bytes()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_verifier_proves_its_challenge() {
        // The example of RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(super::proves(verifier, challenge));
        assert!(!super::proves(challenge, challenge));
        assert!(!super::proves("", challenge));
    }
}
