//! `deskhand config`.

use std::io::Write;

use deskhand_host::config::DEFAULTS;

use crate::{
    args::ConfigCommand,
    context::Context,
    exit,
    out::{Cell, Tone},
};

pub(crate) fn run(context: &Context, command: &ConfigCommand) -> anyhow::Result<u8> {
    let out = context.out;
    match command {
        ConfigCommand::Show { defaults: true } => {
            std::io::stdout().lock().write_all(DEFAULTS.as_bytes())?;
        }
        ConfigCommand::Show { defaults: false } => {
            let config = context.config(&[])?;
            if out.is_json() {
                out.json(&config.rows())?;
            } else {
                let rows: Vec<Vec<Cell>> = config
                    .rows()
                    .iter()
                    .map(|row| {
                        vec![
                            Cell::from(row.key.as_str()),
                            Cell::from(row.value.as_str()),
                            Cell::new(&row.origin, Tone::Quiet),
                        ]
                    })
                    .collect();
                out.table(&["SETTING", "VALUE", "FROM"], &rows)?;
            }
        }
        ConfigCommand::Path => {
            let path = context.dirs.config_file();
            if out.is_json() {
                out.json(&serde_json::json!({ "path": path, "exists": path.exists() }))?;
            } else {
                out.line(path.display().to_string())?;
            }
        }
    }
    Ok(exit::OK)
}
