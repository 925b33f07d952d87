//! What is said when the application cannot start and nobody reads what it prints.

use std::io::IsTerminal;

use deskhand_host::Environment;

use crate::args::Args;

/// Whether a dialogue can be shown, and has a reader.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialogue {
    is_read: bool,
}

impl Dialogue {
    /// A person who started the application from a terminal reads there; a script reads an exit code.
    pub(crate) fn of(args: &Args, environment: &Environment) -> Self {
        let has_display = ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| environment.text(name).is_some_and(|text| !text.is_empty()));
        Self {
            is_read: has_display && args.ready_file.is_none() && !std::io::stderr().is_terminal(),
        }
    }

    /// Says what is wrong, and returns whether the owner mended it and wants another try. Waits for the
    /// owner; returns no at once where nobody would read it. On the main thread only.
    pub(crate) fn asks_to_try_again(self, error: &anyhow::Error) -> bool {
        tracing::error!("{error:#}");
        self.is_read && ask(&format!("{error:#}"))
    }
}

#[cfg(target_os = "linux")]
fn ask(what: &str) -> bool {
    use gtk::{ButtonsType, DialogFlags, MessageDialog, MessageType, ResponseType, prelude::*};

    if gtk::init().is_err() {
        return false;
    }
    let dialog = MessageDialog::new(
        None::<&gtk::Window>,
        DialogFlags::empty(),
        MessageType::Error,
        ButtonsType::None,
        "Deskhand cannot start",
    );
    dialog.set_title("Deskhand");
    dialog.set_secondary_text(Some(what));
    dialog.add_button("Quit", ResponseType::Close);
    dialog.add_button("Try again", ResponseType::Accept);
    dialog.set_default_response(ResponseType::Accept);
    let answer = dialog.run();
    dialog.close();
    while gtk::events_pending() {
        gtk::main_iteration();
    }
    answer == ResponseType::Accept
}

#[cfg(not(target_os = "linux"))]
fn ask(_what: &str) -> bool {
    false
}
