//! Programs that ask to be let in at the relay: the owner says here whether they may.
//!
//! The relay asks again and again how a question stands, so nothing is lost when the link is: an agent
//! that was restarted hears the question anew. Only this computer's window and command line answer, and
//! only with the two digits that the page in the browser shows.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use deskhand_protocol::{
    ErrorCode, Problem, Timestamp,
    caller::{CallerAnswer, CallerRequest, CallerRequestView},
    characters::in_sight,
    relay_request::Scope,
};
use rand::seq::SliceRandom;

use crate::device::Device;

/// Questions that are remembered at once.
const MAX_REQUESTS: usize = 8;

/// How long a question stays at most, whatever the relay says.
const LIFETIME: Duration = Duration::from_secs(600);

/// Longest text of a question, in characters.
const TEXT: usize = 128;

/// Most computers a question names.
const MAX_DEVICES: usize = 64;

/// The questions, oldest first.
#[derive(Debug, Default)]
pub(crate) struct CallerRequests(Mutex<Vec<Asked>>);

#[derive(Debug)]
struct Asked {
    view: CallerRequestView,
    code: String,
    answer: CallerAnswer,
}

impl CallerRequests {
    /// Takes a question, or says how one stands that is known.
    pub(crate) fn ask(
        &self,
        request: CallerRequest,
        now: Timestamp,
    ) -> Result<CallerAnswer, Problem> {
        let mut asked = self.lock(now);
        let known = asked
            .iter()
            .find(|known| known.view.request_id == request.request_id);
        if let Some(known) = known {
            return Ok(known.answer);
        }
        if asked.len() >= MAX_REQUESTS {
            let error = "8 programs ask to be let in already";
            return Err(Problem::new(ErrorCode::RateLimited, error));
        }
        asked.push(Asked::new(request, now)?);
        Ok(CallerAnswer::Waiting)
    }

    /// Lists the questions nobody answered yet.
    pub(crate) fn open(&self, now: Timestamp) -> Vec<CallerRequestView> {
        let asked = self.lock(now);
        let open = asked.iter().filter(|a| a.answer == CallerAnswer::Waiting);
        open.map(|asked| asked.view.clone()).collect()
    }

    /// Answers a question, and returns the answer and who asked. Another code than the page's refuses.
    fn answer(
        &self,
        request_id: &str,
        code: Option<&str>,
        now: Timestamp,
    ) -> Result<(CallerAnswer, CallerRequestView), Problem> {
        let mut asked = self.lock(now);
        let found = asked.iter_mut().find(|a| a.view.request_id == request_id);
        let Some(asked) = found else {
            let error = "no program asks to be let in by that id";
            return Err(Problem::new(ErrorCode::NoSuchQuestion, error));
        };
        if asked.answer != CallerAnswer::Waiting {
            return Err(Problem::new(
                ErrorCode::AlreadyAnswered,
                "this was answered before",
            ));
        }
        asked.answer = match code == Some(asked.code.as_str()) {
            true => CallerAnswer::Allowed,
            false => CallerAnswer::Refused,
        };
        Ok((asked.answer, asked.view.clone()))
    }

    fn lock(&self, now: Timestamp) -> std::sync::MutexGuard<'_, Vec<Asked>> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|asked| asked.view.expires_at > now);
        asked
    }
}

impl Asked {
    fn new(request: CallerRequest, now: Timestamp) -> Result<Self, Problem> {
        let is_code = |code: &str| code.len() == 2 && code.bytes().all(|b| b.is_ascii_digit());
        if !is_code(&request.code) || request.request_id.is_empty() {
            let error = "a program is let in by an id and two digits";
            return Err(Problem::new(ErrorCode::InvalidRequest, error));
        }
        let longest = now + LIFETIME;
        let view = CallerRequestView {
            request_id: seen(&request.request_id),
            codes: among_others(&request.code),
            client_name: seen(&request.client_name),
            client_host: seen(&request.client_host),
            relay_url: seen(&request.relay_url),
            scopes: request.scopes.into_iter().take(Scope::ALL.len()).collect(),
            devices: request
                .devices
                .iter()
                .take(MAX_DEVICES)
                .map(|name| seen(name))
                .collect(),
            expires_at: request.expires_at.min(longest),
        };
        Ok(Self {
            view,
            code: request.code,
            answer: CallerAnswer::Waiting,
        })
    }
}

/// Answers a question in the owner's name, and writes it into the audit trail.
pub(crate) fn answer(
    device: &Arc<Device>,
    request_id: &str,
    code: Option<&str>,
) -> Result<CallerAnswer, Problem> {
    let now = Timestamp::now();
    let (answer, asked) = device.caller_requests.answer(request_id, code, now)?;
    let did = match (answer, code) {
        (CallerAnswer::Allowed, _) => "let in",
        (_, Some(_)) => "refused, by a wrong code,",
        (_, None) => "refused",
    };
    let how = format!("{did} {} ({})", asked.client_name, asked.client_host);
    device.note_change("callers", how);
    Ok(answer)
}

/// Puts a code among two others, in order, so that its place says nothing.
fn among_others(code: &str) -> Vec<String> {
    let mut others: Vec<String> = (10..100)
        .map(|n: u8| n.to_string())
        .filter(|other| other != code)
        .collect();
    others.shuffle(&mut rand::rng());
    let mut codes = vec![code.to_owned()];
    codes.extend(others.into_iter().take(2));
    codes.sort();
    codes
}

/// Returns a text as it can be shown: bounded, with every character in sight.
fn seen(text: &str) -> String {
    in_sight(&text.chars().take(TEXT).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str) -> CallerRequest {
        CallerRequest {
            request_id: id.to_owned(),
            code: "42".to_owned(),
            client_name: "Mail\u{202e}reader\n".to_owned(),
            client_host: "mail.example".to_owned(),
            relay_url: "https://relay.example".to_owned(),
            scopes: vec![Scope::TasksRun],
            devices: vec!["laptop".to_owned()],
            expires_at: Timestamp::now() + Duration::from_secs(3_600),
        }
    }

    #[test]
    fn the_right_code_lets_in_and_any_other_refuses_for_good() {
        let (requests, now) = (CallerRequests::default(), Timestamp::now());
        for id in ["right", "wrong", "none"] {
            let asked = requests.ask(request(id), now);
            assert_eq!(asked, Ok(CallerAnswer::Waiting));
        }
        let answer = |id, code| requests.answer(id, code, now).map(|(answer, _)| answer);
        assert_eq!(answer("right", Some("42")), Ok(CallerAnswer::Allowed));
        assert_eq!(answer("wrong", Some("43")), Ok(CallerAnswer::Refused));
        assert_eq!(answer("none", None), Ok(CallerAnswer::Refused));
        let again = answer("wrong", Some("42")).unwrap_err();
        assert_eq!(again.code, ErrorCode::AlreadyAnswered);
        let stands = |id| requests.ask(request(id), now).unwrap();
        assert_eq!(stands("right"), CallerAnswer::Allowed);
        assert_eq!(stands("wrong"), CallerAnswer::Refused);
        assert!(requests.open(now).is_empty());
    }

    #[test]
    fn a_question_is_bounded_and_closes_after_ten_minutes() {
        let (requests, now) = (CallerRequests::default(), Timestamp::now());
        for n in 0..MAX_REQUESTS {
            requests.ask(request(&n.to_string()), now).unwrap();
        }
        let refused = requests.ask(request("more"), now).unwrap_err();
        assert_eq!(refused.code, ErrorCode::RateLimited);
        let view = &requests.open(now)[0];
        assert_eq!(view.client_name, r"Mail\u{202e}reader\n");
        assert_eq!(view.codes.len(), 3);
        assert!(view.codes.contains(&"42".to_owned()));
        let later = now + Duration::from_secs(601);
        assert!(requests.open(later).is_empty());
        let late = requests.answer("0", Some("42"), later).unwrap_err();
        assert_eq!(late.code, ErrorCode::NoSuchQuestion);
    }
}
