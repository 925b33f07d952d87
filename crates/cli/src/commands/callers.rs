//! `deskhand callers`.

use anyhow::bail;
use deskhand_protocol::{
    ErrorCode, Problem, Timestamp,
    caller::{CallerAnswer, CallerRequestView, CallerView},
    device_request::{DeviceRequest, DeviceResponse},
    relay_request::{RelayRequest, RelayResponse, Scope},
};
use serde::Serialize;

use crate::{
    args::CallersCommand,
    context::Context,
    exit,
    out::{Cell, Out},
};

/// What is listed: each part is asked of whatever runs here.
#[derive(Debug, Serialize)]
struct Listed {
    requests: Vec<CallerRequestView>,
    callers: Vec<CallerView>,
}

pub(crate) async fn run(context: &Context, command: CallersCommand) -> anyhow::Result<u8> {
    match command {
        CallersCommand::List => list(context).await?,
        CallersCommand::Confirm { code, request } => {
            let request_id = match request {
                Some(request) => request,
                None => only(&requests(context).await?)?,
            };
            answer(context, request_id, Some(code)).await?;
        }
        CallersCommand::Refuse { request } => answer(context, request, None).await?,
        CallersCommand::Revoke { caller } => {
            let request = RelayRequest::RevokeCaller { caller };
            let response = context.control().relay(request).await?;
            match (&response, context.out.is_json()) {
                (_, true) => context.out.json(&response)?,
                (RelayResponse::CallerRevoked { caller_id }, false) => {
                    context.out.talk(format!("Revoked {caller_id}."));
                }
                _ => bail!("understand the relay's answer: it is to another request"),
            }
        }
    }
    Ok(exit::OK)
}

/// Lists what there is: a process may be an agent, a relay, or both.
async fn list(context: &Context) -> anyhow::Result<()> {
    let (requests, callers) = (requests(context).await, callers(context).await);
    if requests.is_err() && callers.is_err() {
        requests?;
        return Ok(());
    }
    let listed = Listed {
        requests: requests.unwrap_or_default(),
        callers: callers.unwrap_or_default(),
    };
    let out = context.out;
    if out.is_json() {
        return Ok(out.json(&listed)?);
    }
    for request in &listed.requests {
        ask(out, request)?;
    }
    if listed.callers.is_empty() {
        out.talk("No program is connected.");
        return Ok(());
    }
    let rows: Vec<Vec<Cell>> = listed.callers.iter().map(row).collect();
    out.table(
        &["CALLER", "NAME", "SCOPES", "DEVICES", "CONNECTED", "USED"],
        &rows,
    )?;
    Ok(())
}

async fn requests(context: &Context) -> anyhow::Result<Vec<CallerRequestView>> {
    let request = DeviceRequest::ListCallerRequests;
    match context.control().device(request).await? {
        DeviceResponse::CallerRequests { requests } => Ok(requests),
        _ => bail!("understand the agent's answer: it is to another request"),
    }
}

async fn callers(context: &Context) -> anyhow::Result<Vec<CallerView>> {
    match context.control().relay(RelayRequest::ListCallers).await? {
        RelayResponse::Callers { callers } => Ok(callers),
        _ => bail!("understand the relay's answer: it is to another request"),
    }
}

/// Returns the request that is meant when none is named.
fn only(requests: &[CallerRequestView]) -> anyhow::Result<String> {
    let problem = match requests {
        [only] => return Ok(only.request_id.clone()),
        [] => Problem::new(
            ErrorCode::NoSuchQuestion,
            "no program asks to be let in here",
        ),
        _ => Problem::new(
            ErrorCode::InvalidRequest,
            "several programs ask to be let in",
        )
        .with_hint("see `deskhand callers list`, and name one with --request"),
    };
    Err(problem.into())
}

async fn answer(context: &Context, request_id: String, code: Option<String>) -> anyhow::Result<()> {
    let tried = code.is_some();
    let request = DeviceRequest::AnswerCaller { request_id, code };
    let response = context.control().device(request).await?;
    let DeviceResponse::CallerConfirmation { answer } = &response else {
        bail!("understand the agent's answer: it is to another request");
    };
    if context.out.is_json() {
        context.out.json(&response)?;
    } else if *answer == CallerAnswer::Allowed {
        context.out.talk("Let in.");
    } else if !tried {
        context.out.talk("Refused.");
    }
    match (answer, tried) {
        (CallerAnswer::Refused, true) => Err(Problem::new(
            ErrorCode::Denied,
            "these are not the digits of the page: the program was refused",
        )
        .with_hint("if you started this, connect the program again")
        .into()),
        _ => Ok(()),
    }
}

fn ask(out: Out, request: &CallerRequestView) -> anyhow::Result<()> {
    out.line(format!(
        "{} ({}) asks to be let in",
        request.client_name, request.client_host
    ))?;
    out.line(format!("  request    {}", request.request_id))?;
    out.line(format!("  relay      {}", request.relay_url))?;
    out.line(format!("  scopes     {}", words(&request.scopes)))?;
    out.line(format!("  devices    {}", request.devices.join(", ")))?;
    out.line(format!("  until      {:.0}", request.expires_at))?;
    out.line(format!(
        "  deskhand callers confirm {} --request {}   (the digits its page shows)",
        request.codes.join("|"),
        request.request_id
    ))?;
    Ok(())
}

fn row(caller: &CallerView) -> Vec<Cell> {
    let time = |at: Option<Timestamp>| at.map_or("never".to_owned(), |at| format!("{at:.0}"));
    vec![
        caller.caller_id.as_str().into(),
        caller.name.as_str().into(),
        words(&caller.scopes).into(),
        caller.devices.join(",").into(),
        time(Some(caller.connected_at)).into(),
        time(caller.last_used_at).into(),
    ]
}

fn words(scopes: &[Scope]) -> String {
    let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    words.join(",")
}
