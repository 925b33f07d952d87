//! `/api/devices`, `/api/pairing-codes` and `/api/enrol`.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, Request, State as Extract},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use deskhand_protocol::{
    ErrorCode, Problem,
    relay_request::{DeviceView, EnrolRequest, RenameDeviceRequest, Scope},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{auth::Caller, read_json, respond, watch::watched};
use crate::{State, devices::Device, proxies::Arrival, submit::reached_devices};

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Devices {
    devices: Vec<DeviceView>,
}

/// `GET /api/devices`: the computers a key reaches.
pub(super) async fn list(caller: Caller, Extract(state): Extract<State>) -> Response {
    let listed = caller.needs(Scope::DevicesRead).map(|()| {
        let devices = reached_devices(&state, &caller.key);
        Json(Devices {
            devices: devices
                .iter()
                .map(|device| state.device_view(device))
                .collect(),
        })
    });
    respond(listed)
}

/// `PATCH /api/devices/{id}`: gives a computer another name.
pub(super) async fn rename(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(device): Path<String>,
    request: Request,
) -> Response {
    let renamed = async {
        let device = administered(&state, &caller, &device)?;
        let body: RenameDeviceRequest = read_json(request).await?;
        state
            .devices
            .rename(&device.device_id, &body.device_name)
            .await?;
        let device = state.devices.get(&device.device_id).unwrap_or(device);
        Ok(Json(state.device_view(&device)))
    };
    respond(renamed.await)
}

/// `GET /api/devices/{id}`.
pub(super) async fn show(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(device): Path<String>,
) -> Response {
    let shown = watched(&state, &caller, &device);
    respond(shown.map(|device| Json(state.device_view(&device))))
}

/// `POST /api/devices/{id}/pause`: it takes no tasks until it is resumed, from afar or by its owner; what
/// runs goes on. One that is away is paused when it comes.
pub(super) async fn pause(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(device): Path<String>,
) -> Response {
    let paused = set_paused(&state, &caller, &device, true).await;
    respond(paused.map(|device| Json(state.device_view(&device))))
}

/// `POST /api/devices/{id}/resume`: it takes tasks again, and gets what waited.
pub(super) async fn resume(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(device): Path<String>,
) -> Response {
    let resumed = set_paused(&state, &caller, &device, false).await;
    respond(resumed.map(|device| Json(state.device_view(&device))))
}

/// Pauses or resumes a device, and returns it as it is then.
pub(super) async fn set_paused(
    state: &State,
    caller: &Caller,
    device: &str,
    paused: bool,
) -> Result<Arc<Device>, Problem> {
    let device = administered(state, caller, device)?;
    state.set_paused(&device.device_id, paused).await?;
    Ok(state.devices.get(&device.device_id).unwrap_or(device))
}

/// `DELETE /api/devices/{id}`: forgets a computer and its token.
pub(super) async fn remove(
    caller: Caller,
    Extract(state): Extract<State>,
    Path(device): Path<String>,
) -> Response {
    let removed = async {
        let device = administered(&state, &caller, &device)?;
        state
            .devices
            .remove(&device.device_id)
            .await
            .map_err(Problem::from)?;
        state.registry.forget(&device.device_id);
        Ok(StatusCode::NO_CONTENT)
    };
    respond(removed.await)
}

/// `POST /api/pairing-codes`: a code that enrols one computer.
pub(super) async fn create_code(caller: Caller, Extract(state): Extract<State>) -> Response {
    let created = async {
        caller.needs(Scope::Admin)?;
        Ok((
            StatusCode::CREATED,
            Json(state.devices.create_code().await?),
        ))
    };
    respond(created.await)
}

/// `POST /api/enrol`: a computer shows its code. Needs no key: the code is one.
pub(super) async fn enrol(
    Extract(state): Extract<State>,
    Extension(arrival): Extension<Arrival>,
    request: Request,
) -> Response {
    let enrolled = async {
        let body: EnrolRequest = read_json(request).await?;
        let enrolled = state
            .devices
            .pair(arrival.client, &body.code, &body.device_name, &body.os)
            .await?;
        Ok((StatusCode::CREATED, Json(enrolled)).into_response())
    };
    respond(enrolled.await)
}

/// Returns a device that the caller reaches and may change.
pub(super) fn administered(
    state: &State,
    caller: &Caller,
    device: &str,
) -> Result<Arc<Device>, Problem> {
    let unknown = || {
        Problem::new(
            ErrorCode::UnknownDevice,
            format!("there is no device `{device}`"),
        )
    };
    let found = state.devices.find(device).ok_or_else(unknown)?;
    if !caller.key.reaches(&found.device_id) {
        return Err(unknown());
    }
    caller.needs(Scope::Admin)?;
    Ok(found)
}
