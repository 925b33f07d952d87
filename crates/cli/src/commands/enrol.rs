//! `deskhand enrol`.

use deskhand_host::{Enrolment, machine, start::device_name};
use deskhand_protocol::relay_request::EnrolRequest;

use crate::{
    args::EnrolArgs,
    context::{Context, client},
    exit,
};

pub(crate) async fn run(context: &Context, args: EnrolArgs) -> anyhow::Result<u8> {
    let out = context.out;
    let config = context.config(&[])?;
    context.dirs.create()?;
    // Before the code is used up: a vault that cannot be read takes nothing either.
    let mut enrolment = Enrolment::load(&context.dirs, &config, false)?;
    let client = client(&args.relay, None, &config)?;
    let enrolled = client
        .enrol(&EnrolRequest {
            code: args.code,
            device_name: args.name.unwrap_or_else(|| device_name(&config)),
            os: machine::OS.to_owned(),
        })
        .await?;
    let device_id = enrolment.join(client.relay_url(), enrolled);
    enrolment.save()?;
    if out.is_json() {
        out.json(&serde_json::json!({ "device_id": device_id, "relay_url": client.relay_url() }))?;
    } else {
        out.talk(format!(
            "Enrolled as {device_id}. Join it: deskhand up --relay {}",
            client.relay_url()
        ));
    }
    Ok(exit::OK)
}
