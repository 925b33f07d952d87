//! The Deskhand of this home, whoever runs it: this process, or one that was there first.
//!
//! The desktop application is the one that does not mind which: it starts agent and relay where nothing
//! runs, and otherwise attaches to what does.

use deskhand_agent::{AgentHandle, Door, Events, Heard};
use deskhand_protocol::{
    ErrorCode, Problem,
    device_request::{DeviceRequest, DeviceResponse},
    relay_request::{RelayRequest, RelayResponse},
};

use crate::{
    Control, ControlError, InstanceError, Options, Running, StartError,
    control::{Following, Here},
    start,
};

/// The Deskhand of this home.
#[derive(Debug)]
pub enum Local {
    /// This process runs it.
    Own(Box<Running>),
    /// Another process does.
    Attached(Control),
}

/// Its events.
#[derive(Debug)]
pub enum LocalEvents {
    /// From the agent in this process.
    Own(Events),
    /// By way of the control socket.
    Attached(Following),
}

impl Local {
    /// Starts agent and relay, or attaches to the process that runs them already.
    pub async fn start_or_attach(options: Options) -> Result<Self, StartError> {
        let control = Control::new(&options.dirs);
        match start(options).await {
            Ok(running) => Ok(Local::Own(Box::new(running))),
            Err(StartError::Instance(InstanceError::Running { pid })) => {
                // It may be about to end, or may not have opened its socket yet.
                match control.here().await {
                    Ok(_) => Ok(Local::Attached(control)),
                    Err(_) => Err(StartError::Instance(InstanceError::Running { pid })),
                }
            }
            Err(error) => Err(error),
        }
    }

    fn agent(&self) -> Option<&AgentHandle> {
        match self {
            Local::Own(running) => running.agent(),
            Local::Attached(_) => None,
        }
    }

    /// Asks the agent. Dropping the future takes nothing back.
    pub async fn device(&self, request: DeviceRequest) -> DeviceResponse {
        match self {
            Local::Own(running) => match running.agent() {
                Some(agent) => agent.request(request, Door::Local).await,
                None => DeviceResponse::Problem {
                    problem: absent("agent"),
                },
            },
            Local::Attached(control) => {
                let answer = control.device(request).await;
                answer.unwrap_or_else(|error| DeviceResponse::Problem {
                    problem: problem(error),
                })
            }
        }
    }

    /// Asks the relay. Dropping the future takes nothing back.
    pub async fn relay(&self, request: RelayRequest) -> RelayResponse {
        let answer = match self {
            Local::Own(running) => running.relay_request(request).await,
            Local::Attached(control) => control.relay(request).await.map_err(problem),
        };
        answer.unwrap_or_else(|problem| RelayResponse::Problem { problem })
    }

    /// Returns what runs here.
    pub async fn here(&self) -> Result<Here, ControlError> {
        match self {
            Local::Own(running) => Ok(running.here().clone()),
            Local::Attached(control) => control.here().await,
        }
    }

    /// Subscribes to the events from now on; none where no agent runs.
    pub async fn events(&self) -> Option<LocalEvents> {
        match self {
            Local::Own(_) => Some(LocalEvents::Own(self.agent()?.events())),
            Local::Attached(control) => Some(LocalEvents::Attached(control.follow().await.ok()?)),
        }
    }

    /// Stops what this process runs, in order; what another process runs goes on.
    pub async fn stop(&self) {
        if let Local::Own(running) = self {
            running.stop().await;
        }
    }
}

impl LocalEvents {
    /// Waits for the next event; nothing when the agent has ended.
    pub async fn next(&mut self) -> Option<Heard> {
        match self {
            LocalEvents::Own(events) => events.next().await,
            LocalEvents::Attached(following) => following.next().await,
        }
    }
}

fn absent(part: &str) -> Problem {
    Problem::new(
        ErrorCode::NotFound,
        format!("No {part} runs in this process."),
    )
}

fn problem(error: ControlError) -> Problem {
    match error {
        ControlError::Problem(problem) => problem,
        other => Problem::new(ErrorCode::Internal, other.to_string()),
    }
}
