//! The message as an editor would be shown it, where it is certain what the editor does: nothing, or that there is none.

use crate::options::Parsed;
use crate::outcome::{Res, Stop};
use crate::repository::identity::Identity;
use crate::repository::repo::Repo;
use crate::text::bytes::Bytes;
use crate::text::date;
use crate::text::message::Cleanup;
use crate::verbs::commit_task::Task;
use crate::verbs::status;

/// The editor git would start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Editor {
    /// One that leaves the message as it is.
    Idle,
    /// None, since the terminal is none either.
    Missing,
}

/// Finds out which editor git would start; one that is a real program is handed over.
pub(crate) fn find(repo: &Repo<'_>) -> Res<Editor> {
    let call = repo.call;
    let is_dumb = call.var("TERM").is_none_or(|term| term == b"dumb");
    let found = call
        .var("GIT_EDITOR")
        .or_else(|| repo.config.get("core.editor").map(<[u8]>::to_vec))
        .or_else(|| call.var("VISUAL").filter(|_| !is_dumb))
        .or_else(|| call.var("EDITOR"));
    match found.as_deref() {
        Some(b":" | b"true" | b"/bin/true" | b"/usr/bin/true") => Ok(Editor::Idle),
        None if is_dumb => Ok(Editor::Missing),
        _ => Err(Stop::not_native("a message from an editor")),
    }
}

/// Hands over where an editor would do something, or be shown something this crate does not print.
pub(crate) fn refuse(repo: &Repo<'_>) -> Res<()> {
    find(repo)?;
    for key in ["commit.template", "commit.verbose", "commit.status"] {
        if repo.config.get(key).is_some() {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    Ok(())
}

/// Returns what stands below the message: how it will be read, who it is by, and the status.
pub(crate) fn below(
    repo: &Repo<'_>,
    parsed: &Parsed,
    task: &Task,
    (author, committer): (&Identity, &Identity),
    commit: status::ForCommit<'_>,
) -> Res<Bytes> {
    if parsed.last("status").is_some_and(|g| g.negated) {
        return Ok(Bytes::new());
    }
    let mut text = String::new();
    let operation = if !task.merge_heads.is_empty() {
        Some(("a merge", "MERGE_HEAD"))
    } else if task.picked.is_some() {
        Some(("a cherry-pick", "CHERRY_PICK_HEAD"))
    } else {
        None
    };
    if let Some((what, file)) = operation {
        text.push_str(&format!(
            "\nIt looks like you may be committing {what}.\n\
             If this is not correct, please run\n\
             \tgit update-ref -d {file}\n\
             and try again.\n"
        ));
    }
    let mut out = commented(text.as_bytes());
    if operation.is_some() {
        out.push(b'\n');
    }
    out.push(b'\n');
    let may_be_empty = parsed.has("allow-empty-message");
    let mut text = "Please enter the commit message for your changes. Lines starting\n".to_string();
    text.push_str(match (task.cleanup, may_be_empty) {
        (Cleanup::Strip, true) => "with '#' will be ignored.\n",
        (Cleanup::Strip, false) => {
            "with '#' will be ignored, and an empty message aborts the commit.\n"
        }
        (_, true) => "with '#' will be kept; you may remove them yourself if you want to.\n",
        (_, false) => {
            "with '#' will be kept; you may remove them yourself if you want to.\n\
             An empty message aborts the commit.\n"
        }
    });
    let mut who = Bytes::new();
    if author.name != committer.name || author.email != committer.email {
        who.extend_from_slice(b"Author:    ");
        who.extend_from_slice(&[&author.name, b" <".as_slice(), &author.email, b">\n"].concat());
    }
    let has_date = task.source.is_some() && !parsed.has("reset-author");
    if has_date || parsed.last("date").is_some() {
        let format = date::Format::default();
        let shown = date::show(repo.call, author.time, author.zone, &format)?;
        who.extend_from_slice(format!("Date:      {shown}\n").as_bytes());
    }
    let mut text = text.into_bytes();
    if !who.is_empty() {
        text.push(b'\n');
        text.extend_from_slice(&who);
    }
    text.push(b'\n');
    text.extend_from_slice(&status::text_for_editor(repo, commit)?);
    out.extend_from_slice(&commented(&text));
    Ok(out)
}

/// Puts the comment sign before every line.
fn commented(text: &[u8]) -> Bytes {
    let mut out = Bytes::new();
    for line in text.split_inclusive(|b| *b == b'\n') {
        out.push(b'#');
        if !line.starts_with(b"\n") && !line.starts_with(b"\t") {
            out.push(b' ');
        }
        out.extend_from_slice(line);
    }
    out
}
