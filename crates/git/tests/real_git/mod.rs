//! The real git, repositories to try it on, and tables of argv: what the comparing tests share.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use deskhand_git::Environment;

pub(crate) mod answers;
pub(crate) mod reasons;

/// Makes `to` a copy of `from`, with the times of the files.
pub(crate) fn copy(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    assert!(
        Command::new("cp")
            .arg("-a")
            .args([from, to])
            .status()
            .unwrap()
            .success()
    );
}

/// A third of all pairs of argv and state is enough for every day, chosen so that each argv and each state has its turn.
pub(crate) fn is_due(case: usize, state: usize) -> bool {
    std::env::var_os("DESKHAND_GIT_ALL").is_some() || (case + state).is_multiple_of(3)
}

pub(crate) fn reference_git() -> Option<PathBuf> {
    let git = std::env::var_os("DESKHAND_GIT").map_or_else(|| PathBuf::from("git"), PathBuf::from);
    let version = Command::new(&git).arg("--version").output().ok()?;
    String::from_utf8_lossy(&version.stdout)
        .contains("version 2.47")
        .then_some(git)
}

pub(crate) fn environment(home: &Path, git: &Path) -> Environment {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let git_dir = git.parent().filter(|p| !p.as_os_str().is_empty());
    let path = match git_dir {
        Some(dir) => {
            let mut joined = dir.as_os_str().to_os_string();
            joined.push(":");
            joined.push(path);
            joined
        }
        None => path,
    };
    [
        ("HOME", home.as_os_str().to_os_string()),
        ("PATH", path),
        ("LC_ALL", "C".into()),
        ("TZ", "UTC".into()),
        ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ("GIT_PAGER", "cat".into()),
        ("GIT_EDITOR", "true".into()),
        (
            "GIT_CEILING_DIRECTORIES",
            home.parent().unwrap().as_os_str().to_os_string(),
        ),
    ]
    .into_iter()
    .collect()
}

pub(crate) fn list_states() -> Vec<String> {
    states("--list")
}

/// Lists the names of states: all that are read (`--list`), or those that only matter to writing (`--list-writes`).
pub(crate) fn states(which: &str) -> Vec<String> {
    let output = Command::new("bash")
        .args([scripts().join("states.sh").as_os_str(), which.as_ref()])
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_string)
        .collect()
}

pub(crate) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

pub(crate) fn build(state: &str, dir: &Path, env: &Environment) {
    let output = Command::new("bash")
        .args([
            scripts().join("states.sh").as_os_str(),
            state.as_ref(),
            dir.as_os_str(),
        ])
        .env_clear()
        .envs(env.iter())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{state}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

pub(crate) fn cases(file: &str) -> Vec<(u8, Vec<OsString>)> {
    let text = std::fs::read_to_string(scripts().join(file)).unwrap();
    text.lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(|line| {
            let (tier, rest) = line.split_once(' ').unwrap();
            (tier.parse().unwrap(), words(&rest.replace("\\n", "\n")))
        })
        .collect()
}

/// Splits at blanks; single quotes hold a word together, `\\n` is a line's end.
pub(crate) fn words(text: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut any) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            '\'' => (quoted, any) = (!quoted, true),
            ' ' if !quoted => {
                if any || !word.is_empty() {
                    words.push(OsString::from(std::mem::take(&mut word)));
                }
                any = false;
            }
            c => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(OsString::from(word));
    }
    words
}

pub(crate) fn verb(argv: &[OsString]) -> String {
    let mut args = argv.iter().map(|a| a.to_string_lossy());
    while let Some(arg) = args.next() {
        match arg.as_ref() {
            "-C" | "-c" => {
                args.next();
            }
            a if a.starts_with('-') => {}
            a => return a.to_string(),
        }
    }
    "(global)".to_string()
}

/// How many answers of one kind were what.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) total: usize,
    pub(crate) same: usize,
    pub(crate) handed_over: usize,
    pub(crate) stderr_same: usize,
}

/// By tier and verb.
pub(crate) type Tallies = BTreeMap<(u8, String), Tally>;

/// Adds up all verbs of a tier.
pub(crate) fn tier(tallies: &Tallies, tier: u8) -> Tally {
    let mut sum = Tally::default();
    for (_, tally) in tallies.iter().filter(|((t, _), _)| *t == tier) {
        sum.total += tally.total;
        sum.same += tally.same;
        sum.handed_over += tally.handed_over;
        sum.stderr_same += tally.stderr_same;
    }
    sum
}

/// Writes the table that is printed at the end.
pub(crate) fn summarize(tallies: &Tallies) -> String {
    let mut text = String::from(
        "tier  verb              total  native+same  handed over  different  stderr same\n",
    );
    let mut line = |tier: u8, name: &str, t: &Tally| {
        text.push_str(&format!(
            "{tier:>4}  {name:<16} {:>6}  {:>11}  {:>11}  {:>9}  {:>11}\n",
            t.total,
            t.same,
            t.handed_over,
            t.total - t.same - t.handed_over,
            t.stderr_same
        ));
    };
    for ((tier, verb), tally) in tallies {
        line(*tier, verb, tally);
    }
    for wanted in [1, 2] {
        line(wanted, "all", &tier(tallies, wanted));
    }
    text
}
