//! What a git command would do when the real git carries it out, told from its words alone.
//!
//! It serves to give the real git no more than it needs: a command taken for a read runs where the repository is
//! read-only, so a wrong guess makes the command fail and changes nothing.

use std::ffi::OsString;

use crate::exec::Globals;
use crate::text::bytes::{self, Bytes};

/// What a command needs beyond reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// It reads the repository.
    Read,
    /// It changes the repository, and nothing elsewhere.
    LocalWrite,
    /// It talks to another repository.
    Remote,
}

/// Tells what a command would do. Conservative: what is not known to read writes.
pub fn nature(argv: &[OsString]) -> Nature {
    let argv: Vec<Bytes> = argv.iter().map(|arg| bytes::from_os(arg)).collect();
    let (_, verb_at) = Globals::parse_loosely(&argv);
    let Some(verb) = argv.get(verb_at) else {
        // `git` alone, or with options only: usage, version.
        return Nature::Read;
    };
    let args: Vec<&[u8]> = argv[verb_at + 1..].iter().map(Vec::as_slice).collect();
    match verb.as_slice() {
        b"annotate" | b"blame" | b"cat-file" | b"check-attr" | b"check-ignore"
        | b"check-mailmap" | b"check-ref-format" | b"cherry" | b"count-objects" | b"describe"
        | b"diff" | b"diff-files" | b"diff-index" | b"diff-tree" | b"for-each-ref" | b"fsck"
        | b"get-tar-commit-id" | b"grep" | b"log" | b"ls-files" | b"ls-tree" | b"merge-base"
        | b"merge-tree" | b"name-rev" | b"patch-id" | b"range-diff" | b"rev-list"
        | b"rev-parse" | b"shortlog" | b"show" | b"show-branch" | b"show-index" | b"show-ref"
        | b"status" | b"stripspace" | b"var" | b"verify-commit" | b"verify-pack"
        | b"verify-tag" | b"version" | b"whatchanged" => Nature::Read,
        b"clone" | b"fetch" | b"fetch-pack" | b"ls-remote" | b"pull" | b"push"
        | b"request-pull" | b"send-pack" | b"http-fetch" | b"http-push" | b"imap-send"
        | b"send-email" | b"svn" | b"p4" => Nature::Remote,
        b"archive" => remote_if(
            args.iter().any(|arg| arg.starts_with(b"--remote")),
            Nature::Read,
        ),
        b"bundle" => read_if(first_is(&args, &[b"verify", b"list-heads"])),
        b"branch" | b"tag" => read_if(only_lists(verb, &args)),
        b"config" => read_if(only_shows_config(&args)),
        b"notes" => read_if(args.is_empty() || first_is(&args, &[b"list", b"show", b"get-ref"])),
        b"reflog" => read_if(!first_is(&args, &[b"expire", b"delete", b"drop", b"write"])),
        b"remote" => match args.first() {
            None | Some(&b"-v" | &b"--verbose" | &b"get-url") => Nature::Read,
            Some(&b"show") => remote_if(!args.contains(&b"-n".as_slice()), Nature::Read),
            Some(&b"update" | &b"prune") => Nature::Remote,
            Some(_) => remote_if(args.contains(&b"-f".as_slice()), Nature::LocalWrite),
        },
        b"stash" => read_if(first_is(&args, &[b"list", b"show"])),
        b"submodule" => match args.first() {
            None | Some(&b"status" | &b"summary") => Nature::Read,
            Some(&b"add" | &b"update") => Nature::Remote,
            Some(_) => Nature::LocalWrite,
        },
        b"symbolic-ref" => {
            let names = args.iter().filter(|arg| !arg.starts_with(b"-")).count();
            let deletes = args.iter().any(|arg| matches!(*arg, b"-d" | b"--delete"));
            read_if(names < 2 && !deletes)
        }
        b"worktree" => read_if(first_is(&args, &[b"list"])),
        b"hash-object" => read_if(!args.contains(&b"-w".as_slice())),
        _ => Nature::LocalWrite,
    }
}

fn read_if(reads: bool) -> Nature {
    if reads {
        Nature::Read
    } else {
        Nature::LocalWrite
    }
}

fn remote_if(reaches: bool, otherwise: Nature) -> Nature {
    if reaches { Nature::Remote } else { otherwise }
}

fn first_is(args: &[&[u8]], names: &[&[u8]]) -> bool {
    args.first().is_some_and(|first| names.contains(first))
}

/// `branch` and `tag` list when no name stands there, or when an option says that the names are patterns.
fn only_lists(verb: &[u8], args: &[&[u8]]) -> bool {
    const LISTING: &[&[u8]] = &[
        b"-l",
        b"--list",
        b"--contains",
        b"--no-contains",
        b"--merged",
        b"--no-merged",
        b"--points-at",
    ];
    const QUIET: &[&[u8]] = &[
        b"-a",
        b"--all",
        b"-r",
        b"--remotes",
        b"-v",
        b"-vv",
        b"--verbose",
        b"--show-current",
        b"-i",
        b"--ignore-case",
        b"--no-color",
        b"--no-column",
    ];
    let name = |arg: &[u8]| {
        bytes::split_once(arg, b'=')
            .map_or(arg, |(name, _)| name)
            .to_vec()
    };
    let listing = args
        .iter()
        .any(|arg| LISTING.contains(&name(arg).as_slice()));
    args.iter().all(|arg| {
        let name = name(arg);
        let name = name.as_slice();
        LISTING.contains(&name)
            || (QUIET.contains(&name) && !(verb == b"tag" && matches!(name, b"-a" | b"-r" | b"-v")))
            || (verb == b"tag" && arg.starts_with(b"-n"))
            || matches!(
                name,
                b"--sort" | b"--format" | b"--color" | b"--column" | b"--abbrev"
            )
            || (listing && !arg.starts_with(b"-"))
    })
}

fn only_shows_config(args: &[&[u8]]) -> bool {
    const SHOWING: &[&[u8]] = &[
        b"--get",
        b"--get-all",
        b"--get-regexp",
        b"--get-urlmatch",
        b"--get-color",
        b"--get-colorbool",
        b"--list",
        b"-l",
        b"get",
        b"list",
    ];
    args.iter().any(|arg| SHOWING.contains(arg))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_told_from_writes() {
        let told = |line: &str| nature(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for line in [
            "git",
            "git --version",
            "git status",
            "git -C sub -c a.b=c log --graph",
            "git branch",
            "git branch -vv --sort=-committerdate",
            "git branch --list x*",
            "git branch --contains HEAD",
            "git tag",
            "git tag -n3 -l v*",
            "git config --get user.name",
            "git remote -v",
            "git remote show -n origin",
            "git stash list",
            "git reflog",
            "git reflog show main",
            "git symbolic-ref HEAD",
            "git worktree list",
            "git submodule status",
            "git archive HEAD",
        ] {
            assert_eq!(told(line), Nature::Read, "{line}");
        }
        for line in [
            "git commit -m x",
            "git branch x",
            "git branch -d x",
            "git branch -m x",
            "git tag v1",
            "git tag -a v1 -m x",
            "git config user.name x",
            "git remote add o u",
            "git stash",
            "git reflog expire --all",
            "git symbolic-ref HEAD refs/heads/x",
            "git symbolic-ref -d X",
            "git worktree add ../x",
            "git rebase main",
            "git unknown",
            "git notes add -m x",
        ] {
            assert_eq!(told(line), Nature::LocalWrite, "{line}");
        }
        for line in [
            "git fetch",
            "git -C x push origin main",
            "git clone u",
            "git ls-remote",
            "git remote update",
            "git remote show origin",
            "git submodule update --init",
            "git archive --remote=u HEAD",
        ] {
            assert_eq!(told(line), Nature::Remote, "{line}");
        }
    }
}
