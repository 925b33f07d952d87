//! The page a program sends the owner's browser to. It runs no script and asks for nothing: it shows what
//! is wanted and two digits, and looks again by itself until the computer has been answered.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use deskhand_protocol::{ErrorCode, Problem, relay_request::Scope};
use sha2::{Digest, Sha256};

use super::{consents::Waiting, redirects};
use crate::State;

/// How often the page looks, in seconds.
const LOOK_SECONDS: &str = "2";

const STYLE: &str = "\
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
body{margin:0;display:grid;place-items:center;min-height:100vh;padding:1rem;box-sizing:border-box}\
main{max-width:28rem;width:100%}\
h1{font-size:1.25rem;line-height:1.3;margin:0 0 1rem}\
.code{font:600 4rem/1.2 ui-monospace,monospace;letter-spacing:.1em;text-align:center;margin:1rem 0;\
border:1px solid;border-radius:.75rem;padding:.5rem}\
dt{font-weight:600;margin-top:.75rem}dd{margin:0}ul{margin:0;padding-left:1.25rem}\
.quiet{opacity:.75;font-size:.9rem}\
[role=alert]{border-left:4px solid;padding-left:.75rem}";

/// Shows what waits for the owner's answer.
pub(super) fn waiting(state: &State, waiting: &Waiting) -> Response {
    let Waiting {
        wanted,
        code,
        device,
        problem,
    } = waiting;
    let client = &wanted.client;
    let scopes: String = wanted
        .scopes
        .iter()
        .map(|scope| format!("<li>{}</li>", says(*scope)))
        .collect();
    let devices: String = state
        .device_names(&wanted.devices)
        .iter()
        .map(|name| format!("<li>{}</li>", escaped(name)))
        .collect();
    let computer = device.as_deref().unwrap_or("your computer");
    let how = match problem {
        None => format!(
            "<p>Pick these two digits on <strong>{}</strong>: in the notification, in Deskhand's window, \
             or with <code>deskhand callers confirm {code}</code>.</p>",
            escaped(computer)
        ),
        Some(problem) => format!(
            "<p role=\"alert\">{} cannot be asked yet: {}. This page keeps trying.</p>",
            escaped(computer),
            escaped(problem)
        ),
    };
    let place = redirects::place(&wanted.redirect_uri);
    let (name, host) = (escaped(&client.name), escaped(&client.host));
    let body = format!(
        "<h1>{name} asks to use Deskhand</h1>\
         <p class=\"code\" aria-label=\"Code\">{code}</p>{how}\
         <dl><dt>Who asks</dt><dd>{host}, which calls itself {name}</dd>\
         <dt>What it could do</dt><dd><ul>{scopes}</ul></dd>\
         <dt>On</dt><dd><ul>{devices}</ul></dd>\
         <dt>Afterwards you return to</dt><dd>{}</dd></dl>\
         <p class=\"quiet\">Did you not start this? Close the page, and refuse on the computer. Your rules \
         hold for this program as for every other.</p>",
        escaped(&place),
    );
    let mut response = page(StatusCode::OK, "Connect to Deskhand", &body);
    let again = HeaderValue::from_static(LOOK_SECONDS);
    response.headers_mut().insert("refresh", again);
    response
}

/// Shows why there is nothing to answer.
pub(super) fn refused(problem: &Problem) -> Response {
    let status = match problem.code {
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let hint = problem.hint.as_deref().map_or(String::new(), |hint| {
        format!("<p class=\"quiet\">{}</p>", escaped(hint))
    });
    let body = format!(
        "<h1>This program cannot be connected</h1><p role=\"alert\">{}</p>{hint}",
        escaped(&problem.error)
    );
    let mut response = page(status, "Not connected", &body);
    if status == StatusCode::TOO_MANY_REQUESTS {
        let minute = HeaderValue::from_static("60");
        response.headers_mut().insert(header::RETRY_AFTER, minute);
    }
    response
}

fn says(scope: Scope) -> &'static str {
    match scope {
        Scope::TasksRead => "See the tasks it asked for, and what they printed",
        Scope::TasksRun => "Ask for tasks, as far as your rules allow them",
        Scope::Approve => "Answer questions in your place, those about its own tasks as well",
        Scope::DevicesRead => "See all tasks of these computers, and what they printed",
        Scope::Admin => "Everything",
    }
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let mut headers = HeaderMap::new();
    let mut set = |name: header::HeaderName, value: &str| {
        let value = HeaderValue::try_from(value).expect("policies are printable");
        headers.insert(name, value);
    };
    set(header::CONTENT_TYPE, "text/html; charset=utf-8");
    set(header::CONTENT_SECURITY_POLICY, &policy);
    set(header::CACHE_CONTROL, "no-store");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style><main>{body}</main></html>"
    );
    (status, headers, html).into_response()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
