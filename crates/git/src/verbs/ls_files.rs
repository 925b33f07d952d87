//! `git ls-files`: what is in the index, and what is not.

use crate::exec::{self, Call, Plan};
use crate::options::{Numbers, Parsed, Spec, flag, maybe, parse_known, value};
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::object::mode;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy, parse_int};
use crate::text::quote;
use crate::verbs::known;
use crate::work::attr::Attributes;
use crate::work::convert::{self, Conversion};
use crate::work::ignore::Ignore;
use crate::work::index::{Entry, Index};
use crate::work::pathspec::{Pathspec, from_top};
use crate::work::untracked::{self, Ignored, Wanted};
use crate::work::work_tree::{Look, State};

const OPTIONS: &[Spec] = &[
    flag("cached", Some(b'c')).or_no(),
    flag("deleted", Some(b'd')).or_no(),
    flag("modified", Some(b'm')).or_no(),
    flag("others", Some(b'o')).or_no(),
    flag("ignored", Some(b'i')).or_no(),
    flag("stage", Some(b's')).or_no(),
    flag("unmerged", Some(b'u')).or_no(),
    flag("zero", Some(b'z')),
    flag("tags", Some(b't')),
    flag("tags-valid", Some(b'v')),
    flag("tags-monitor", Some(b'f')),
    flag("recurse-submodules", None).or_no(),
    flag("resolve-undo", None).or_no(),
    value("exclude", Some(b'x')),
    value("exclude-from", Some(b'X')),
    value("exclude-per-directory", None),
    flag("exclude-standard", None),
    flag("full-name", None),
    flag("error-unmatch", None).or_no(),
    flag("deduplicate", None).or_no(),
    flag("directory", None).or_no(),
    flag("empty-directory", None).or_no(),
    flag("eol", None).or_no(),
    flag("sparse", None).or_no(),
    maybe("abbrev", None).or_no(),
    value("format", None),
];

/// Says what an ls-files would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    parse_known(args, OPTIONS, Numbers::No, &known::LS_FILES).map(|_| Plan::Read)
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = match parse_known(args, OPTIONS, Numbers::No, &known::LS_FILES) {
        Err(stop @ Stop::Fail { .. }) => {
            return Err(exec::refusal_in_repository(call, stop, false));
        }
        other => other?,
    };
    let repo = Repo::open(call)?;
    let index = repo.index()?;
    let has = |name: &str| parsed.has(name);
    let others = has("others");
    let stages = has("stage") || has("unmerged");
    let any = others || has("deleted") || has("modified") || stages;
    let cached = has("cached") || !any;
    refuse(&parsed, others, cached)?;
    if others || has("deleted") || has("modified") || has("ignored") {
        repo.need_work_tree()?;
    }
    let spec = Pathspec::parse(&repo, &parsed.args)?;
    // Without arguments the list is of the current directory.
    let here = if spec.is_empty() && !repo.prefix.is_empty() {
        Pathspec::literal(&repo.prefix)
    } else {
        spec.clone()
    };
    let is_submodule = |e: &Entry| mode::is_commit(e.mode);
    if has("recurse-submodules") && index.entries.iter().any(is_submodule) {
        return Err(Stop::not_native("option `--recurse-submodules`"));
    }
    if has("recurse-submodules") && (any || has("error-unmatch") || has("ignored")) {
        return Err(Stop::not_native("option `--recurse-submodules`"));
    }
    if has("resolve-undo") && (any || !index.resolve_undo.is_empty() || parsed.options.len() > 1) {
        return Err(Stop::not_native("option `--resolve-undo`"));
    }
    if has("resolve-undo") {
        return Ok(());
    }
    let in_conflict = |e: &Entry| e.stage > 0 && spec.matches(index.path(e));
    if has("error-unmatch") && !stages && index.entries.iter().any(in_conflict) {
        return Err(Stop::not_native("conflicts that have to match"));
    }
    let attributes = Attributes::load(&repo, Some(&index))?;
    let printer = Printer {
        repo: &repo,
        parsed: &parsed,
        index: &index,
        attributes: &attributes,
        stages,
        abbrev: abbrev(&repo, &parsed)?,
    };
    if others {
        let wanted = Wanted {
            collapse: has("directory"),
            ignored: if has("ignored") {
                Ignored::Traditional
            } else {
                Ignored::No
            },
        };
        let rules = rules(&repo, &parsed)?;
        let lists = untracked::list_with(&repo, &index, &here, wanted, rules)?;
        let list = if has("ignored") {
            lists.ignored
        } else {
            lists.untracked
        };
        for path in list {
            printer.other(&path, out)?;
        }
    }
    if cached || stages || has("deleted") || has("modified") {
        entries(&repo, &printer, &here, cached || stages, out)?;
    }
    if has("error-unmatch") {
        unmatched(&repo, &parsed, &index)?;
    }
    Ok(())
}

/// Refuses what git refuses, and hands over what is not implemented.
fn refuse(parsed: &Parsed, others: bool, cached: bool) -> Res<()> {
    let has = |name: &str| parsed.has(name);
    if has("ignored") && !others && !cached {
        return Err(Stop::fatal("ls-files -i must be used with either -o or -c"));
    }
    if has("ignored")
        && ![
            "exclude",
            "exclude-from",
            "exclude-per-directory",
            "exclude-standard",
        ]
        .iter()
        .any(|o| parsed.last(o).is_some())
    {
        return Err(Stop::fatal("ls-files --ignored needs some exclude pattern"));
    }
    let with_format = [
        "stage",
        "others",
        "unmerged",
        "tags",
        "tags-valid",
        "eol",
        "deduplicate",
    ];
    if parsed.last("format").is_some() && with_format.iter().any(|o| has(o)) {
        return Err(Stop::fatal(
            "ls-files --format cannot be used with -s, -o, -k, -t, --resolve-undo, --deduplicate, --eol",
        ));
    }
    if has("directory")
        && (parsed.last("empty-directory").is_none_or(|g| !g.negated) || has("ignored"))
        || has("ignored") && others && cached && has("cached")
        || parsed
            .last("exclude-per-directory")
            .is_some_and(|g| g.text() != b".gitignore")
    {
        return Err(Stop::not_native("this form of `ls-files`"));
    }
    Ok(())
}

/// Returns the rules by which files are ignored.
fn rules(repo: &Repo<'_>, parsed: &Parsed) -> Res<Ignore> {
    let all = |name: &str| -> Vec<Bytes> {
        parsed
            .options
            .iter()
            .filter(|g| g.name == name)
            .map(|g| g.text().to_vec())
            .collect()
    };
    let (patterns, files) = (all("exclude"), all("exclude-from"));
    if parsed.has("exclude-standard") {
        let mut ignore = Ignore::load(repo)?;
        ignore.add(repo, &patterns, &files)?;
        return Ok(ignore);
    }
    let directories = parsed.last("exclude-per-directory").is_some();
    Ignore::of_command_line(repo, &patterns, &files, directories)
}

/// Prints the entries of the index that are wanted, in their order.
fn entries(
    repo: &Repo<'_>,
    printer: &Printer<'_>,
    spec: &Pathspec,
    cached: bool,
    out: &mut Out,
) -> Res<()> {
    let (parsed, index) = (printer.parsed, printer.index);
    let has = |name: &str| parsed.has(name);
    let ignore = if has("ignored") {
        Some(rules(repo, parsed)?)
    } else {
        None
    };
    let mut look = if has("deleted") || has("modified") {
        Some(Look::new(repo, index)?)
    } else {
        None
    };
    let mut last: Option<&[u8]> = None;
    for (i, entry) in index.entries.iter().enumerate() {
        if i % 1024 == 0 {
            repo.cancel().check()?;
        }
        let path = index.path(entry);
        if !spec.is_empty() && !spec.matches(path) {
            continue;
        }
        let is_directory = mode::is_commit(entry.mode);
        if let Some(ignore) = &ignore
            && ignore
                .deciding_with_parents(path, is_directory)
                .is_none_or(|r| r.pattern.negative)
        {
            continue;
        }
        if has("deduplicate") && last == Some(path) {
            continue;
        }
        let mut shown = false;
        if cached && (!has("unmerged") || entry.stage > 0) {
            let tag = if entry.stage > 0 {
                b'M'
            } else if entry.skip_worktree {
                b'S'
            } else {
                b'H'
            };
            printer.entry(entry, path, tag, out)?;
            shown = true;
        }
        let done = shown && has("deduplicate");
        if let Some(look) = look.as_mut().filter(|_| !done && !entry.skip_worktree) {
            let full = bytes::join(repo.need_work_tree()?, path);
            let gone = std::fs::symlink_metadata(bytes::to_path(&full)).is_err();
            if gone && has("deleted") {
                printer.entry(entry, path, b'R', out)?;
                shown = true;
            }
            if has("modified") && !(shown && has("deduplicate")) {
                let modified = gone
                    || match look.at(entry, path)? {
                        State::Same | State::Touched(_) => false,
                        State::Differs(_) => true,
                        State::Submodule(_, state) => state.new_commits,
                    };
                if modified {
                    printer.entry(entry, path, b'C', out)?;
                    shown = true;
                }
            }
        }
        if shown {
            last = Some(path);
        }
    }
    Ok(())
}

/// Ends with git's error when an argument means nothing in the index.
fn unmatched(repo: &Repo<'_>, parsed: &Parsed, index: &Index) -> Res<()> {
    for arg in &parsed.args {
        if from_top(repo, arg)?.is_none() {
            continue;
        }
        let one = Pathspec::parse(repo, std::slice::from_ref(arg))?;
        let has = |name: &str| parsed.has(name);
        if has("others") || has("deleted") || has("modified") || has("unmerged") {
            return Err(Stop::not_native(
                "arguments that have to match in other lists",
            ));
        }
        if !index.entries.iter().any(|e| one.matches(index.path(e))) {
            return Err(Stop::error(
                1,
                format!(
                    "pathspec '{}' did not match any file(s) known to git\nDid you forget to 'git add'?",
                    lossy(arg)
                ),
            ));
        }
    }
    Ok(())
}

fn abbrev(repo: &Repo<'_>, parsed: &Parsed) -> Res<usize> {
    match parsed.last("abbrev") {
        None => Ok(Id::digits()),
        Some(given) if given.negated => Ok(Id::digits()),
        Some(given) => match &given.value {
            None => repo.default_abbrev(),
            Some(text) => parse_int(text)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| Stop::not_native("the value of `--abbrev`")),
        },
    }
}

struct Printer<'r> {
    repo: &'r Repo<'r>,
    parsed: &'r Parsed,
    index: &'r Index,
    attributes: &'r Attributes<'r>,
    stages: bool,
    abbrev: usize,
}

impl Printer<'_> {
    fn entry(&self, entry: &Entry, path: &[u8], tag: u8, out: &mut Out) -> Res<()> {
        if let Some(format) = self.parsed.last("format") {
            out.put(self.formatted(entry, path, format.text())?);
            out.put(self.end());
            return Ok(());
        }
        self.tag(
            tag,
            self.parsed.has("tags-valid") && entry.assume_valid,
            out,
        );
        if self.stages {
            let id = self.repo.abbreviate(entry.id, self.abbrev)?;
            out.put(format!("{:06o} {id} {}\t", entry.mode, entry.stage));
        }
        if self.parsed.has("eol") {
            out.put(self.eol(Some(entry), path)?);
        }
        self.name(path, out)
    }

    fn other(&self, path: &[u8], out: &mut Out) -> Res<()> {
        self.tag(b'?', false, out);
        if self.parsed.has("eol") {
            out.put(self.eol(None, path)?);
        }
        self.name(path, out)
    }

    fn tag(&self, tag: u8, lower: bool, out: &mut Out) {
        let any = ["tags", "tags-valid", "tags-monitor"];
        if any.iter().any(|o| self.parsed.has(o)) {
            let tag = if lower { tag.to_ascii_lowercase() } else { tag };
            out.put([tag, b' ']);
        }
    }

    /// Returns the columns of `--eol`.
    fn eol(&self, entry: Option<&Entry>, path: &[u8]) -> Res<String> {
        let (index, work_tree) = (self.eol_in_index(entry)?, self.eol_in_work_tree(path)?);
        let is_file = entry.is_none_or(|e| mode::is_file(e.mode));
        let attributes = if is_file {
            Conversion::eol_attributes(self.repo, self.attributes, path)?
        } else {
            ""
        };
        Ok(format!(
            "i/{index:<5} w/{work_tree:<5} attr/{attributes:<17}\t"
        ))
    }

    fn eol_in_index(&self, entry: Option<&Entry>) -> Res<&'static str> {
        match entry {
            // Where there are conflicts, our side is looked at for all of them.
            Some(entry) if entry.stage > 0 => {
                let path = self.index.path(entry);
                let from = self.index.lower_bound(path);
                let ours = self.index.entries[from..]
                    .iter()
                    .take_while(|e| self.index.path(e) == path)
                    .find(|e| e.stage == 2);
                match ours {
                    Some(ours) => Ok(convert::eol_of(&self.repo.blob(ours.id)?)),
                    None => Ok("none"),
                }
            }
            Some(entry) if mode::is_file(entry.mode) => {
                Ok(convert::eol_of(&self.repo.blob(entry.id)?))
            }
            _ => Ok(""),
        }
    }

    fn eol_in_work_tree(&self, path: &[u8]) -> Res<&'static str> {
        let Some(top) = &self.repo.work_tree else {
            return Ok("");
        };
        let full = bytes::to_path(&bytes::join(top, path));
        match std::fs::symlink_metadata(&full) {
            Ok(meta) if meta.is_file() => Ok(convert::eol_of(&std::fs::read(&full)?)),
            _ => Ok(""),
        }
    }

    /// Fills a format of `--format`.
    fn formatted(&self, entry: &Entry, path: &[u8], format: &[u8]) -> Res<Bytes> {
        let mut out = Bytes::new();
        let mut rest = format;
        while let Some(at) = rest.iter().position(|b| *b == b'%') {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            let literal = crate::history::pretty_template::literal(&[b"%", rest].concat());
            match rest {
                [b'%', ..] => {
                    out.push(b'%');
                    rest = &rest[1..];
                }
                [b'n', ..] => {
                    out.push(b'\n');
                    rest = &rest[1..];
                }
                [b'x', _, _, ..] if literal.first() != Some(&b'%') => {
                    out.push(literal[0]);
                    rest = &rest[3..];
                }
                [b'(', inner @ ..] => {
                    let Some(close) = inner.iter().position(|b| *b == b')') else {
                        return Err(bad_format(format));
                    };
                    out.extend_from_slice(&self.field(entry, path, &inner[..close], format)?);
                    rest = &inner[close + 1..];
                }
                _ => return Err(bad_format(format)),
            }
        }
        out.extend_from_slice(rest);
        Ok(out)
    }

    fn field(&self, entry: &Entry, path: &[u8], name: &[u8], format: &[u8]) -> Res<Bytes> {
        let size = || -> Res<String> {
            if mode::is_commit(entry.mode) {
                return Ok("-".to_string());
            }
            let (_, size) = self
                .repo
                .header(entry.id)?
                .ok_or_else(|| Stop::not_native("a missing object"))?;
            Ok(size.to_string())
        };
        Ok(match name {
            b"objectmode" => format!("{:06o}", entry.mode).into_bytes(),
            b"objectname" => self.repo.abbreviate(entry.id, self.abbrev)?.into_bytes(),
            b"objecttype" => if mode::is_commit(entry.mode) {
                b"commit".as_slice()
            } else {
                b"blob"
            }
            .to_vec(),
            b"objectsize" => size()?.into_bytes(),
            b"objectsize:padded" => format!("{:>7}", size()?).into_bytes(),
            b"stage" => entry.stage.to_string().into_bytes(),
            b"eolinfo:index" => self.eol_in_index(Some(entry))?.into(),
            b"eolinfo:worktree" => self.eol_in_work_tree(path)?.into(),
            b"eolattr" => Conversion::eol_attributes(self.repo, self.attributes, path)?.into(),
            b"path" => self.shown(path)?,
            _ => return Err(bad_format(format)),
        })
    }

    fn shown(&self, path: &[u8]) -> Res<Bytes> {
        let shown = if self.parsed.has("full-name") {
            path.to_vec()
        } else {
            quote::relative(path, &self.repo.prefix)
        };
        Ok(if self.parsed.has("zero") {
            shown
        } else {
            quote::c_style(&shown, self.repo.quote_path()?)
        })
    }

    fn end(&self) -> &'static str {
        if self.parsed.has("zero") { "\0" } else { "\n" }
    }

    fn name(&self, path: &[u8], out: &mut Out) -> Res<()> {
        out.put(self.shown(path)?);
        out.put(self.end());
        Ok(())
    }
}

fn bad_format(format: &[u8]) -> Stop {
    Stop::fatal(format!("bad ls-files format: {}", lossy(format)))
}
