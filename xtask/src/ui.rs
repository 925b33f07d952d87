//! The viewer's own checks, its build, and its tests in a real browser, by npm and Node.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::mirror;
use crate::run::{cargo, command, root, run, target_dir};
use crate::tools::{self, NPM_PROGRAM};

/// Installs what the lock file says if it is not there yet, then checks, tests and builds `ui/`.
pub(crate) fn check() -> Result<()> {
    let ui = Project::open("ui")?;
    ui.npm(&["run", "--silent", "check"])?;
    ui.npm(&["run", "--silent", "test"])?;
    ui.build()
}

/// Builds `ui/dist`, which the programs embed.
pub(crate) fn build() -> Result<()> {
    Project::open("ui")?.build()
}

/// Runs the command of Tauri, from the root, where its configuration is.
pub(crate) fn tauri(arguments: &[&str]) -> Result<()> {
    let ui = Project::open("ui")?;
    let program = ui.dir.join("node_modules/.bin/tauri");
    run(ui.with_node(command(program))?.args(arguments))
}

/// Builds the viewer and the programs, and runs `tests/e2e` in Chromium: all of it, or the named files.
pub(crate) fn e2e(files: &[String]) -> Result<()> {
    build()?;
    run(&mut cargo([
        "build",
        "-p",
        "deskhand-cli",
        "-p",
        "deskhand-sandbox",
        "--bins",
    ]))?;
    let tests = Project::open("tests/e2e")?;
    let mut arguments = vec!["run", "--silent", "test", "--"];
    arguments.extend(files.iter().map(String::as_str));
    tests.npm(&arguments)
}

/// A folder with packages of npm.
struct Project {
    dir: PathBuf,
    node_dir: Option<PathBuf>,
}

impl Project {
    /// Installs what the lock file says, if it is not there yet.
    fn open(folder: &str) -> Result<Self> {
        let project = Self {
            dir: root().join(folder),
            node_dir: tools::node_dir()?,
        };
        if !is_installed(&project.dir) {
            project.npm(&["ci", "--no-audit", "--no-fund"])?;
            fs::copy(
                project.dir.join("package-lock.json"),
                installed(&project.dir),
            )
            .context("note which packages were installed")?;
        }
        Ok(project)
    }

    fn build(&self) -> Result<()> {
        let built = target_dir().join("viewer");
        let into = built.to_string_lossy();
        let arguments = ["run", "--silent", "build", "--", "--outDir", &into];
        self.npm(&[&arguments[..], &["--emptyOutDir"]].concat())?;
        // Two programs embed these files: what did not change must not be built into them again.
        mirror::write(&mirror::read(&built)?, &self.dir.join("dist"))?;
        Ok(())
    }

    fn npm(&self, args: &[&str]) -> Result<()> {
        let npm = match &self.node_dir {
            None => command(NPM_PROGRAM),
            Some(dir) => command(dir.join(NPM_PROGRAM)),
        };
        run(self.with_node(npm)?.current_dir(&self.dir).args(args))
    }

    /// Has a program find the Node that we brought, where the machine's is too old.
    fn with_node(&self, mut program: Command) -> Result<Command> {
        if let Some(dir) = &self.node_dir {
            let rest = std::env::var_os("PATH").unwrap_or_default();
            let dirs = [dir.to_owned()]
                .into_iter()
                .chain(std::env::split_paths(&rest));
            let path = std::env::join_paths(dirs).context("put Node on the path")?;
            program.env("PATH", path);
        }
        Ok(program)
    }
}

/// Tells whether `npm ci` was run for the lock file as it is.
fn is_installed(ui: &Path) -> bool {
    let read = |path: &Path| fs::read(path).ok();
    let noted = read(&installed(ui));
    noted.is_some() && noted == read(&ui.join("package-lock.json"))
}

fn installed(ui: &Path) -> PathBuf {
    ui.join("node_modules/.installed-lock.json")
}
