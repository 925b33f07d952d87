//! `cargo xtask tidy`: what has to hold of the repository and no compiler checks.
//!
//! One file per rule. Each rule is a function from the repository's files, or from cargo's
//! metadata, to sentences that name the place and what is wrong there; no sentence means it holds.
//! The rules look at the files git knows or would add, so a build leaves nothing to trip over.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::codegen;
use crate::run::{files, root};

mod addresses;
mod arrows;
mod calls;
mod links;
mod tiers;

/// A text file of the repository.
pub(crate) struct File {
    /// From the root, with `/`.
    path: String,
    text: String,
}

/// Checks every rule and prints what is wrong.
pub(crate) fn tidy() -> Result<ExitCode> {
    pass()?;
    Ok(ExitCode::SUCCESS)
}

/// Fails, after printing each violation, unless every rule holds.
pub(crate) fn pass() -> Result<()> {
    let files = read_files()?;
    let mut found = Vec::new();
    found.extend(arrows::violations(&arrows::packages()?));
    found.extend(calls::violations(&files));
    found.extend(links::violations(&files));
    found.extend(tiers::violations(&files));
    found.extend(addresses::violations(&files, &addresses::folders()));
    found.extend(
        codegen::stale()?
            .iter()
            .map(|file| format!("{file}: run `cargo xtask codegen`")),
    );
    for violation in &found {
        println!("{violation}");
    }
    match found.len() {
        0 => Ok(()),
        n => bail!("{n} violations of the rules in xtask/src/tidy"),
    }
}

/// Reads every file; one that is not text is there, and says nothing.
fn read_files() -> Result<Vec<File>> {
    let mut read = Vec::new();
    for path in files()? {
        let bytes = fs::read(root().join(&path)).with_context(|| format!("read {path}"))?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        read.push(File { path, text });
    }
    Ok(read)
}

/// Returns the path a relative one leads to from a file, or `None` when it leaves the repository.
fn resolve(from: &str, relative: &str) -> Option<String> {
    let mut folders: Vec<&str> = from.split('/').collect();
    folders.pop();
    for step in relative.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(folders.pop()?),
            name => folders.push(name),
        }
    }
    Some(folders.join("/"))
}

/// Makes a file for the tests of a rule.
#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}
