//! Events that GitHub posts to `/webhook`: a signature instead of a key. They become timeline
//! entries, never tasks.

use axum::http::HeaderMap;
use deskhand_protocol::{
    DeviceId, ErrorCode, Problem,
    webhook::{Received, ReceivedWord},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::State;

/// Tells whether a request says that it comes from GitHub.
pub(super) fn is_event(headers: &HeaderMap) -> bool {
    headers.contains_key("x-github-event")
}

/// Checks the signature over the raw body and stores the event.
pub(super) async fn receive(
    state: &State,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Received, Problem> {
    let invalid = || Problem::new(ErrorCode::InvalidSignature, "Invalid webhook signature");
    let github = state.github.as_ref().ok_or_else(invalid)?;
    let signature = text(headers, "x-hub-signature-256").ok_or_else(invalid)?;
    if !is_signed(github.secret.expose(), body, &signature) {
        return Err(invalid());
    }
    let payload: Value = serde_json::from_slice(body)
        .map_err(|_| Problem::new(ErrorCode::InvalidJson, "Invalid JSON payload"))?;
    let event = text(headers, "x-github-event").unwrap_or_default();
    let delivery_id = text(headers, "x-github-delivery");
    let devices: Vec<DeviceId> = state
        .devices
        .list()
        .iter()
        .filter(|device| {
            github.devices.as_ref().is_none_or(|named| {
                named
                    .iter()
                    .any(|n| *n == device.name || n == device.device_id.as_str())
            })
        })
        .map(|device| device.device_id.clone())
        .collect();
    let entry = json!({"type": "custom", "source": "github", "event": event,
                       "delivery_id": delivery_id, "data": payload});
    super::webhook::store_event(state, devices, entry, Some(event), delivery_id).await
}

/// `sha256=<hex>` over the raw body (GitHub, *Validating webhook deliveries*).
fn is_signed(secret: &str, body: &[u8], signature: &str) -> bool {
    let Some(hex) = signature.strip_prefix("sha256=") else {
        return false;
    };
    let Some(bytes) = from_hex(hex) else {
        return false;
    };
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    mac.verify_slice(&bytes).is_ok()
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).ok())
        .collect()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= 256).then(|| value.to_owned())
}

/// An event that was taken.
pub(super) fn received(
    n_notified: u32,
    event: Option<String>,
    delivery_id: Option<String>,
) -> Received {
    Received {
        status: ReceivedWord::Received,
        event,
        delivery_id,
        clients_notified: n_notified,
        queued: false,
        task_id: None,
        uid: None,
        task_url: None,
        replayed: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_checked_as_github_documents_it() {
        // The example of GitHub's documentation.
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(is_signed(
            "It's a Secret to Everybody",
            b"Hello, World!",
            signature
        ));
        assert!(!is_signed(
            "It's a Secret to Everybody",
            b"Hello, World?",
            signature
        ));
        for bad in ["", "sha256=", "sha256=zz", "sha256=é", &signature[7..]] {
            assert!(
                !is_signed("It's a Secret to Everybody", b"Hello, World!", bad),
                "{bad}"
            );
        }
    }
}
