//! Holds each key to the requests a minute its owner gave it.
//!
//! A bucket per key, refilled evenly: a minute's worth may come at once. Answers carry what is left, as
//! `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10 say.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{Request, State as Extract},
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use deskhand_protocol::{ErrorCode, KeyId, Problem};
use tokio::time::Instant;

use super::{auth, error::problem, session};
use crate::State;

/// The window of every quota, in seconds.
const WINDOW_SECONDS: u32 = 60;

/// What is left of each key's quota. Keys without one are not in it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Quotas(Arc<Mutex<HashMap<KeyId, Bucket>>>);

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// How a quota stands after one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    quota: u32,
    left: u32,
    /// Seconds until there is one more.
    next: u32,
    refused: bool,
}

impl Quotas {
    fn take(&self, key: &KeyId, quota: u32, now: Instant) -> Standing {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = f64::from(quota);
        let per_second = full / f64::from(WINDOW_SECONDS);
        let bucket = buckets.entry(key.clone()).or_insert(Bucket {
            left: full,
            at: now,
        });
        let gained = now.duration_since(bucket.at).as_secs_f64() * per_second;
        bucket.left = (bucket.left + gained).min(full);
        bucket.at = now;
        let refused = bucket.left < 1.0;
        if !refused {
            bucket.left -= 1.0;
        }
        Standing {
            quota,
            left: bucket.left as u32,
            next: ((1.0 - bucket.left.fract()) / per_second).ceil().max(1.0) as u32,
            refused,
        }
    }

    /// Forgets a key that is no more.
    pub(crate) fn forget(&self, key: &KeyId) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.remove(key);
    }
}

/// Refuses a request whose key has used up its quota; a request without a valid key is not counted,
/// since it is refused by whoever needs one.
pub(super) async fn limit(
    Extract(state): Extract<State>,
    request: Request,
    next: Next,
) -> Response {
    let key = match auth::presented(request.headers()) {
        Some(_) => auth::key_of(&state, request.headers()),
        None => session::key_of(&state, request.headers()),
    };
    let quota = key
        .as_ref()
        .and_then(|key| Some((key.view.key_id.clone(), key.view.requests_per_minute?)));
    let Some((key, quota)) = quota else {
        return next.run(request).await;
    };
    let standing = state.quotas.take(&key, quota, Instant::now());
    let mut response = match standing.refused {
        true => problem(Problem::new(
            ErrorCode::RateLimited,
            format!("this key may make {quota} requests a minute"),
        )),
        false => next.run(request).await,
    };
    describe(&standing, response.headers_mut());
    response
}

fn describe(standing: &Standing, headers: &mut HeaderMap) {
    let Standing {
        quota, left, next, ..
    } = standing;
    let fields = [
        (
            "ratelimit-policy",
            format!("\"key\";q={quota};w={WINDOW_SECONDS}"),
        ),
        ("ratelimit", format!("\"key\";r={left};t={next}")),
    ];
    for (name, text) in fields {
        let value = HeaderValue::try_from(text).expect("digits and quotes are a header's value");
        headers.insert(name, value);
    }
    if standing.refused {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(*next));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_minutes_worth_may_come_at_once_and_comes_back_evenly() {
        let (quotas, key) = (Quotas::default(), "abcd".parse().unwrap());
        let begin = Instant::now();
        for left in (0..60).rev() {
            let standing = quotas.take(&key, 60, begin);
            assert_eq!((standing.left, standing.refused), (left, false));
        }
        let refused = quotas.take(&key, 60, begin);
        assert!(refused.refused);
        assert_eq!(refused.next, 1);
        let later = begin + Duration::from_millis(2_500);
        assert_eq!(quotas.take(&key, 60, later).left, 1);
        let much_later = later + Duration::from_secs(3_600);
        assert_eq!(quotas.take(&key, 60, much_later).left, 59);
    }
}
