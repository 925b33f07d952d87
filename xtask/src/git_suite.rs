//! git's own command-line tests, run against the native git.
//!
//! The tests of a built git source tree are run with a `git` in front of them that first asks the native engine and
//! becomes the real git where that hands over. A failure counts only when the plain git does not have it. Nothing of
//! git's source is in this repository but the names of its scripts. Writes below `target/` and nowhere else, apart from
//! what git's tests themselves write to the folder they are given.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::run;

/// The scripts that have to pass.
const EXPECTED: &str = include_str!("git_suite.txt");

/// Runs test scripts of the git built in `source`: those whose names begin with one of `only`, or the expected ones.
///
/// Prints one line for each. Fails when a test fails that passes with the plain git.
pub(crate) fn suite(source: &Path, only: &[String]) -> Result<ExitCode> {
    let source = fs::canonicalize(source).context("find git's source")?;
    if !source.join("git").is_file() || !source.join("t/test-lib.sh").is_file() {
        bail!(
            "{} is no git source that was built with `make`",
            source.display()
        );
    }
    run::run(&mut run::cargo([
        "build",
        "-p",
        "deskhand-git",
        "--example",
        "native",
    ]))?;
    let place = Place::prepare(source)?;
    let scripts = place.scripts(only)?;
    if scripts.is_empty() {
        bail!("no test script has such a name");
    }
    let mut wrong = Vec::new();
    let (mut tests, mut native, mut handed_over) = (0, 0, 0);
    for script in &scripts {
        let run = place.run(script, true)?;
        let mut failed = run.failed.clone();
        if !failed.is_empty() {
            let plain = place.run(script, false)?;
            failed.retain(|test| !plain.failed.contains(test));
        }
        println!(
            "{script}: tests {}, failed {}; commands native {}, handed over {}",
            run.tests,
            failed.len(),
            run.native,
            run.handed_over
        );
        tests += run.tests;
        native += run.native;
        handed_over += run.handed_over;
        wrong.extend(failed.into_iter().map(|test| format!("{script} {test}")));
    }
    println!(
        "{} scripts: tests {tests}, failed {}; commands native {native}, handed over {handed_over}",
        scripts.len(),
        wrong.len()
    );
    for test in &wrong {
        println!("failed: {test}");
    }
    Ok(if wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What one script said.
struct Outcome {
    tests: usize,
    /// Number and title of each test that failed and is not known to.
    failed: BTreeSet<String>,
    native: usize,
    handed_over: usize,
}

/// Where everything is.
struct Place {
    source: PathBuf,
    work: PathBuf,
}

impl Place {
    /// Writes the `git` that asks the native engine first.
    fn prepare(source: PathBuf) -> Result<Place> {
        let work = run::target_dir().join("git-suite");
        let bin = work.join("bin");
        fs::create_dir_all(&bin)?;
        let engine = run::target_dir().join("debug/examples/native");
        let real = quoted(&source.join("git"));
        let shim = format!(
            "#!/bin/sh\n\
             [ \"$1\" = --exec-path ] && {{ echo {exec_path}; exit; }}\n\
             if [ -z \"$SUITE_HANDED_OVER\" ]; then\n\
             \terrors=\"$SUITE_LOG.$$\"\n\
             \t{engine} \"$@\" 2>\"$errors\"\n\
             \tcode=$?\n\
             \tif [ $code != 120 ]; then\n\
             \t\tcat \"$errors\" >&2; rm -f \"$errors\"\n\
             \t\tprintf 'N %s' \"$*\" | tr '\\n' ' ' >>\"$SUITE_LOG\"; echo >>\"$SUITE_LOG\"\n\
             \t\texit $code\n\
             \tfi\n\
             \t{{ printf 'H %s' \"$*\" | tr '\\n' ' '; tail -n 1 \"$errors\"; }} >>\"$SUITE_LOG\"; rm -f \"$errors\"\n\
             fi\n\
             SUITE_HANDED_OVER=1 exec {real} \"$@\"\n",
            exec_path = quoted(&source),
            engine = quoted(&engine),
        );
        let file = bin.join("git");
        fs::write(&file, shim)?;
        make_executable(&file)?;
        Ok(Place { source, work })
    }

    /// Lists the scripts to run.
    fn scripts(&self, only: &[String]) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.source.join("t"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let Some(name) = name.strip_suffix(".sh").filter(|n| n.starts_with('t')) else {
                continue;
            };
            let wanted = if only.is_empty() {
                EXPECTED.lines().any(|line| line == name)
            } else {
                only.iter().any(|prefix| name.starts_with(prefix.as_str()))
            };
            if wanted && name.as_bytes().get(1).is_some_and(u8::is_ascii_digit) {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Runs one script, natively first or with the plain git.
    fn run(&self, script: &str, natively: bool) -> Result<Outcome> {
        let kind = if natively { "native" } else { "plain" };
        let folder = self.work.join(kind);
        fs::create_dir_all(&folder)?;
        let commands = folder.join(format!("{script}.commands"));
        fs::write(&commands, "")?;
        let mut command = Command::new("sh");
        command
            .current_dir(self.source.join("t"))
            .arg(format!("./{script}.sh"))
            .arg(format!("--root={}", folder.join("trash").display()))
            .args(["--no-bin-wrappers", "-v"])
            .stdin(Stdio::null())
            .env("SUITE_LOG", &commands);
        if natively {
            command.env("GIT_TEST_INSTALLED", self.work.join("bin"));
        }
        let output = command
            .output()
            .with_context(|| format!("start {script}"))?;
        fs::write(folder.join(format!("{script}.out")), &output.stdout)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let log = fs::read(&commands)?;
        let log = String::from_utf8_lossy(&log);
        let is_test = |line: &&str| line.starts_with("ok ") || line.starts_with("not ok ");
        Ok(Outcome {
            tests: text.lines().filter(is_test).count(),
            failed: text
                .lines()
                .filter_map(|line| line.strip_prefix("not ok "))
                .filter(|line| !line.contains("# TODO known breakage"))
                .map(str::to_owned)
                .collect(),
            native: log.lines().filter(|line| line.starts_with("N ")).count(),
            handed_over: log.lines().filter(|line| line.starts_with("H ")).count(),
        })
    }
}

/// Quotes a path for the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

#[cfg(unix)]
fn make_executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

#[cfg(not(unix))]
fn make_executable(_file: &Path) -> Result<()> {
    bail!("git's tests need a shell")
}
