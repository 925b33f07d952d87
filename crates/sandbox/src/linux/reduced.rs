//! Tier reduced: the host's own view of files, with Landlock around it and without sockets.
//!
//! Landlock cannot take something out of what it permitted, so reading is permitted beside every secret instead: all
//! siblings of it, and of each directory on the way to it.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::landlock::{GOVERNS_ALL_WRITES, Rights, Ruleset};
use super::seccomp::Sockets;
use super::{Failure, Received, Step, Without, capabilities, namespaces, program, sys};
use crate::profile::{Network, Profile};

/// Devices that are the same for everyone. Terminals are not here: without a view of its own the task would get the
/// owner's.
const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// Where other programs of the owner keep what is nobody's business, and disks and terminals are.
const PRIVATE_OF_OTHERS: &[&str] = &["/tmp", "/var/tmp", "/dev/shm", "/run/user", "/dev/pts"];

/// Most entries of directories on the way to a secret; each costs a rule.
const MAX_RULES: usize = 20_000;

/// Starts the program under the supervisor and returns its process id.
pub(super) fn start(
    received: &Received,
    report: &OwnedFd,
    without: &Without,
) -> Result<i32, Failure> {
    let profile = &received.plan.profile;
    let abi = check(profile, without)?;
    let starting = program::start(&received.plan, received.group.as_ref(), || {
        capabilities::drop_all(without)?;
        if without.applies("landlock")? {
            govern(abi, profile)?;
        }
        if without.applies("seccomp")? {
            let sockets = if profile.network == Network::On {
                Sockets::Internet
            } else {
                Sockets::Refused
            };
            namespaces::filter(sockets, &profile.limits, report)?;
        }
        received.cwd.try_clone().step("working directory")
    })?;
    starting.executed()
}

/// Says whether this tier could be had.
pub(super) fn possible(profile: &Profile, without: &Without) -> bool {
    check(profile, without).is_ok()
}

/// Returns the version of Landlock, or what is missing.
fn check(profile: &Profile, without: &Without) -> Result<u32, Failure> {
    ["landlock", "seccomp", "capabilities"]
        .iter()
        .try_for_each(|layer| without.check(layer))?;
    if let Network::Allow(_) = profile.network {
        return Err(Failure {
            step: "netns/needed for an allow-list",
            errno: 0,
        });
    }
    match sys::landlock_abi() {
        abi if abi < GOVERNS_ALL_WRITES => Err(Failure {
            step: "landlock/too old to govern truncation",
            errno: 0,
        }),
        abi => Ok(abi),
    }
}

fn govern(abi: u32, profile: &Profile) -> Result<(), Failure> {
    let rights = Rights::of(abi);
    let rules = Ruleset::new(&rights, profile.network == Network::On)?;
    let hidden = profile
        .hidden
        .iter()
        .map(PathBuf::as_path)
        .chain(PRIVATE_OF_OTHERS.iter().map(Path::new));
    let hidden: BTreeSet<PathBuf> = hidden.filter_map(|path| path.canonicalize().ok()).collect();
    let mut n_rules = 0;
    for path in beside(Path::new("/"), &hidden, &mut n_rules)? {
        rules.allow(&path, rights.read)?;
    }
    for device in DEVICES {
        rules.allow(Path::new(device), rights.use_only)?;
    }
    rules.allow(&profile.private_tmp, rights.write)?;
    let in_workspace: BTreeSet<PathBuf> = hidden
        .into_iter()
        .filter(|path| path.starts_with(&profile.workspace))
        .collect();
    let access = if profile.writable {
        rights.write
    } else {
        rights.read
    };
    for path in beside(&profile.workspace, &in_workspace, &mut n_rules)? {
        rules.allow(&path, access)?;
    }
    rules.restrict_self()
}

/// Returns paths that together are all of `root` but the hidden paths; the root itself when nothing in it is hidden.
///
/// Listing is not among them for a directory on the way to a hidden path, and what is created beside one later is not
/// readable either.
fn beside(
    root: &Path,
    hidden: &BTreeSet<PathBuf>,
    n_paths: &mut usize,
) -> Result<Vec<PathBuf>, Failure> {
    let mut permitted = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        *n_paths += 1;
        if *n_paths > MAX_RULES {
            return Err(Failure {
                step: "landlock/too many files beside secrets",
                errno: libc::E2BIG,
            });
        }
        if hidden.contains(&path) {
            continue;
        }
        let mut beneath = hidden
            .range(path.clone()..)
            .take_while(|hidden| hidden.starts_with(&path));
        if beneath.next().is_none() {
            permitted.push(path);
            continue;
        }
        // What we cannot list we could not have read either.
        let Ok(entries) = std::fs::read_dir(&path) else {
            continue;
        };
        let entries = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()));
        open.extend(entries.map(|entry| entry.path()));
    }
    Ok(permitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_permitted_but_the_way_to_a_secret() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for dir in ["a/b/secret", "a/b/open", "a/c", "d"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        std::fs::write(root.join("a/b/file"), "").unwrap();
        std::os::unix::fs::symlink(root.join("a/b/secret"), root.join("link")).unwrap();
        let hidden = BTreeSet::from([root.join("a/b/secret")]);
        let permitted: BTreeSet<_> = beside(&root, &hidden, &mut 0)
            .unwrap()
            .into_iter()
            .collect();
        let expected: BTreeSet<_> = ["a/b/open", "a/b/file", "a/c", "d"]
            .map(|path| root.join(path))
            .into();
        assert_eq!(permitted, expected);
        assert_eq!(
            beside(&root.join("d"), &hidden, &mut 0).unwrap(),
            [root.join("d")]
        );
        assert!(
            beside(&root, &BTreeSet::from([root.clone()]), &mut 0)
                .unwrap()
                .is_empty()
        );
    }
}
