//! Caller keys and device tokens: `dh_<key id>_<secret>`, `dd_<device id>_<secret>`. What OAuth hands out
//! has a prefix and no id: `do_<secret>` gives access, `dr_<secret>` gets another of both, `dc_<secret>` is
//! a code.
//!
//! The secret is 256 random bits in 43 characters of base64url. Only its SHA-256 is stored: a random
//! secret of that length needs no slow hash.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deskhand_protocol::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// SHA-256 of a secret.
pub(crate) type Hash = [u8; 32];

/// Which kind of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A caller key.
    Key,
    /// A device token.
    Device,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Kind::Key => "dh_",
            Kind::Device => "dd_",
        }
    }
}

/// Letters and digits of an id; no vowels, so that no word appears.
const ID_ALPHABET: &[u8] = b"bcdfghjkmnpqrstvwxz23456789";

/// Letters and digits of a pairing code, without look-alikes.
const CODE_ALPHABET: &[u8] = b"ABCDEFGHJKMNPQRSTUVWXYZ23456789";

/// The system has no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("read random bytes: {0}")]
pub(crate) struct NoRandomness(getrandom::Error);

/// Makes an id of ten characters.
pub(crate) fn mint_id() -> Result<String, NoRandomness> {
    random_text(ID_ALPHABET, 10)
}

/// Makes a pairing code of eight characters.
pub(crate) fn mint_code() -> Result<String, NoRandomness> {
    random_text(CODE_ALPHABET, 8)
}

/// Makes a token for an id, and the hash to store.
pub(crate) fn mint(kind: Kind, id: &str) -> Result<(Secret, Hash), NoRandomness> {
    let secret = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let hash = hash(&secret);
    Ok((Secret::new(format!("{}{id}_{secret}", kind.prefix())), hash))
}

/// Makes a secret that has no id, and its hash.
pub(crate) fn mint_secret() -> Result<(Secret, Hash), NoRandomness> {
    let secret = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let hash = hash(&secret);
    Ok((Secret::new(secret), hash))
}

/// Makes what OAuth hands out, and the hash to store: it covers the prefix, so that one kind is never
/// taken for another.
pub(crate) fn mint_oauth(prefix: &str) -> Result<(Secret, Hash), NoRandomness> {
    let text = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random::<32>()?));
    let hash = hash(&text);
    Ok((Secret::new(text), hash))
}

/// Makes the two digits by which a page and a computer recognise each other.
pub(crate) fn mint_digits() -> Result<String, NoRandomness> {
    let tens = random_text(b"123456789", 1)?;
    Ok(tens + &random_text(b"0123456789", 1)?)
}

/// Makes a key that signs.
pub(crate) fn mint_signing_key() -> Result<Hash, NoRandomness> {
    random()
}

/// Makes the secret of a stream ticket.
pub(crate) fn mint_ticket() -> Result<String, NoRandomness> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// Splits a token into its id and the hash of its secret.
pub(crate) fn parse(kind: Kind, token: &str) -> Option<(&str, Hash)> {
    // The secret may contain underscores, the id never does.
    let (id, secret) = token.strip_prefix(kind.prefix())?.split_once('_')?;
    Some((id, hash(secret)))
}

/// Compares hashes in constant time.
pub(crate) fn same(a: &Hash, b: &Hash) -> bool {
    a.ct_eq(b).into()
}

/// Hashes a secret or a code.
pub(crate) fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// Returns random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

fn random_text(alphabet: &[u8], length: usize) -> Result<String, NoRandomness> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        for byte in random::<16>()? {
            // Bytes beyond the last whole multiple would make some letters likelier.
            let fair = 256 / alphabet.len() * alphabet.len();
            if usize::from(byte) < fair && text.len() < length {
                text.push(char::from(alphabet[usize::from(byte) % alphabet.len()]));
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_split_into_its_id_and_its_secret() {
        let id = mint_id().unwrap();
        let (token, stored) = mint(Kind::Key, &id).unwrap();
        assert_eq!(token.expose().len(), 3 + 10 + 1 + 43);
        let (found, presented) = parse(Kind::Key, token.expose()).unwrap();
        assert_eq!(found, id);
        assert!(same(&stored, &presented));
        assert!(parse(Kind::Device, token.expose()).is_none());
        assert!(!same(
            &stored,
            &parse(Kind::Key, &format!("dh_{id}_x")).unwrap().1
        ));
    }

    #[test]
    fn a_code_has_no_look_alikes() {
        let code = mint_code().unwrap();
        assert_eq!(code.len(), 8);
        assert!(!code.contains(['0', 'O', '1', 'I', 'L']), "{code}");
    }
}
