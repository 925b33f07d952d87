//! A process that stays: starts what it is told to, says when it is ready, and ends in order.

use std::path::PathBuf;

use anyhow::Context as _;
use deskhand_host::{
    Options, Parts, Ready,
    config::Flag,
    logging::{self, ToStderr},
    start,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    commands::announce::{Announce, announce},
    context::Context,
    exit,
};

/// A process that stays: what it runs, and what it says when it can.
pub(crate) struct Stay {
    pub(crate) flags: Vec<Flag>,
    pub(crate) parts: Parts,
    pub(crate) workspaces: Vec<PathBuf>,
    pub(crate) ready_file: Option<PathBuf>,
    pub(crate) new_identity: bool,
    pub(crate) announce: Announce,
    pub(crate) logs_to_stderr: ToStderr,
}

impl Stay {
    /// Runs until it is told to end, and ends in order.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<u8> {
        let out = context.out;
        let config = context.config(&self.flags)?;
        context.dirs.create()?;
        logging::start(&config, &context.dirs.log_file(), self.logs_to_stderr)?;
        let mut told_to_end = Signals::new()?;
        let running = tokio::select! {
            running = start(Options {
                dirs: context.dirs.clone(),
                environment: context.environment.clone(),
                config,
                parts: self.parts.clone(),
                workspaces: self.workspaces.clone(),
                new_identity: self.new_identity,
            }) => running?,
            () = told_to_end.any() => return Ok(exit::OK),
        };
        if running.is_first() {
            out.talk(format!(
                "First start: keys made, kept in {}.",
                running.vault()
            ));
        }
        let status = tokio::select! {
            status = running.until_ready(|waits_for| {
                if !waits_for.is_empty() {
                    out.talk(format!("Waiting: {waits_for}."));
                }
            }) => status,
            () = told_to_end.any() => {
                running.stop().await;
                return Ok(exit::OK);
            }
        };
        let ready = running.ready().await;
        let may_show_key = self.announce.may_show_key(running.is_first());
        let announced = self
            .write_ready_file(&ready)
            .and_then(|()| announce(out, self.announce, &ready, status.as_ref(), may_show_key));
        if let Err(error) = announced {
            running.stop().await;
            return Err(error);
        }
        let broken = tokio::select! {
            error = running.broken() => Some(error),
            () = told_to_end.any() => None,
        };
        if let Some(error) = broken {
            return Err(error).context("keep the relay listening");
        }
        out.talk("Stopping.");
        running.stop().await;
        // A script that reads it later must not take it for the running one.
        if let Some(file) = &self.ready_file {
            let _ = std::fs::remove_file(file);
        }
        Ok(exit::OK)
    }

    fn write_ready_file(&self, ready: &Ready) -> anyhow::Result<()> {
        let Some(file) = &self.ready_file else {
            return Ok(());
        };
        ready
            .write(file)
            .with_context(|| format!("write the ready file `{}`", file.display()))
    }
}

/// TERM and INT, heard from the moment this is made.
struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate()).context("listen for TERM")?,
            int: signal(SignalKind::interrupt()).context("listen for INT")?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
