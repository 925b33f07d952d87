//! Deskhand's desktop application: an icon in the tray, a window for the viewer, and notifications.
//!
//! What it owns: those three. What it waits on: the desktop's events and the device's.
//! What it never does: the agent's work. It runs agent and relay through `host`, or attaches to those
//! that run already; without this application everything runs, and without a tray this application
//! does.

mod args;
mod awake;
mod bell;
mod bridge;
mod icon;
mod notices;
mod notifications;
mod picture;
mod tray;
mod trouble;
mod window;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use clap::Parser as _;
use deskhand_host::{
    Config, Control, Dirs, Environment, Local, Options, Parts, Ready,
    control::{ControlRequest, ControlResponse, Server},
    logging::{self, ToStderr},
};
use deskhand_protocol::{
    ErrorCode, Problem,
    device_request::{DeviceRequest, DeviceResponse, LinkStatus},
};
use tauri::{AppHandle, Manager, RunEvent, Wry, plugin::TauriPlugin};
use tokio::{runtime::Runtime, sync::watch};

use crate::{args::Args, picture::Picture};

/// How often it is looked whether tasks can run now.
const LOOK: Duration = Duration::from_millis(200);

/// A tray may come after an application that is started at login; it is waited for so long.
const TRAY_WITHIN: Duration = Duration::from_secs(10);

/// A question is asked only while somebody attends; this says so for a while, again and again.
const ATTEND_SECONDS: u32 = 120;

/// What every part of the application shares.
pub(crate) struct Desk {
    pub(crate) local: Arc<Local>,
    /// Whether a tray shows the icon.
    pub(crate) in_tray: AtomicBool,
    /// There once the owner said that the application stays without window and tray.
    pub(crate) stays_file: PathBuf,
}

/// Runs the desktop application until it is quit.
///
/// # Errors
///
/// Fails when there is no display or no web view, when another program listens on the relay's address,
/// when the settings are wrong, or when the keyring is locked. Where nobody reads what a program prints, a
/// dialogue says so first. A missing tray and a missing notification server are no errors.
pub fn run() -> anyhow::Result<()> {
    let args = Args::parse();
    let environment = Environment::read();
    let dirs = Dirs::find(args.home.as_deref(), &environment)?;
    let runtime = Runtime::new().context("start the runtime")?;
    let _entered = runtime.enter();
    tauri::async_runtime::set(runtime.handle().clone());

    if runtime.block_on(is_shown_by_the_first(&args, &dirs)) {
        return Ok(());
    }
    let dialogue = trouble::Dialogue::of(&args, &environment);
    let mut logs = false;
    let (config, local) = loop {
        match start(&runtime, &args, &dirs, &environment, &mut logs) {
            Ok(started) => break started,
            Err(error) if dialogue.asks_to_try_again(&error) => {}
            Err(error) => return Err(error),
        }
    };
    run_app(&runtime, &args, &dirs, config, local)
}

/// Tells whether an application runs already in this home; it then shows what this one should, unless
/// this one should show nothing.
async fn is_shown_by_the_first(args: &Args, dirs: &Dirs) -> bool {
    let first = Control::of_desktop(dirs);
    match (args.hidden, args.link) {
        (true, None) => first.here().await.is_ok(),
        (_, link) => first.show(link.and_then(|link| link.task_id)).await.is_ok(),
    }
}

fn start(
    runtime: &Runtime,
    args: &Args,
    dirs: &Dirs,
    environment: &Environment,
    logs: &mut bool,
) -> anyhow::Result<(Config, Arc<Local>)> {
    let config = Config::load(dirs, environment, &[])?;
    dirs.create()?;
    if !*logs {
        logging::start(&config, &dirs.log_file(), ToStderr::Yes)?;
        *logs = true;
    }
    let parts = match config.relay_url.value.as_str() {
        "" => Parts::Both,
        url => Parts::Agent(Some(url.to_owned())),
    };
    let local = runtime.block_on(Local::start_or_attach(Options {
        dirs: dirs.clone(),
        environment: environment.clone(),
        config: config.clone(),
        parts,
        workspaces: args.workspace.clone(),
        new_identity: false,
    }))?;
    Ok((config, Arc::new(local)))
}

fn run_app(
    runtime: &Runtime,
    args: &Args,
    dirs: &Dirs,
    config: Config,
    local: Arc<Local>,
) -> anyhow::Result<()> {
    let desk = Desk {
        local: local.clone(),
        in_tray: AtomicBool::new(false),
        stays_file: dirs.stays_file(),
    };
    // Joined to the folder that the plugin would take, this absolute path stays what it is.
    let window_state = tauri_plugin_window_state::Builder::default()
        .with_filename(dirs.window_file().display().to_string());
    let app = tauri::Builder::default()
        .plugin(at_login(dirs))
        .plugin(tauri_plugin_dialog::init())
        .plugin(window_state.build())
        .manage(desk)
        .invoke_handler(tauri::generate_handler![
            bridge::request,
            bridge::choose_folder,
            bridge::page_failed
        ])
        .on_window_event(window::on_event)
        .build(tauri::generate_context!())
        .context("start the desktop application")?;

    let second_launches = open_socket(dirs, app.handle())?;
    start_parts(runtime, app.handle(), &config, &local);
    if let Some(file) = args.ready_file.clone() {
        runtime.spawn(write_ready_file(local.clone(), file));
    }
    end_on_signals(runtime, app.handle());
    match args.hidden {
        false => window::show(app.handle(), args.link.and_then(|link| link.task_id)),
        true => {
            runtime.spawn(show_without_tray(app.handle().clone()));
        }
    }

    let exit = app.run_return(|_, event| {
        // The last window was closed: the tray, or the owner's word, keeps the application.
        if let RunEvent::ExitRequested {
            code: None, api, ..
        } = event
        {
            api.prevent_exit();
        }
    });
    runtime.block_on(second_launches.stop());
    runtime.block_on(local.stop());
    if let Some(file) = &args.ready_file {
        // A script that reads it later must not take it for the running one.
        let _ = std::fs::remove_file(file);
    }
    match exit {
        0 => Ok(()),
        code => anyhow::bail!("end with code {code}"),
    }
}

fn start_parts(runtime: &Runtime, app: &AppHandle, config: &Config, local: &Arc<Local>) {
    let (picture, seen) = watch::channel(Picture::default());
    let looked_at = local.clone();
    runtime.spawn(async move { picture::keep(&looked_at, &picture).await });
    runtime.spawn(tray::keep(app.clone(), seen.clone()));
    runtime.spawn(bridge::forward(app.clone(), local.clone()));
    runtime.spawn(notifications::keep(
        app.clone(),
        local.clone(),
        Arc::new(config.clone()),
        seen.clone(),
    ));
    runtime.spawn(attend(local.clone()));
    if config.desktop_keep_awake.value {
        runtime.spawn(awake::keep(seen));
    }
}

/// Returns what starts the application at login: hidden, and in the home it was started in.
fn at_login(dirs: &Dirs) -> TauriPlugin<Wry> {
    let autostart = tauri_plugin_autostart::Builder::new().arg("--hidden");
    match dirs.is_explicit() {
        true => autostart.arg(format!("--home={}", dirs.data().display())),
        false => autostart,
    }
    .build()
}

/// Shows the window where no tray does the application instead.
async fn show_without_tray(app: AppHandle) {
    tokio::time::sleep(TRAY_WITHIN).await;
    if app.state::<Desk>().in_tray.load(Ordering::Relaxed) {
        return;
    }
    let shown = app.clone();
    // Windows are made on the main thread.
    if let Err(error) = app.run_on_main_thread(move || window::show(&shown, None)) {
        tracing::error!(%error, "cannot show the window");
    }
}

/// A desktop session can be asked: by a notification, and by the window.
async fn attend(local: Arc<Local>) {
    loop {
        let attend = DeviceRequest::Attend {
            seconds: ATTEND_SECONDS,
        };
        local.device(attend).await;
        tokio::time::sleep(Duration::from_secs(u64::from(ATTEND_SECONDS) / 2)).await;
    }
}

/// Opens the socket by which a second launch has this one show its window.
fn open_socket(dirs: &Dirs, app: &AppHandle) -> anyhow::Result<Server> {
    let app = app.clone();
    let answer = move |request| {
        let app = app.clone();
        async move {
            let task_id = match request {
                ControlRequest::Show { task_id } => task_id,
                ControlRequest::Here {} => {
                    return match app.state::<Desk>().local.here().await {
                        Ok(here) => ControlResponse::Here(here),
                        Err(error) => ControlResponse::Problem(Problem::new(
                            ErrorCode::Internal,
                            error.to_string(),
                        )),
                    };
                }
                _ => {
                    return ControlResponse::Problem(Problem::new(
                        ErrorCode::NotFound,
                        "This is the desktop application's socket; it shows its window.",
                    ));
                }
            };
            let shown = app.clone();
            // Windows are made on the main thread.
            match app.run_on_main_thread(move || window::show(&shown, task_id)) {
                Ok(()) => ControlResponse::Shown {},
                Err(error) => {
                    ControlResponse::Problem(Problem::new(ErrorCode::Internal, error.to_string()))
                }
            }
        }
    };
    Server::open(dirs.desktop_socket(), answer, None).context("open the desktop's socket")
}

/// TERM and INT end the application in order, as *Quit* does.
fn end_on_signals(runtime: &Runtime, app: &AppHandle) {
    let app = app.clone();
    runtime.spawn(async move {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut term), Ok(mut int)) = (
                signal(SignalKind::terminate()),
                signal(SignalKind::interrupt()),
            ) else {
                return;
            };
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        app.exit(0);
    });
}

/// Writes the ready file once tasks can run.
async fn write_ready_file(local: Arc<Local>, file: PathBuf) {
    loop {
        if let DeviceResponse::Status(status) = local.device(DeviceRequest::Status).await
            && status.can_execute
            && matches!(status.link, LinkStatus::Connected { .. })
            && let Some(ready) = ready(&local).await
        {
            if let Err(error) = ready.write(&file) {
                tracing::error!(%error, "cannot write the ready file");
            }
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn ready(local: &Local) -> Option<Ready> {
    if let Local::Own(running) = local {
        return Some(running.ready().await);
    }
    let here = local.here().await.ok()?;
    Some(Ready {
        relay_url: here.relay_url.unwrap_or_default(),
        public_url: None,
        api_key: None,
        device_id: here.device_id,
        device_name: here.device_name,
        pid: here.pid,
        viewer_url: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::window::VIEWER;

    #[test]
    fn the_viewer_is_configured_permitted_and_made_on_demand() {
        let config: Value = serde_json::from_str(include_str!("../../tauri.conf.json")).unwrap();
        let window = &config["app"]["windows"][0];
        assert_eq!(
            (&window["label"], &window["create"]),
            (&VIEWER.into(), &false.into())
        );

        let capability = include_str!("../capabilities/viewer.json");
        let capability: Value = serde_json::from_str(capability).unwrap();
        assert_eq!(capability["windows"][0], VIEWER);
    }
}
