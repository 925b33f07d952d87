//! `git init`: a new repository. One that is there already is left to git.
//!
//! The templates are those git would take: named on the command line, in the environment or by the user's own
//! configuration, or else those beside the git that is first in `PATH`.

use std::fs;
use std::path::Path;

use crate::exec::{Call, Plan};
use crate::options::{Given, Known, Numbers, Parsed, Spec, flag, parse_known, value};
use crate::outcome::{Out, Res, Stop};
use crate::references::refs::is_valid_short_name;
use crate::repository::config::{self, Config};
use crate::repository::config_text;
use crate::text::bytes::{self, Bytes, lossy};

const OPTIONS: &[Spec] = &[
    flag("quiet", Some(b'q')),
    flag("bare", None),
    value("initial-branch", Some(b'b')),
    value("template", None),
];

const KNOWN: Known = Known {
    long: "template bare shared quiet separate-git-dir initial-branch object-format ref-format",
    short: "qb",
    usage: Some(include_str!("usage/init.txt")),
};

/// Says what an init would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    let parsed = parse_known(args, OPTIONS, Numbers::No, &KNOWN)?;
    if parsed.args.len() > 1 {
        return Err(Stop::not_native("several directories"));
    }
    Ok(Plan::LocalWrite)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    plan(args)?;
    let parsed = parse_known(args, OPTIONS, Numbers::No, &KNOWN)?;
    let config = Config::load(call, None, None)?;
    refuse(call, &config)?;
    let named = parsed.args.first().cloned().unwrap_or_default();
    if named.is_empty() && !parsed.args.is_empty() {
        return Err(Stop::not_native("a directory without a name"));
    }
    let top = bytes::join(&call.cwd, &named);
    let dir = if parsed.has("bare") {
        top.clone()
    } else {
        bytes::join(&top, b".git")
    };
    let is_there = |path: &[u8]| fs::symlink_metadata(bytes::to_path(path)).is_ok();
    if is_there(&bytes::join(&dir, b"HEAD"))
        || is_there(&bytes::join(&dir, b"config"))
        || !parsed.has("bare") && is_there(&dir)
    {
        return Err(Stop::not_native("a repository that is there already"));
    }
    if let Some(within) = call.within {
        // The nearest directory that is there says where the new one will be.
        let place = bytes::to_path(&bytes::normalize(&top));
        let near = place.ancestors().find_map(|dir| fs::canonicalize(dir).ok());
        if !near.is_some_and(|dir| dir.starts_with(within)) {
            return Err(Stop::not_native("a directory outside of the workspace"));
        }
    }
    let (branch, is_chosen) = branch(call, &config, &parsed)?;
    let template = template(call, &config, &parsed)?;
    call.wrote.set(true);
    let done = make(&config, &dir, &parsed, &branch, template.as_deref());
    done.map_err(|e| Stop::fatal(format!("cannot make the repository '{}': {e}", lossy(&dir))))?;
    if parsed.has("quiet") {
        return Ok(());
    }
    if !is_chosen {
        call.warn(
            "hint: Using 'master' as the name for the initial branch. This default branch name\n\
             hint: is subject to change. To configure the initial branch name to use in all\n\
             hint: of your new repositories, which will suppress this warning, call:\n\
             hint:\n\
             hint: \tgit config --global init.defaultBranch <name>\n\
             hint:\n\
             hint: Names commonly chosen instead of 'master' are 'main', 'trunk' and\n\
             hint: 'development'. The just-created branch can be renamed via this command:\n\
             hint:\n\
             hint: \tgit branch -m <name>\n",
        );
    }
    let shown = fs::canonicalize(bytes::to_path(&dir));
    let shown = shown.map_or(dir, |path| bytes::from_path(&path));
    out.put("Initialized empty Git repository in ");
    out.put(shown);
    out.put("/\n");
    Ok(())
}

fn refuse(call: &Call<'_>, config: &Config) -> Res<()> {
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_COMMON_DIR",
        "GIT_OBJECT_DIRECTORY",
        "GIT_CONFIG",
    ] {
        if call.var(name).is_some() {
            return Err(Stop::NotNative(format!("{name} in the environment")));
        }
    }
    let other = |name: &str, usual: &[u8]| call.var(name).is_some_and(|v| v != usual);
    if other("GIT_DEFAULT_HASH", b"sha1") || other("GIT_DEFAULT_REF_FORMAT", b"files") {
        return Err(Stop::not_native("another format of repositories"));
    }
    if call.globals.git_dir.is_some() || call.globals.work_tree.is_some() {
        return Err(Stop::not_native("a repository named on the command line"));
    }
    for key in [
        "core.sharedrepository",
        "init.defaultobjectformat",
        "init.defaultrefformat",
        "core.worktree",
        "core.bare",
        "core.prefersymlinkrefs",
    ] {
        if config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    Ok(())
}

/// Returns the first branch's name, and whether anybody chose it.
fn branch(call: &Call<'_>, config: &Config, parsed: &Parsed) -> Res<(Bytes, bool)> {
    let chosen = match parsed.last("initial-branch").map(Given::text) {
        Some(name) => Some(name.to_vec()),
        None => call
            .var("GIT_TEST_DEFAULT_INITIAL_BRANCH_NAME")
            .filter(|name| !name.is_empty())
            .or_else(|| config.get("init.defaultbranch").map(<[u8]>::to_vec)),
    };
    match chosen {
        None => Ok((b"master".to_vec(), false)),
        Some(name) if is_valid_short_name(&name) => Ok((name, true)),
        Some(_) => Err(Stop::not_native("an odd name for the first branch")),
    }
}

/// Returns the directory whose files a new repository gets; `None` when it gets none.
fn template(call: &Call<'_>, config: &Config, parsed: &Parsed) -> Res<Option<Bytes>> {
    let home = call.var("HOME").unwrap_or_default();
    let named = match parsed.last("template").map(Given::text) {
        Some([]) => return Ok(None),
        Some(dir) => Some(bytes::join(&call.cwd, dir)),
        None => match (call.var("GIT_TEMPLATE_DIR"), config.get("init.templatedir")) {
            (Some(dir), _) if dir.is_empty() => return Ok(None),
            (Some(dir), _) => Some(bytes::join(&call.cwd, &dir)),
            (None, Some(dir)) => Some(
                config::expand_home(dir, &home)
                    .filter(|dir| dir.starts_with(b"/"))
                    .ok_or_else(|| Stop::not_native("this place of templates"))?,
            ),
            (None, None) => None,
        },
    };
    let dir = match named {
        Some(dir) => dir,
        None => {
            let path = call.var("PATH").unwrap_or_default();
            let gits: Vec<Bytes> = path
                .split(|b| *b == b':')
                .filter(|dir| dir.starts_with(b"/"))
                .filter_map(|dir| fs::canonicalize(bytes::to_path(&bytes::join(dir, b"git"))).ok())
                .map(|git| {
                    let prefix = git.parent().and_then(Path::parent);
                    let prefix = prefix.unwrap_or(Path::new("/"));
                    bytes::from_path(&prefix.join("share/git-core/templates"))
                })
                .collect();
            let found = gits.iter().find(|dir| bytes::to_path(dir).is_dir());
            match found.or(gits.first()) {
                Some(dir) => dir.clone(),
                None => return Ok(None),
            }
        }
    };
    let odd = ["config", "HEAD", "refs", "objects"]
        .iter()
        .any(|name| bytes::to_path(&bytes::join(&dir, name.as_bytes())).exists());
    if odd || !bytes::to_path(&dir).is_dir() {
        return Err(Stop::not_native("these templates"));
    }
    Ok(Some(dir))
}

fn make(
    config: &Config,
    dir: &[u8],
    parsed: &Parsed,
    branch: &[u8],
    template: Option<&[u8]>,
) -> std::io::Result<()> {
    let at = |name: &str| bytes::to_path(&bytes::join(dir, name.as_bytes()));
    fs::create_dir_all(bytes::to_path(dir))?;
    if let Some(template) = template {
        copy(&bytes::to_path(template), &bytes::to_path(dir))?;
    }
    for name in ["refs/heads", "refs/tags", "objects/info", "objects/pack"] {
        fs::create_dir_all(at(name))?;
    }
    let bare = parsed.has("bare");
    let mut settings = vec![
        ("core.repositoryformatversion", "0"),
        ("core.filemode", "true"),
        ("core.bare", if bare { "true" } else { "false" }),
    ];
    if !bare && config.get("core.logallrefupdates").is_none() {
        settings.push(("core.logallrefupdates", "true"));
    }
    let mut text = Bytes::new();
    for (key, value) in settings {
        text = config_text::set(&text, key.as_bytes(), Some(value.as_bytes()))
            .map_err(|_| std::io::Error::other("a malformed configuration"))?;
    }
    fs::write(at("config"), text)?;
    fs::write(at("HEAD"), [b"ref: refs/heads/", branch, b"\n"].concat())?;
    Ok(())
}

/// Copies templates; names that begin with a dot, and what is there already, are left out.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if !to.is_dir() {
        fs::create_dir(to)?;
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if bytes::from_os(&name).starts_with(b".") {
            continue;
        }
        let (source, target) = (entry.path(), to.join(&name));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&source, &target)?;
        } else if fs::symlink_metadata(&target).is_ok() {
            continue;
        } else if kind.is_symlink() {
            link(&fs::read_link(&source)?, &target)?;
        } else if kind.is_file() {
            copy_file(&source, &target)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn link(to: &Path, at: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

#[cfg(not(unix))]
fn link(_to: &Path, _at: &Path) -> std::io::Result<()> {
    Err(std::io::Error::other("symbolic links are not made here"))
}

/// Copies a file with the modes a new one gets; only whether it may be executed is taken over.
fn copy_file(from: &Path, to: &Path) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        let runs = fs::metadata(from)?.permissions().mode() & 0o111 != 0;
        options.mode(if runs { 0o777 } else { 0o666 });
    }
    options.open(to)?.write_all(&fs::read(from)?)
}
