//! How the real git is run for what is not native: with everything switched off that the repository could make it start.
//!
//! Pure: it reads the repository's configuration and gives a command line; somebody else runs it, in a sandbox.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use crate::exec::{Call, Globals};
use crate::outcome::{Cancel, Res, Stop};
use crate::repository::config::Config;
use crate::repository::repo;
use crate::request::{Environment, Request};
use crate::text::bytes::{self, Bytes, lossy};

/// A command line and the variables to add to (or replace in) the environment of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FallbackCommand {
    /// The whole command line; the first element is `git`.
    pub argv: Vec<OsString>,
    /// The complete environment.
    pub env: Environment,
}

/// Why a command line is not run at all, as a sentence fragment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FallbackError {
    /// It would let the caller name a program or a file to write.
    #[error("`{0}` is not allowed: it names a program to run or a file to write")]
    Refused(String),
    /// The configuration could not be read, so nothing is known about what it would start.
    #[error("read the repository's configuration: {0}")]
    Unreadable(String),
    /// The repository reaches outside of the directory it has to lie in.
    #[error("{0}")]
    Outside(String),
}

/// Returns the command that carries out a request with the real git.
///
/// Hooks, the file system monitor, filters, text conversions, external diffs, signing programs, editors, pagers and
/// credential helpers that the repository's configuration names are switched off. A filter that is switched off changes
/// what git reads and writes for its paths (git LFS, for one).
///
/// # Errors
///
/// Refuses options and settings by which the *caller* would name a program or an output file, and aliases that are
/// shell commands. Refuses a repository that reaches outside of [`Request::within`], as the native engine does.
pub fn fallback_command(request: &Request) -> Result<FallbackCommand, FallbackError> {
    let argv: Vec<Bytes> = request.argv.iter().map(|a| bytes::from_os(a)).collect();
    let verb_at = refuse_globals(&argv)?;
    refuse_options(&argv[verb_at..])?;
    let config = configuration(request).map_err(|stop| FallbackError::Unreadable(said(stop)))?;
    let cancel = AtomicBool::new(false);
    repo::refuse_reaching_outside(&loose_call(request, &cancel))
        .map_err(|stop| FallbackError::Outside(said(stop)))?;
    if let Some(verb) = argv.get(verb_at) {
        let alias = [b"alias.".as_slice(), &verb.to_ascii_lowercase()].concat();
        if config
            .get_bytes(&alias)
            .is_some_and(|v| v.starts_with(b"!"))
        {
            return Err(FallbackError::Refused(format!("git {}", lossy(verb))));
        }
    }
    let mut full: Vec<OsString> = vec!["git".into()];
    for setting in neutral_settings(&config) {
        full.push("-c".into());
        full.push(bytes::to_os(&setting));
    }
    full.push("--no-pager".into());
    full.extend(
        request
            .argv
            .iter()
            .skip(1)
            .take(verb_at.saturating_sub(1))
            .cloned(),
    );
    let verb = argv.get(verb_at).map(Vec::as_slice).unwrap_or_default();
    full.extend(request.argv.get(verb_at).cloned());
    if matches!(
        verb,
        b"diff" | b"log" | b"show" | b"diff-tree" | b"diff-index" | b"diff-files" | b"whatchanged"
    ) {
        full.push("--no-ext-diff".into());
        full.push("--no-textconv".into());
    }
    full.extend(request.argv.iter().skip(verb_at + 1).cloned());
    let mut env: Environment = request
        .env
        .iter()
        .filter(|(name, _)| {
            !PROGRAM_VARIABLES
                .iter()
                .any(|p| *name == std::ffi::OsStr::new(p))
        })
        .collect();
    for (name, value) in [
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_EDITOR", "true"),
        ("GIT_SEQUENCE_EDITOR", "true"),
        ("GIT_PAGER", "cat"),
    ] {
        env.set(name, value);
    }
    Ok(FallbackCommand { argv: full, env })
}

fn said(stop: Stop) -> String {
    match stop {
        Stop::NotNative(reason) => reason,
        Stop::Fail { text, .. } => lossy(text.trim_ascii()).into_owned(),
        Stop::Cancelled => "cancelled".to_owned(),
    }
}

/// Variables that name programs.
const PROGRAM_VARIABLES: &[&str] = &[
    "GIT_EXTERNAL_DIFF",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_ASKPASS",
    "SSH_ASKPASS",
    "GIT_PROXY_COMMAND",
    "GIT_EXEC_PATH",
    "GIT_TEMPLATE_DIR",
    "PAGER",
    "EDITOR",
    "VISUAL",
    "GIT_CONFIG_PARAMETERS",
];

/// Checks what stands before the verb; returns the verb's position.
fn refuse_globals(argv: &[Bytes]) -> Result<usize, FallbackError> {
    let mut i = 1;
    while let Some(arg) = argv.get(i).filter(|a| a.first() == Some(&b'-')) {
        let refused = || Err(FallbackError::Refused(lossy(arg).into_owned()));
        match arg.as_slice() {
            b"-c" => {
                if argv
                    .get(i + 1)
                    .is_some_and(|setting| names_program(setting))
                {
                    return refused();
                }
                i += 1;
            }
            b"-C" | b"--git-dir" | b"--work-tree" | b"--namespace" => i += 1,
            a if a == b"--config-env"
                || a.starts_with(b"--config-env=")
                || a.starts_with(b"--exec-path") =>
            {
                return refused();
            }
            _ => {}
        }
        i += 1;
    }
    Ok(i.min(argv.len()))
}

/// Says whether a `-c` setting names a program (or a file of settings that could).
fn names_program(setting: &[u8]) -> bool {
    let key = bytes::split_once(setting, b'=')
        .map_or(setting, |(k, _)| k)
        .to_ascii_lowercase();
    const KEYS: &[&[u8]] = &[
        b"core.fsmonitor",
        b"core.hookspath",
        b"core.sshcommand",
        b"core.editor",
        b"core.pager",
        b"core.askpass",
        b"core.gitproxy",
        b"core.alternaterefscommand",
        b"diff.external",
        b"sequence.editor",
        b"gpg.program",
        b"uploadpack.packobjectshook",
        b"init.templatedir",
        b"sendemail.smtpserver",
        b"web.browser",
        b"interactive.difffilter",
    ];
    const SECTIONS: &[&[u8]] = &[
        b"filter.",
        b"alias.",
        b"credential.",
        b"gpg.",
        b"include.",
        b"includeif.",
        b"pager.",
        b"protocol.",
        b"difftool.",
        b"mergetool.",
        b"browser.",
        b"man.",
        b"trailer.",
        b"merge.",
        b"guitool.",
        b"imap.",
        b"instaweb.",
    ];
    const ENDINGS: &[&[u8]] = &[
        b".textconv",
        b".command",
        b".uploadpack",
        b".receivepack",
        b".vcs",
        b".proxy",
        b".cmd",
        b".driver",
        b".program",
    ];
    KEYS.contains(&key.as_slice())
        || SECTIONS.iter().any(|s| key.starts_with(s))
        || ENDINGS.iter().any(|e| key.ends_with(e))
        || (key.starts_with(b"submodule.") && key.ends_with(b".update"))
}

fn refuse_options(args: &[Bytes]) -> Result<(), FallbackError> {
    const NAMES: &[&[u8]] = &[
        b"--output",
        b"--ext-diff",
        b"--textconv",
        b"--upload-pack",
        b"--receive-pack",
        b"--exec",
        b"--open-files-in-pager",
        b"--paginate",
        b"--template",
        b"--extcmd",
        b"--tool",
        b"--config",
        b"--edit",
        b"--filter-process",
    ];
    let verb = args.first().map(Vec::as_slice).unwrap_or_default();
    if matches!(
        verb,
        b"difftool"
            | b"mergetool"
            | b"filter-branch"
            | b"web--browse"
            | b"instaweb"
            | b"gui"
            | b"gitk"
            | b"daemon"
            | b"shell"
            | b"citool"
            | b"send-email"
            | b"help"
    ) {
        return Err(FallbackError::Refused(format!("git {}", lossy(verb))));
    }
    for (i, arg) in args.iter().enumerate().skip(1) {
        if arg == b"--" {
            break;
        }
        let name = bytes::split_once(arg, b'=').map_or(arg.as_slice(), |(n, _)| n);
        // git takes unambiguous beginnings of option names as well.
        let abbreviates =
            |full: &&[u8]| name.len() > 3 && full.starts_with(name) && name.starts_with(b"--");
        let edits_config = name == b"--edit" && !matches!(verb, b"config");
        let short = match verb {
            b"rebase" => arg.starts_with(b"-x"),
            b"grep" => arg.starts_with(b"-O"),
            b"clone" => arg.starts_with(b"-u") || arg.starts_with(b"-c"),
            b"bisect" => i == 1 && arg == b"run",
            b"submodule" => arg == b"foreach",
            b"config" => i == 1 && arg == b"-e",
            _ => false,
        };
        if short || (NAMES.iter().any(abbreviates) && !edits_config && !is_harmless(verb, name)) {
            return Err(FallbackError::Refused(lossy(arg).into_owned()));
        }
    }
    Ok(())
}

/// Names that begin like a refused one but mean something else for a verb.
fn is_harmless(verb: &[u8], name: &[u8]) -> bool {
    match name {
        b"--exec" => false,
        b"--tool" | b"--template" => !matches!(verb, b"clone" | b"init" | b"commit"),
        b"--config" => verb != b"clone",
        _ => false,
    }
}

/// Returns `key=value` settings that switch off what the configuration could start.
fn neutral_settings(config: &Config) -> Vec<Bytes> {
    let mut settings: Vec<Bytes> = [
        // A directory that cannot exist holds no hooks.
        "core.hooksPath=/dev/null/no-hooks",
        "core.fsmonitor=false",
        "core.pager=cat",
        "core.editor=true",
        "core.askPass=",
        "core.sshCommand=ssh",
        "core.gitProxy=",
        "core.alternateRefsCommand=",
        "diff.external=",
        "credential.helper=",
        "commit.gpgSign=false",
        "tag.gpgSign=false",
        "push.gpgSign=false",
        "log.showSignature=false",
        "merge.verifySignatures=false",
        "gpg.program=false",
        "gpg.ssh.program=false",
        "gpg.x509.program=false",
        "protocol.ext.allow=never",
        "uploadpack.packObjectsHook=",
    ]
    .iter()
    .map(|s| s.as_bytes().to_vec())
    .collect();
    let mut set = |parts: &[&[u8]]| settings.push(parts.concat());
    for name in config.subsections("filter") {
        for kind in ["clean", "smudge", "process"] {
            set(&[b"filter.", &name, b".", kind.as_bytes(), b"="]);
        }
        set(&[b"filter.", &name, b".required=false"]);
    }
    for name in config.subsections("diff") {
        set(&[b"diff.", &name, b".textconv="]);
        set(&[b"diff.", &name, b".command="]);
    }
    for name in config.subsections("merge") {
        if config
            .get_bytes(&[b"merge.", name.as_slice(), b".driver"].concat())
            .is_some()
        {
            set(&[b"merge.", &name, b".driver=false"]);
        }
    }
    for name in config.subsections("remote") {
        for (key, value) in [
            ("uploadpack", "git-upload-pack"),
            ("receivepack", "git-receive-pack"),
            ("vcs", ""),
        ] {
            if config
                .get_bytes(&[b"remote.", name.as_slice(), b".", key.as_bytes()].concat())
                .is_some()
            {
                set(&[
                    b"remote.",
                    &name,
                    b".",
                    key.as_bytes(),
                    b"=",
                    value.as_bytes(),
                ]);
            }
        }
    }
    for name in config.subsections("credential") {
        set(&[b"credential.", &name, b".helper="]);
    }
    for name in config.subsections("submodule") {
        if config
            .get_bytes(&[b"submodule.", name.as_slice(), b".update"].concat())
            .is_some_and(|v| v.starts_with(b"!"))
        {
            set(&[b"submodule.", &name, b".update=none"]);
        }
    }
    for entry in &config.entries {
        if let Some(name) = entry.key.strip_prefix(b"pager.") {
            set(&[b"pager.", name, b"=false"]);
        }
        if let Some(name) = entry
            .key
            .strip_prefix(b"trailer.")
            .filter(|n| n.ends_with(b".command") || n.ends_with(b".cmd"))
        {
            set(&[b"trailer.", name, b"="]);
        }
    }
    settings
}

/// Returns the directory that all work trees of the request's repository share, resolved; none outside of a repository.
///
/// Two commands that change one repository have it in common, so it can name a lock. Blocks for some file look-ups.
pub fn common_dir(request: &Request) -> Option<PathBuf> {
    let cancel = AtomicBool::new(false);
    let (_, common_dir) = repo::locate(&loose_call(request, &cancel)).ok()??;
    std::fs::canonicalize(bytes::to_path(&common_dir)).ok()
}

/// Reads the configuration that would apply; outside a repository, the user's.
fn configuration(request: &Request) -> Res<Config> {
    let cancel = AtomicBool::new(false);
    let call = loose_call(request, &cancel);
    match repo::locate(&call)? {
        Some((git_dir, common_dir)) => Config::load(&call, Some(&git_dir), Some(&common_dir)),
        None => Config::load(&call, None, None),
    }
}

/// The call of a command line of which only what says where the repository is was understood.
fn loose_call<'a>(request: &'a Request, cancel: &'a AtomicBool) -> Call<'a> {
    let argv: Vec<Bytes> = request.argv.iter().map(|a| bytes::from_os(a)).collect();
    let (globals, _) = Globals::parse_loosely(&argv);
    let mut cwd = bytes::from_path(&request.cwd);
    for dir in &globals.directories {
        cwd = bytes::join(&cwd, dir);
    }
    if let Ok(real) = std::fs::canonicalize(bytes::to_path(&cwd)) {
        cwd = bytes::from_path(&real);
    }
    Call {
        env: &request.env,
        cwd,
        started_in: Bytes::new(),
        within: request.within.as_deref(),
        globals,
        stdin: None,
        cancel: Cancel(cancel),
        warnings: Default::default(),
        wrote: Default::default(),
        only_reads: std::cell::Cell::new(true),
        depth: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::OutputLimits;

    fn request(argv: &[&str]) -> Request {
        Request {
            argv: argv.iter().map(|a| OsString::from(*a)).collect(),
            within: None,
            cwd: std::env::temp_dir(),
            env: Environment::default(),
            stdin: None,
            limits: OutputLimits::default(),
        }
    }

    #[test]
    fn programs_named_by_the_caller_are_refused() {
        for argv in [
            &["git", "-c", "core.pager=evil", "log"] as &[&str],
            &["git", "-c", "alias.x=!evil", "x"],
            &["git", "--exec-path=/tmp", "status"],
            &["git", "--config-env=core.editor=X", "status"],
            &["git", "log", "--output=/etc/passwd"],
            &["git", "diff", "--outp=/x"],
            &["git", "fetch", "--upload-pack=evil"],
            &["git", "rebase", "-x", "evil", "main"],
            &["git", "rebase", "--exec=evil"],
            &["git", "bisect", "run", "evil"],
            &["git", "submodule", "foreach", "evil"],
            &["git", "difftool"],
        ] {
            assert!(
                matches!(
                    fallback_command(&request(argv)),
                    Err(FallbackError::Refused(_))
                ),
                "{argv:?}"
            );
        }
    }

    #[test]
    fn reads_get_their_programs_switched_off() {
        let command =
            fallback_command(&request(&["git", "-C", ".", "log", "-1", "--word-diff"])).unwrap();
        let argv: Vec<String> = command
            .argv
            .iter()
            .map(|a| a.to_string_lossy().into_owned())
            .collect();
        assert!(argv.contains(&"core.fsmonitor=false".to_string()));
        let tail = &argv[argv.len() - 7..];
        assert_eq!(
            tail,
            [
                "-C",
                ".",
                "log",
                "--no-ext-diff",
                "--no-textconv",
                "-1",
                "--word-diff"
            ]
        );
        assert_eq!(
            command.env.get("GIT_TERMINAL_PROMPT"),
            Some(std::ffi::OsStr::new("0"))
        );
    }
}
