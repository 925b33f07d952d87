//! What waits for the owner's answer: a page that a browser has open, and the question on the computer.
//!
//! A page is known by a secret in its address. The question goes to the computer that was enrolled first,
//! each time the page looks: whoever closes the page gives up, and a link that breaks loses nothing.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use deskhand_protocol::{
    DeviceId, ErrorCode, Problem, Secret, Timestamp,
    caller::{CallerAnswer, CallerRequest},
    device_request::{DeviceRequest, DeviceResponse},
    relay_request::Scope,
};

use super::clients::Client;
use crate::{
    State,
    clock::now,
    devices::Device,
    error::Fault,
    token::{self, Hash},
};

/// How long the owner may take.
const LIFETIME: Duration = Duration::from_secs(600);

/// Questions that are open at once: as many as a computer remembers.
const MAX_OPEN: usize = 8;

/// Questions of one address that are open at once. Pages of one household share one.
const MAX_OPEN_PER_ADDRESS: usize = 4;

/// Questions one address may begin within [`WINDOW`], well or badly.
const MAX_BEGUN: usize = 20;

/// Beginnings that are remembered; the oldest are forgotten.
const REMEMBERED: usize = 1_024;

/// The span in which they are counted.
const WINDOW: Duration = Duration::from_secs(600);

/// How long a computer may take to say how a question stands.
const ASK_WITHIN: Duration = Duration::from_secs(3);

/// What a program wants, checked, and what it gets once the owner says yes.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) client: Client,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) resource: String,
    pub(super) scopes: Vec<Scope>,
    pub(super) devices: Vec<DeviceId>,
    /// The program's own word, given back to it.
    pub(super) state: Option<String>,
    /// Our name, as the program knows it.
    pub(super) issuer: String,
}

/// The questions that are open.
#[derive(Debug, Default)]
pub(super) struct Consents(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    by_secret: HashMap<Hash, Consent>,
    begun: VecDeque<(IpAddr, Instant)>,
}

#[derive(Debug, Clone)]
struct Consent {
    wanted: Wanted,
    request_id: String,
    code: String,
    from: IpAddr,
    ends: Instant,
    expires_at: Timestamp,
}

/// How the page stands.
#[derive(Debug)]
pub(super) enum Look {
    /// Nobody answered yet.
    Waiting(Box<Waiting>),
    /// The owner said yes: the page is over.
    Allowed(Box<Wanted>),
    /// The owner said no, or nothing for ten minutes: the page is over.
    Refused(Box<Wanted>),
    /// There is no such page, or no more.
    Unknown,
}

/// What a page shows that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) wanted: Wanted,
    pub(super) code: String,
    /// The computer that asks, and why it does not.
    pub(super) device: Option<String>,
    pub(super) problem: Option<String>,
}

impl Consents {
    /// Refuses what would be one too many. It is counted even if nothing comes of it.
    pub(super) fn begin(&self, from: IpAddr) -> Result<(), Problem> {
        let mut open = self.lock();
        let own = open.by_secret.values().filter(|c| c.from == from).count();
        let begun = open.begun.iter().filter(|(by, _)| *by == from).count();
        let too_many =
            begun >= MAX_BEGUN || open.by_secret.len() >= MAX_OPEN || own >= MAX_OPEN_PER_ADDRESS;
        if too_many {
            let error = "too many programs ask to be let in";
            return Err(Problem::new(ErrorCode::RateLimited, error)
                .with_hint("answer those on your computer, or wait ten minutes"));
        }
        if open.begun.len() >= REMEMBERED {
            open.begun.pop_front();
        }
        open.begun.push_back((from, Instant::now()));
        Ok(())
    }

    /// Opens a page and returns its secret.
    pub(super) fn open(&self, wanted: Wanted, from: IpAddr) -> Result<Secret, Fault> {
        let (secret, hash) = token::mint_secret()?;
        let consent = Consent {
            wanted,
            request_id: token::mint_id()?,
            code: token::mint_digits()?,
            from,
            ends: Instant::now() + LIFETIME,
            expires_at: now() + LIFETIME,
        };
        self.lock().by_secret.insert(hash, consent);
        Ok(secret)
    }

    fn get(&self, hash: &Hash) -> Option<Consent> {
        self.lock().by_secret.get(hash).cloned()
    }

    /// Closes a page; nothing when another look did.
    fn close(&self, hash: &Hash) -> Option<Wanted> {
        Some(self.lock().by_secret.remove(hash)?.wanted)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A page that ended is kept a little longer, so that it hears that it did.
        open.by_secret
            .retain(|_, consent| consent.ends + Duration::from_secs(60) > Instant::now());
        while open
            .begun
            .front()
            .is_some_and(|(_, at)| at.elapsed() > WINDOW)
        {
            open.begun.pop_front();
        }
        open
    }
}

/// Looks how a page stands, and asks the computer.
pub(super) async fn look(state: &State, secret: &str) -> Result<Look, Problem> {
    let (consents, hash) = (&state.oauth.consents, token::hash(secret));
    let Some(consent) = consents.get(&hash) else {
        return Ok(Look::Unknown);
    };
    let closed = || consents.close(&hash).map(Box::new);
    if consent.ends <= Instant::now() {
        return Ok(closed().map_or(Look::Unknown, Look::Refused));
    }
    let device = confirming(state);
    let answer = match &device {
        Some(device) => ask(state, device, &consent).await,
        None => Err(Problem::new(
            ErrorCode::NoDevice,
            "no computer is enrolled with this relay",
        )),
    };
    let problem = match answer {
        Ok(CallerAnswer::Allowed) => return Ok(closed().map_or(Look::Unknown, Look::Allowed)),
        Ok(CallerAnswer::Refused) => return Ok(closed().map_or(Look::Unknown, Look::Refused)),
        Ok(CallerAnswer::Waiting) => None,
        Err(problem) => Some(problem.error),
    };
    Ok(Look::Waiting(Box::new(Waiting {
        wanted: consent.wanted,
        code: consent.code,
        device: device.map(|device| device.name.clone()),
        problem,
    })))
}

/// Returns the computer whose owner is asked: the one that was enrolled first.
fn confirming(state: &State) -> Option<std::sync::Arc<Device>> {
    state.devices.list().into_iter().next()
}

async fn ask(state: &State, device: &Device, consent: &Consent) -> Result<CallerAnswer, Problem> {
    let Consent { wanted, .. } = consent;
    let request = CallerRequest {
        request_id: consent.request_id.clone(),
        code: consent.code.clone(),
        client_name: wanted.client.name.clone(),
        client_host: wanted.client.host.clone(),
        relay_url: state.url(),
        scopes: wanted.scopes.clone(),
        devices: state.device_names(&wanted.devices),
        expires_at: consent.expires_at,
    };
    let asked = DeviceRequest::ConfirmCaller(request);
    match state
        .registry
        .ask(&device.device_id, asked, ASK_WITHIN)
        .await?
    {
        DeviceResponse::CallerConfirmation { answer } => Ok(answer),
        DeviceResponse::Problem { problem } => Err(problem),
        _ => Err(Problem::new(
            ErrorCode::Internal,
            "the computer answered something else",
        )),
    }
}
