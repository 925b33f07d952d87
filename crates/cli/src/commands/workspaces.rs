//! `deskhand workspaces`.

use anyhow::{Context as _, bail};
use deskhand_protocol::device_request::{DeviceRequest, DeviceResponse};

use crate::{
    args::WorkspacesCommand,
    context::Context,
    exit,
    out::{Cell, Tone},
};

pub(crate) async fn run(context: &Context, command: WorkspacesCommand) -> anyhow::Result<u8> {
    let out = context.out;
    let request = match command {
        WorkspacesCommand::List => DeviceRequest::ListWorkspaces,
        WorkspacesCommand::Add { dir, name, level } => {
            // The agent has another current directory.
            let path = std::path::absolute(&dir)
                .with_context(|| format!("find the directory `{}`", dir.display()))?;
            DeviceRequest::AddWorkspace {
                path: path
                    .into_os_string()
                    .into_string()
                    .map_err(|path| crate::exit::UsageError(format!("{path:?} is not UTF-8")))?,
                name,
                level,
            }
        }
        WorkspacesCommand::Remove { workspace } => DeviceRequest::RemoveWorkspace { workspace },
    };
    let response = context.control().device(request).await?;
    let DeviceResponse::Workspaces { workspaces } = &response else {
        bail!("understand the agent's answer: it is to another request");
    };
    if out.is_json() {
        out.json(&workspaces)?;
        return Ok(exit::OK);
    }
    if workspaces.is_empty() {
        out.talk("No directory is open to tasks. Open one: `deskhand workspaces add DIR`");
        return Ok(exit::OK);
    }
    let rows: Vec<Vec<Cell>> = workspaces
        .iter()
        .enumerate()
        .map(|(i, workspace)| {
            vec![
                workspace.name.as_str().into(),
                workspace.path.as_str().into(),
                workspace.level.as_str().into(),
                Cell::new(if i == 0 { "default" } else { "" }, Tone::Quiet),
            ]
        })
        .collect();
    out.table(&["NAME", "DIRECTORY", "LEVEL", ""], &rows)?;
    Ok(exit::OK)
}
