//! What git answered, kept so that it need not be asked again: from run to run, and in the project for machines whose
//! git is another version.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use deskhand_git::Environment;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// The answers given in one state, by argv.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    known: HashMap<Vec<OsString>, Said>,
    file: Option<PathBuf>,
    grown: bool,
}

impl Answers {
    /// Reads what a file holds, if it is there; `save` writes to it.
    pub(crate) fn kept_in(file: PathBuf) -> Answers {
        let bytes = std::fs::read(&file).unwrap_or_default();
        Answers {
            known: parse(&bytes).collect(),
            file: Some(file),
            grown: false,
        }
    }

    /// Returns what git says, asking it when that is not known yet.
    pub(crate) fn ask(
        &mut self,
        git: &Path,
        dir: &Path,
        argv: &[OsString],
        env: &Environment,
    ) -> Said {
        if let Some(said) = self.known.get(argv) {
            return said.clone();
        }
        let said = ask(git, dir, argv, env);
        if self.file.is_some() && !depends_on_today(argv) {
            self.known.insert(argv.to_vec(), said.clone());
            self.grown = true;
        }
        said
    }

    /// Asks git anew the next time.
    pub(crate) fn forget(&mut self, argv: &[OsString]) {
        self.known.remove(argv);
    }

    /// Writes what was learned.
    pub(crate) fn save(&self) {
        if let Some(file) = self.file.as_ref().filter(|_| self.grown) {
            let mut bytes = Vec::new();
            for (argv, said) in &self.known {
                write(&mut bytes, argv, said);
            }
            std::fs::write(file, bytes).unwrap();
        }
    }
}

/// Asks git.
pub(crate) fn ask(git: &Path, dir: &Path, argv: &[OsString], env: &Environment) -> Said {
    let output = Command::new(git)
        .args(argv)
        .current_dir(dir)
        .env_clear()
        .envs(env.iter())
        .output()
        .unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: output.stderr,
    }
}

/// Says whether another day may bring another answer.
pub(crate) fn depends_on_today(argv: &[OsString]) -> bool {
    const WORDS: [&str; 12] = [
        "relative",
        "human",
        "ago",
        "%ar",
        "%cr",
        "%ah",
        "%ch",
        "auto:",
        "yesterday",
        "now",
        "noon",
        "last",
    ];
    argv.iter().any(|arg| {
        let arg = arg.to_string_lossy();
        WORDS.iter().any(|word| arg.contains(word))
    })
}

/// Appends an answer: the number of arguments and each of them, the exit code, both outputs, all with their lengths.
pub(crate) fn write(bytes: &mut Vec<u8>, argv: &[OsString], said: &Said) {
    let number = |bytes: &mut Vec<u8>, n: usize| {
        bytes.extend_from_slice(&u32::try_from(n).unwrap().to_le_bytes());
    };
    number(bytes, argv.len());
    let parts = argv.iter().map(|arg| arg.as_bytes());
    let code = said.code.to_string();
    for part in parts.chain([code.as_bytes(), &said.stdout, &said.stderr]) {
        number(bytes, part.len());
        bytes.extend_from_slice(part);
    }
}

/// Reads answers as `write` leaves them.
pub(crate) fn parse(bytes: &[u8]) -> impl Iterator<Item = (Vec<OsString>, Said)> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let count = number(&mut rest)?;
        let mut parts = Vec::with_capacity(count + 3);
        for _ in 0..count + 3 {
            let length = number(&mut rest)?;
            parts.push(take(&mut rest, length)?.to_vec());
        }
        let stderr = parts.pop()?;
        let stdout = parts.pop()?;
        let code = OsStr::from_bytes(&parts.pop()?).to_str()?.parse().ok()?;
        let argv = parts.into_iter().map(OsString::from_vec).collect();
        Some((
            argv,
            Said {
                code,
                stdout,
                stderr,
            },
        ))
    })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    Some(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?) as usize)
}
