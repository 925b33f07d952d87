//! What the desktop application takes from its command line.

use std::{path::PathBuf, str::FromStr};

use clap::Parser;
use deskhand_protocol::TaskId;

/// Deskhand's desktop application: an icon in the tray, and a window that shows what assistants do on this computer
///
/// Where agent and relay run already in this home it attaches to them, and otherwise it runs them. A second launch shows
/// the window of the first.
#[derive(Debug, Parser)]
#[command(name = "deskhand-app", version)]
pub(crate) struct Args {
    /// Keep configuration, store, keys and logs in this directory
    #[arg(long, value_name = "DIR", env = "DESKHAND_HOME")]
    pub(crate) home: Option<PathBuf>,
    /// Open a directory to tasks; may be given more than once
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Vec<PathBuf>,
    /// Write where everything is into this file once tasks can run
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Show the window at once; the default
    #[arg(long, conflicts_with = "hidden")]
    pub(crate) show: bool,
    /// Stay in the tray; without a tray the window is shown all the same
    #[arg(long)]
    pub(crate) hidden: bool,
    /// A link to what the window shall show: deskhand://task/<id>
    #[arg(value_name = "LINK")]
    pub(crate) link: Option<Link>,
}

/// A `deskhand:` link. Anybody can put one on a page, so it can only show something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    /// The task to show; none for a link that opens the window.
    pub(crate) task_id: Option<TaskId>,
}

impl FromStr for Link {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("deskhand://");
        match rest.map(|rest| rest.trim_end_matches('/')) {
            Some("") => Ok(Self { task_id: None }),
            Some(rest) => rest
                .strip_prefix("task/")
                .and_then(|id| id.parse().ok())
                .map(|id| Self { task_id: Some(id) })
                .ok_or("a link is `deskhand://task/` and the id of a task"),
            None => Err("a link begins with `deskhand://`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_shows_a_task_and_nothing_else() {
        let id = "01a1f969-29df-7501-94af-5504fa2d0214";
        let link: Link = format!("deskhand://task/{id}").parse().unwrap();
        assert_eq!(link.task_id, Some(id.parse().unwrap()));
        assert_eq!("deskhand://".parse(), Ok(Link { task_id: None }));
        for wrong in [
            "deskhand://task/x",
            "deskhand://run/ls",
            "http://task/x",
            "",
        ] {
            assert!(wrong.parse::<Link>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }
}
