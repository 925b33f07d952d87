//! `deskhand down`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use deskhand_host::{Instance, terminate};

use crate::{args::DownArgs, context::Context, exit};

/// How often the end is looked for: the kernel tells nobody but the parent when a process ends.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) async fn run(context: &Context, args: &DownArgs) -> anyhow::Result<u8> {
    let out = context.out;
    let Some(pid) = Instance::running(&context.dirs).context("look for the running process")?
    else {
        out.talk("Deskhand is not running in this home.");
        return Ok(exit::OK);
    };
    terminate(pid).with_context(|| format!("ask process {pid} to end"))?;
    let deadline = Instant::now() + Duration::from_secs(args.wait);
    while Instance::running(&context.dirs)? == Some(pid) {
        if Instant::now() > deadline {
            bail!("stop process {pid}: it has not ended after {} s", args.wait);
        }
        tokio::time::sleep(LOOK).await;
    }
    if out.is_json() {
        out.json(&serde_json::json!({ "stopped": pid }))?;
    } else {
        out.talk("Stopped.");
    }
    Ok(exit::OK)
}
