//! What a commit is made of besides its tree: the message and where it comes from, parents, author.

use crate::history::revwalk::{Tip, Walk, Walker};
use crate::options::{Given, Parsed};
use crate::outcome::{Res, Stop};
use crate::references::refs::Head;
use crate::repository::id::Id;
use crate::repository::identity::Identity;
use crate::repository::object::{Commit, Person};
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy};
use crate::text::message::{self, Cleanup};
use crate::text::regexes::{self, Dialect};
use crate::verbs::commit_editor;

/// What the commit is made of besides the tree.
pub(crate) struct Task {
    pub(crate) cleanup: Cleanup,
    /// The message before it is cleaned.
    raw: Bytes,
    /// The file the message is read from, when everything is staged.
    file: Option<Bytes>,
    /// Whether an editor is asked.
    pub(crate) edits: bool,
    /// What `--trailer` adds.
    trailers: Vec<(Bytes, Bytes)>,
    /// The commit that is replaced.
    pub(crate) amends: Option<Commit>,
    pub(crate) merge_heads: Vec<Id>,
    /// The commit that is being picked.
    pub(crate) picked: Option<Id>,
    /// What it is picked by: `cherry-pick` or `rebase`.
    pub(crate) picking: &'static str,
    /// The commit author and date are taken from.
    pub(crate) source: Option<Commit>,
    /// Name and address of `--author`.
    author: Option<(Bytes, Bytes)>,
    /// The author was looked for, which leaves git with marks on commits that make it count wrong afterwards.
    pub(crate) searched: bool,
}

impl Task {
    /// Reads the options and what is in progress.
    pub(crate) fn of(repo: &Repo<'_>, parsed: &Parsed, head: &Head) -> Res<Task> {
        let author = match parsed.last("author") {
            Some(given) => Some(find_author(repo, given.text())?),
            None => None,
        };
        if parsed.has("reset-author") && parsed.has("author") {
            return Err(Stop::fatal(
                "options '--reset-author' and '--author' cannot be used together",
            ));
        }
        let (amends, merge_heads, picked) = in_progress(repo, parsed, head)?;
        if parsed.has("fixup") && parsed.has("squash") {
            return Err(Stop::fatal(
                "options '--squash' and '--fixup' cannot be used together",
            ));
        }
        let by = |name: &str| parsed.last(name).is_some_and(|g| !g.negated);
        incompatible(&[
            ("-C", by("reuse-message")),
            ("-c", by("reedit-message")),
            ("-F", by("file")),
            ("--fixup", by("fixup")),
        ])?;
        incompatible(&[
            ("-m", by("message")),
            ("-c", by("reedit-message")),
            ("-C", by("reuse-message")),
            ("-F", by("file")),
        ])?;
        let amend = amends.is_some();
        let reuses = by("reuse-message") || by("reedit-message");
        if parsed.has("reset-author") && !amend && !reuses && picked.is_none() {
            return Err(Stop::fatal(
                "--reset-author can be used only with -C, -c or --amend.",
            ));
        }
        let name = parsed.last("reedit-message");
        let reused = match name.or(parsed.last("reuse-message")) {
            None => None,
            Some(name) => Some(named_commit(repo, name.text())?),
        };
        for commit in amends.iter().chain(&reused) {
            if commit.encoding.is_some() || (!commit.extra.is_empty() && amend) {
                return Err(Stop::not_native("a commit with other headers"));
            }
        }
        incompatible(&[
            ("-i/--include", parsed.has("include")),
            ("-o/--only", parsed.has("only")),
            ("-a/--all", parsed.has("all")),
        ])?;
        let mut edits = !(by("file") || by("message") || by("reuse-message") || by("fixup"));
        if let Some(given) = parsed.last("edit") {
            edits = !given.negated;
        }
        let raw = raw_message(repo, parsed, (&amends, &reused))?;
        let source = match (reused, &amends, picked) {
            // Who wrote the commit that is picked is who writes this one, whatever else is named.
            (_, None, Some(id)) => Some(repo.commit(id)?),
            (Some(commit), ..) => Some(commit),
            (None, Some(commit), _) => Some(commit.clone()),
            (None, None, None) => None,
        };
        let task = Task {
            cleanup: cleanup(repo, parsed, edits)?,
            raw,
            file: parsed.last("file").map(|g| g.text().to_vec()),
            edits,
            trailers: trailers(repo, parsed)?,
            amends,
            merge_heads,
            picked,
            picking: picking(repo),
            source,
            author,
            searched: parsed
                .last("author")
                .is_some_and(|g| !g.text().contains(&b'>')),
        };
        let reads_comments = edits
            || task.cleanup == Cleanup::Strip
            || parsed.has("signoff")
            || !task.trailers.is_empty();
        if reads_comments {
            message::refuse_comment_settings(repo)?;
        }
        if edits {
            commit_editor::refuse(repo)?;
            if !task.trailers.is_empty() {
                return Err(Stop::not_native("trailers below what an editor is shown"));
            }
        }
        Ok(task)
    }

    /// Returns the message as it is noted before anybody edits it; reads its file.
    pub(crate) fn first_message(
        &self,
        repo: &Repo<'_>,
        parsed: &Parsed,
        committer: &Identity,
    ) -> Res<Bytes> {
        let text = match &self.file {
            Some(file) => {
                let read = message::read_file(repo, file, "could not read log file")?;
                [self.raw.as_slice(), &read].concat()
            }
            None => self.raw.clone(),
        };
        let mut text = self.cleanup.apply_first(&text);
        if parsed.has("signoff") {
            text = message::signed_off(&text, committer)?;
        }
        if !self.trailers.is_empty() {
            text = crate::text::trailers::add(&text, &self.trailers);
        }
        Ok(text)
    }

    /// Returns the commit the new tree is compared with; `None` when there is no commit before.
    pub(crate) fn base(&self, head: &Head) -> Option<Id> {
        match &self.amends {
            Some(commit) => commit.parents.first().copied(),
            None => head.id,
        }
    }

    /// Returns the parents of the new commit.
    pub(crate) fn parents(&self, repo: &Repo<'_>, head: &Head) -> Res<Vec<Id>> {
        if let Some(commit) = &self.amends {
            return Ok(commit.parents.clone());
        }
        let mut parents: Vec<Id> = head.id.into_iter().collect();
        let no_ff = repo
            .git_file("MERGE_MODE")
            .is_some_and(|t| t.trim_ascii() == b"no-ff");
        for id in &self.merge_heads {
            if !no_ff {
                for parent in &parents {
                    let related = parent == id
                        || repo.graph()?.graph_descendant_of(parent.oid(), id.oid())?
                        || repo.graph()?.graph_descendant_of(id.oid(), parent.oid())?;
                    if related {
                        return Err(Stop::not_native("a merge of what is merged already"));
                    }
                }
            }
            parents.push(*id);
        }
        Ok(parents)
    }

    /// Returns who the new commit is by.
    pub(crate) fn author(&self, repo: &Repo<'_>, parsed: &Parsed) -> Res<Identity> {
        let source = self.source.as_ref().filter(|_| !parsed.has("reset-author"));
        let mut author = match source {
            Some(commit) => {
                let person = Person::parse(&commit.author);
                if !person.has_time {
                    return Err(Stop::not_native("a commit without a date"));
                }
                Identity {
                    name: person.name.to_vec(),
                    email: person.email.to_vec(),
                    time: person.time,
                    zone: person.zone,
                }
            }
            None if parsed.has("author") => Identity::dated(repo, "AUTHOR")?,
            None => Identity::of(repo, "AUTHOR")?,
        };
        if let Some((name, email)) = &self.author {
            author.name = crate::repository::identity::without_crud(name);
            author.email = crate::repository::identity::without_crud(email);
        }
        if let Some(date) = parsed.last("date") {
            (author.time, author.zone) = forced_date(repo, date.text())?;
        }
        Ok(author)
    }

    /// Returns what the reference log calls it.
    pub(crate) fn reflog_words(&self, head: &Head) -> &'static [u8] {
        if self.amends.is_some() {
            b"commit (amend)"
        } else if head.id.is_none() {
            b"commit (initial)"
        } else if !self.merge_heads.is_empty() {
            b"commit (merge)"
        } else if self.picked.is_some() && self.picking == "rebase" {
            b"commit (rebase)"
        } else if self.picked.is_some() {
            b"commit (cherry-pick)"
        } else {
            b"commit"
        }
    }
}

/// Names what picks the commit that is being picked.
fn picking(repo: &Repo<'_>) -> &'static str {
    let named = |file: &str| {
        let text = repo.git_file(file)?;
        Id::parse_start(&text)
    };
    let rebased = named("REBASE_HEAD");
    let by_rebase = repo.has_git_file("rebase-merge")
        && rebased.is_some()
        && rebased == named("CHERRY_PICK_HEAD");
    if by_rebase { "rebase" } else { "cherry-pick" }
}

/// Returns the commit that is replaced, the other sides of a merge, and the commit that is being picked.
fn in_progress(
    repo: &Repo<'_>,
    parsed: &Parsed,
    head: &Head,
) -> Res<(Option<Commit>, Vec<Id>, Option<Id>)> {
    let merge_heads: Vec<Id> = repo
        .git_file("MERGE_HEAD")
        .unwrap_or_default()
        .split(|b| *b == b'\n')
        .filter_map(Id::parse)
        .collect();
    let picked = repo
        .git_file("CHERRY_PICK_HEAD")
        .and_then(|t| Id::parse_start(&t));
    let amends = match (parsed.has("amend"), head.id) {
        (false, _) => None,
        (true, None) => return Err(Stop::fatal("You have nothing to amend.")),
        (true, Some(_)) if !merge_heads.is_empty() => {
            return Err(Stop::fatal(
                "You are in the middle of a merge -- cannot amend.",
            ));
        }
        (true, Some(_)) if picked.is_some() => {
            return Err(Stop::fatal(format!(
                "You are in the middle of a {} -- cannot amend.",
                picking(repo)
            )));
        }
        (true, Some(id)) => Some(repo.commit(id)?),
    };
    let picked = picked.filter(|_| merge_heads.is_empty());
    Ok((amends, merge_heads, picked))
}

/// Ends with git's error when more than one of some options is given.
fn incompatible(options: &[(&str, bool)]) -> Res<()> {
    let given: Vec<&str> = options
        .iter()
        .filter(|(_, given)| *given)
        .map(|(name, _)| *name)
        .collect();
    match given.as_slice() {
        [a, b] => Err(Stop::fatal(format!(
            "options '{a}' and '{b}' cannot be used together"
        ))),
        [a, b, c] => Err(Stop::fatal(format!(
            "options '{a}', '{b}', and '{c}' cannot be used together"
        ))),
        [a, b, c, d] => Err(Stop::fatal(format!(
            "options '{a}', '{b}', '{c}', and '{d}' cannot be used together"
        ))),
        _ => Ok(()),
    }
}

fn named_commit(repo: &Repo<'_>, name: &[u8]) -> Res<Commit> {
    let found = match repo.resolve(name)? {
        Some(id) => repo.peel_to_commit(id)?,
        None => None,
    };
    match found {
        Some(id) => repo.commit(id),
        None => Err(Stop::fatal(format!(
            "could not lookup commit '{}'",
            lossy(name)
        ))),
    }
}

fn raw_message(
    repo: &Repo<'_>,
    parsed: &Parsed,
    (amends, reused): (&Option<Commit>, &Option<Commit>),
) -> Res<Bytes> {
    let mut text = Bytes::new();
    let title_of = |name: &Given, prefix: &[u8]| -> Res<Bytes> {
        let commit = named_commit(repo, name.text())?;
        if commit.encoding.is_some() {
            return Err(Stop::not_native("a commit in another encoding"));
        }
        let title = crate::history::pretty::title(&commit.message, b" ");
        Ok([prefix, &title, b"\n\n"].concat())
    };
    if let Some(name) = parsed.last("squash") {
        if parsed.has("reuse-message") || parsed.has("reedit-message") {
            return Err(Stop::not_native("two messages in one"));
        }
        text = title_of(name, b"squash! ")?;
    }
    if let Some(name) = parsed.last("fixup") {
        let word = name.text().split(|b| !b.is_ascii_alphabetic()).next();
        let word = word.unwrap_or_default().len();
        if name.text().get(word) == Some(&b':') && word > 0 {
            return Err(Stop::not_native("this form of `--fixup`"));
        }
        text.extend_from_slice(&title_of(name, b"fixup! ")?);
    }
    if let Some(given) = message::paragraphs(parsed) {
        text.extend_from_slice(&given);
        if !given.is_empty() && !given.ends_with(b"\n") {
            text.push(b'\n');
        }
    } else if parsed.has("file") || parsed.has("fixup") {
        // A file is read when everything is staged.
    } else if let Some(commit) = reused.as_ref().or(amends.as_ref()) {
        text.extend_from_slice(&crate::history::pretty::body_with_title(&commit.message));
    } else {
        if let Some(squashed) = repo.git_file("SQUASH_MSG") {
            text.extend_from_slice(&squashed);
        }
        if let Some(merged) = repo.git_file("MERGE_MSG") {
            text.extend_from_slice(&merged);
        }
    }
    Ok(text)
}

fn cleanup(repo: &Repo<'_>, parsed: &Parsed, edits: bool) -> Res<Cleanup> {
    let mode = match parsed.last("cleanup") {
        Some(given) => Some(given.text().to_vec()),
        None => repo.config.get("commit.cleanup").map(<[u8]>::to_vec),
    };
    let by_default = if edits {
        Cleanup::Strip
    } else {
        Cleanup::Whitespace
    };
    match mode.as_deref() {
        None | Some(b"default") => Ok(by_default),
        Some(b"whitespace") => Ok(Cleanup::Whitespace),
        Some(b"strip") => Ok(Cleanup::Strip),
        Some(b"verbatim") => Ok(Cleanup::Verbatim),
        Some(b"scissors") if edits => Err(Stop::not_native("scissors below the message")),
        Some(b"scissors") => Ok(Cleanup::Whitespace),
        Some(other) => Err(Stop::fatal(format!(
            "Invalid cleanup mode {}",
            lossy(other)
        ))),
    }
}

fn trailers(repo: &Repo<'_>, parsed: &Parsed) -> Res<Vec<(Bytes, Bytes)>> {
    let given: Vec<&[u8]> = parsed
        .options
        .iter()
        .filter(|g| g.name == "trailer")
        .map(Given::text)
        .collect();
    if given.is_empty() {
        return Ok(Vec::new());
    }
    if repo
        .config
        .entries
        .iter()
        .any(|e| e.key.starts_with(b"trailer."))
    {
        return Err(Stop::not_native("settings of trailers"));
    }
    given
        .into_iter()
        .map(|text| {
            let at = text.iter().position(|b| matches!(b, b':' | b'='));
            let (token, value) = match at {
                Some(at) => (text[..at].trim_ascii(), text[at + 1..].trim_ascii()),
                None => (&b""[..], &b""[..]),
            };
            let plain = token
                .iter()
                .all(|c| c.is_ascii_alphanumeric() || *c == b'-');
            if token.is_empty() || !plain || value.contains(&b'\n') {
                return Err(Stop::not_native("a trailer of this form"));
            }
            Ok((token.to_vec(), value.to_vec()))
        })
        .collect()
}

/// Reads `--date`, which may also be relative to now.
fn forced_date(repo: &Repo<'_>, text: &[u8]) -> Res<(i64, i32)> {
    let exact = crate::text::date::exact(repo.call, text);
    // What could be a date of a form that is not read here is left to git.
    let digits = text.split(|c| !c.is_ascii_digit()).map(<[u8]>::len).max();
    if exact.is_ok() || text.contains(&b':') || digits.unwrap_or(0) > 2 {
        return exact;
    }
    let (time, is_date) = crate::text::approxidate::read_checked(repo.call, text)?;
    if !is_date {
        return Err(Stop::fatal(format!("invalid date format: {}", lossy(text))));
    }
    Ok((time, crate::text::date::local_zone(repo.call, time)?))
}

/// Reads `--author`; what is no `Name <address>` is looked for among the authors there are.
fn find_author(repo: &Repo<'_>, given: &[u8]) -> Res<(Bytes, Bytes)> {
    if given.contains(&b'>') {
        let person = Person::parse(given);
        if person.name.is_empty() || person.email.is_empty() {
            return Err(Stop::not_native("an author of this form"));
        }
        return Ok((person.name.to_vec(), person.email.to_vec()));
    }
    let has_mailmap = repo.config.get("mailmap.file").is_some()
        || repo.config.get("mailmap.blob").is_some()
        || repo.work_tree.as_ref().is_none_or(|top| {
            crate::text::bytes::to_path(&crate::text::bytes::join(top, b".mailmap")).exists()
        });
    if has_mailmap || repo.config.get("grep.patterntype").is_some() {
        return Err(Stop::not_native("an author to be looked for"));
    }
    let pattern = regexes::compile(given, Dialect::Basic, true)?;
    let mut ids: Vec<Id> = Vec::new();
    for reference in repo.refs(b"refs/")? {
        ids.extend(repo.peel_to_commit(reference.id)?);
    }
    ids.extend(repo.head()?.id);
    let tips = ids
        .into_iter()
        .map(|id| Tip {
            id,
            ..Tip::default()
        })
        .collect();
    let mut walker = Walker::new(
        repo,
        Walk {
            tips,
            ..Walk::default()
        },
    )?;
    while let Some(step) = walker.next()? {
        repo.cancel().check()?;
        let person = Person::parse(&step.commit.author);
        let line = [person.name, b" <", person.email, b">"].concat();
        if pattern.is_match(&line) {
            return Ok((person.name.to_vec(), person.email.to_vec()));
        }
    }
    Err(Stop::fatal(format!(
        "--author '{}' is not 'Name <email>' and matches no existing author",
        lossy(given)
    )))
}
