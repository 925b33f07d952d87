//! The viewer's own checks: types, tests and build, by npm.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::mirror;
use crate::run::{command, root, run, target_dir};
use crate::tools::{self, NPM_PROGRAM};

/// Installs what the lock file says if it is not there yet, then checks, tests and builds `ui/`.
pub(crate) fn check() -> Result<()> {
    install()?;
    npm(&["run", "--silent", "check"])?;
    npm(&["run", "--silent", "test"])?;
    pages()
}

/// Builds `ui/dist`, after installing what it needs.
pub(crate) fn build() -> Result<()> {
    install()?;
    pages()
}

fn install() -> Result<()> {
    let ui = root().join("ui");
    if !is_installed(&ui) {
        npm(&["ci", "--no-audit", "--no-fund"])?;
        fs::copy(ui.join("package-lock.json"), installed(&ui))
            .context("note which packages were installed")?;
    }
    Ok(())
}

fn pages() -> Result<()> {
    let built = target_dir().join("viewer");
    let into = built.to_string_lossy();
    npm(&[
        "run",
        "--silent",
        "build",
        "--",
        "--outDir",
        &into,
        "--emptyOutDir",
    ])?;
    // Two programs embed these files: what did not change must not be built into them again.
    mirror::write(&mirror::read(&built)?, &root().join("ui/dist"))?;
    Ok(())
}

fn npm(args: &[&str]) -> Result<()> {
    let mut npm = match tools::node_dir()? {
        None => command(NPM_PROGRAM),
        Some(dir) => {
            let rest = std::env::var_os("PATH").unwrap_or_default();
            let dirs = [dir.clone()]
                .into_iter()
                .chain(std::env::split_paths(&rest));
            let mut npm = command(dir.join(NPM_PROGRAM));
            npm.env(
                "PATH",
                std::env::join_paths(dirs).context("put Node on the path")?,
            );
            npm
        }
    };
    run(npm.current_dir(root().join("ui")).args(args))
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
