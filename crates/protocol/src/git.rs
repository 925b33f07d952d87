//! Structured reports of git actions: what the text of an answer says, as data.
//!
//! A report is made from the same in-memory values as the text beside it, never by parsing that text.
//! Lists are bounded by [`MAX_REPORT_ENTRIES`]; a report that was cut says so in `truncated`.
//! Names and messages are arbitrary bytes in git; here they are UTF-8, with U+FFFD where they were not.

use serde::{Deserialize, Serialize};

/// The largest number of entries (files, commits, branches) one report carries.
pub const MAX_REPORT_ENTRIES: usize = 2_000;

/// What a git command reported, by the kind of command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum GitReport {
    /// `git status`.
    Status(StatusReport),
    /// `git log`.
    Log(LogReport),
    /// `git diff`.
    Diff(DiffReport),
    /// `git show` of commits.
    Show(LogReport),
    /// `git branch`, listing.
    Branch(BranchReport),
    /// `git tag`, listing.
    Tag(TagReport),
    /// `git stash list`.
    Stash(StashReport),
}

/// The state of a work tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatusReport {
    /// The branch HEAD points at; absent when HEAD is detached.
    pub branch: Option<String>,
    /// The commit HEAD resolves to; absent before the first commit.
    pub head: Option<String>,
    /// The upstream's short name, if one is configured.
    pub upstream: Option<String>,
    /// Commits the branch has and its upstream lacks; absent when there is no upstream to compare with.
    pub ahead: Option<u32>,
    /// Commits the upstream has and the branch lacks.
    pub behind: Option<u32>,
    /// What is going on: `merge`, `rebase`, `cherry_pick`, `revert`, `bisect`, `am`.
    pub operation: Option<String>,
    /// One entry per path that differs.
    pub entries: Vec<StatusEntry>,
    /// Whether entries were left out.
    pub truncated: bool,
}

/// One path that differs between HEAD, index and work tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatusEntry {
    /// The index column of `git status --short`: a letter, `.` when unchanged, `?` untracked, `!` ignored.
    pub x: char,
    /// The work tree column.
    pub y: char,
    /// The path, relative to the top of the work tree.
    pub path: String,
    /// Where a renamed or copied path came from.
    pub orig: Option<String>,
    /// Similarity of a rename or copy in percent.
    pub score: Option<u8>,
    /// Whether the entry is a submodule.
    pub submodule: bool,
}

/// A list of commits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogReport {
    /// The commits in the order they were printed.
    pub commits: Vec<CommitReport>,
    /// Whether commits were left out.
    pub truncated: bool,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommitReport {
    /// The full object id.
    pub id: String,
    /// The parents' full object ids.
    pub parents: Vec<String>,
    /// Who wrote the change.
    pub author: Signature,
    /// Who recorded it.
    pub committer: Signature,
    /// The first paragraph of the message, on one line.
    pub subject: String,
    /// The message after the subject, at most 8 KiB of it.
    pub body: String,
    /// Branches and tags that point at the commit, short.
    pub refs: Vec<String>,
}

/// A name, an address and a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Signature {
    /// The person's name.
    pub name: String,
    /// The person's e-mail address.
    pub email: String,
    /// Seconds since 1970 in UTC.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub time: i64,
    /// The writer's offset from UTC in minutes.
    pub offset_minutes: i32,
}

/// The files two states differ in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DiffReport {
    /// One entry per file.
    pub files: Vec<FileDiff>,
    /// Whether files were left out.
    pub truncated: bool,
}

/// How one file differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileDiff {
    /// The path before; absent for an added file.
    pub old: Option<String>,
    /// The path after; absent for a deleted file.
    pub new: Option<String>,
    /// git's letter: `A`, `C`, `D`, `M`, `R`, `T`, `U`.
    pub status: char,
    /// Lines added; absent for binary files and where lines were not counted.
    pub added: Option<u32>,
    /// Lines deleted.
    pub deleted: Option<u32>,
    /// Where the lines differ; empty unless the command printed a patch.
    pub hunks: Vec<Hunk>,
}

/// One place where a file differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hunk {
    /// First line before, counted from 1.
    pub old_start: u32,
    /// Number of lines before.
    pub old_lines: u32,
    /// First line after, counted from 1.
    pub new_start: u32,
    /// Number of lines after.
    pub new_lines: u32,
    /// The function or section the hunk is in.
    pub heading: String,
}

/// A list of branches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BranchReport {
    /// The branches in the order they were printed.
    pub branches: Vec<BranchEntry>,
    /// Whether branches were left out.
    pub truncated: bool,
}

/// One branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BranchEntry {
    /// The short name (`main`, `origin/main`), or git's words for a detached HEAD.
    pub name: String,
    /// The commit it points at.
    pub id: String,
    /// The upstream's short name.
    pub upstream: Option<String>,
    /// Commits the upstream lacks; only where the command printed it.
    pub ahead: Option<u32>,
    /// Commits the branch lacks.
    pub behind: Option<u32>,
    /// Whether this is what HEAD is on.
    pub head: bool,
    /// Whether it is a remote-tracking branch.
    pub remote: bool,
}

/// A list of tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TagReport {
    /// The tags in the order they were printed.
    pub tags: Vec<TagEntry>,
    /// Whether tags were left out.
    pub truncated: bool,
}

/// One tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TagEntry {
    /// The short name.
    pub name: String,
    /// What the reference points at: the tag object, or the tagged object of a lightweight tag.
    pub id: String,
    /// What the tag finally leads to.
    pub target: String,
}

/// The list of stashed changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StashReport {
    /// Newest first.
    pub entries: Vec<StashEntry>,
    /// Whether entries were left out.
    pub truncated: bool,
}

/// One stashed change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StashEntry {
    /// Position in the list: `stash@{index}`.
    pub index: u32,
    /// The stash commit.
    pub id: String,
    /// The line git shows.
    pub message: String,
}
