//! `git rev-parse`: names into ids, and where things are.

use crate::exec::{Call, Plan};
use crate::history::rev::At;
use crate::history::rev_args;
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::{Hash, Id};
use crate::repository::repo::{self, Repo};
use crate::text::approxidate;
use crate::text::bytes::{self, Bytes, lossy};
use crate::text::quote;
use crate::text::wildmatch;

/// Says what a rev-parse would do: it only ever reads.
pub(crate) fn plan(_args: &[Bytes]) -> Res<Plan> {
    Ok(Plan::Read)
}

/// Which kinds of arguments are shown.
#[derive(Debug, Clone, Copy)]
struct Shown {
    revs: bool,
    /// What is no revision.
    others: bool,
    flags: bool,
    /// What is no option.
    plain: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PathForm {
    AsItIs,
    Absolute,
    Relative,
}

/// What the options so far have set.
struct State<'r> {
    repo: &'r Repo<'r>,
    shown: Shown,
    verify: bool,
    quiet: bool,
    /// Digits, when abbreviated.
    short: Option<usize>,
    /// `--abbrev-ref`; true is strict.
    abbrev_ref: Option<bool>,
    symbolic: bool,
    symbolic_full: bool,
    /// `--not`: what is excluded and what is not change places.
    flip: bool,
    quoted: bool,
    default: Option<Bytes>,
    form: PathForm,
    excluded: Vec<Bytes>,
    n_revs: usize,
    last: Option<(Bytes, Id, bool)>,
}

/// The variables that belong to one repository.
const LOCAL_VARIABLES: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
];

/// Options that name revisions or limit a walk.
const REV_OPTIONS: &[&str] = &[
    "--all",
    "--bisect",
    "--dense",
    "--branches",
    "--header",
    "--ignore-missing",
    "--max-age=",
    "--max-count=",
    "--min-age=",
    "--no-merges",
    "--min-parents=",
    "--no-min-parents",
    "--max-parents=",
    "--no-max-parents",
    "--objects",
    "--objects-edge",
    "--parents",
    "--pretty",
    "--remotes",
    "--sparse",
    "--tags",
    "--topo-order",
    "--date-order",
    "--unpacked",
];

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    match args.first().map(Vec::as_slice) {
        Some(b"--parseopt" | b"-h") => {
            return Err(Stop::not_native("options of `rev-parse`"));
        }
        Some(b"--sq-quote") => {
            for arg in &args[1..] {
                out.put([b" ".as_slice(), &quote::shell(arg)].concat());
            }
            out.put("\n");
            return Ok(());
        }
        Some(b"--local-env-vars") if args.len() == 1 => {
            for name in LOCAL_VARIABLES {
                out.put(format!("{name}\n"));
            }
            return Ok(());
        }
        Some(b"--resolve-git-dir") => {
            // Followed only one step, and printed as it was given.
            let Some(given) = args.get(1) else {
                return Err(Stop::fatal("--resolve-git-dir requires an argument"));
            };
            let path = bytes::join(&call.cwd, given);
            if !repo::is_git_directory(&path) {
                if std::fs::metadata(bytes::to_path(&path)).is_ok_and(|m| m.is_file()) {
                    return Err(Stop::not_native("option `--resolve-git-dir`"));
                }
                return Err(Stop::fatal(format!("not a gitdir '{}'", lossy(given))));
            }
            out.put(given);
            out.put("\n");
            return Ok(());
        }
        _ => {}
    }
    let repo = Repo::open(call)?;
    let mut state = State {
        repo: &repo,
        shown: Shown {
            revs: true,
            others: true,
            flags: true,
            plain: true,
        },
        verify: false,
        quiet: false,
        short: None,
        abbrev_ref: None,
        symbolic: false,
        symbolic_full: false,
        flip: false,
        quoted: false,
        default: None,
        form: PathForm::AsItIs,
        excluded: Vec::new(),
        n_revs: 0,
        last: None,
    };
    let has_dashes = args.iter().any(|a| a == b"--");
    // 0: revisions may come; 1: only paths, which are checked; 2: anything.
    let (mut stage, mut ended) = (0, false);
    let mut i = 0;
    while let Some(arg) = args.get(i) {
        i += 1;
        if stage > 0 {
            if state.file(arg, out)? && stage < 2 {
                rev_args::verify_path(&repo, arg, false)?;
            }
            continue;
        }
        if arg == b"--" {
            stage = 2;
            if state.shown.flags || state.shown.revs {
                state.file(arg, out)?;
            }
            continue;
        }
        if !ended && arg.first() == Some(&b'-') {
            if arg == b"--end-of-options" {
                ended = true;
                if state.shown.flags || state.shown.revs {
                    state.file(arg, out)?;
                }
                continue;
            }
            if state.option(arg, args.get(i), out)? {
                i += 1;
            }
            continue;
        }
        if state.range(arg, out)? || state.parents(arg, out)? || state.revision(arg, out)? {
            continue;
        }
        if state.verify {
            return Err(bad_single(state.quiet));
        }
        if has_dashes {
            return Err(Stop::fatal(
                [b"bad revision '".as_slice(), arg, b"'"].concat(),
            ));
        }
        stage = 1;
        if state.file(arg, out)? {
            rev_args::verify_path(&repo, arg, true)?;
        }
    }
    if !state.verify {
        return state.show_default(out).map(drop);
    }
    match (state.n_revs, state.last.take()) {
        (1, Some((name, id, excluded))) => state.rev(Some(&name), id, excluded, out),
        (0, _) if state.show_default(out)? => Ok(()),
        _ => Err(bad_single(state.quiet)),
    }
}

fn bad_single(quiet: bool) -> Stop {
    if quiet {
        Stop::exit(1)
    } else {
        Stop::fatal("Needed a single revision")
    }
}

/// Splits `--name=value`.
fn with_value<'a>(arg: &'a [u8], name: &str) -> Option<Option<&'a [u8]>> {
    let rest = arg.strip_prefix(name.as_bytes())?;
    match rest.first() {
        None => Some(None),
        Some(b'=') => Some(Some(&rest[1..])),
        Some(_) => None,
    }
}

impl State<'_> {
    fn put(&self, text: &[u8], out: &mut Out) {
        if self.quoted {
            out.put([quote::shell(text).as_slice(), b" "].concat());
        } else {
            out.put([text, b"\n"].concat());
        }
    }

    /// Shows what is no revision and no option; says whether it did.
    fn file(&mut self, arg: &[u8], out: &mut Out) -> Res<bool> {
        self.show_default(out)?;
        if self.shown.plain && self.shown.others {
            self.put(arg, out);
            return Ok(true);
        }
        Ok(false)
    }

    fn show_default(&mut self, out: &mut Out) -> Res<bool> {
        let Some(name) = self.default.take() else {
            return Ok(false);
        };
        match self.resolve(&name)? {
            Some(id) => {
                self.rev(Some(&name), id, false, out)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Resolves a name; what git complains about ends here, unless it was told to be quiet.
    fn resolve(&self, name: &[u8]) -> Res<Option<Id>> {
        if self.verify || !self.shown.others {
            return match self.repo.resolve_quietly(name) {
                Err(Stop::Fail { .. }) if self.quiet => Ok(None),
                other => other,
            };
        }
        match self.repo.resolve(name) {
            Err(Stop::Fail { .. }) if self.quiet && self.verify => Ok(None),
            other => other,
        }
    }

    fn rev(&mut self, name: Option<&[u8]>, id: Id, excluded: bool, out: &mut Out) -> Res<()> {
        if !self.shown.revs {
            return Ok(());
        }
        self.default = None;
        let sign: &[u8] = if excluded != self.flip { b"^" } else { b"" };
        let shown = match name {
            Some(name) if self.symbolic_full || self.abbrev_ref.is_some() => {
                match (full_name(self.repo, name)?, self.abbrev_ref) {
                    (Some(full), Some(strict)) => self.repo.shorten(&full, strict)?,
                    (Some(full), None) => full,
                    (None, _) => return Ok(()),
                }
            }
            Some(name) if self.symbolic => name.to_vec(),
            _ => match self.short {
                Some(n) => self.repo.abbreviate(id, n)?.into_bytes(),
                None => id.hex().into_bytes(),
            },
        };
        self.put(&[sign, &shown].concat(), out);
        Ok(())
    }

    /// `A..B` and `A...B`.
    fn range(&mut self, arg: &[u8], out: &mut Out) -> Res<bool> {
        let Some(dots) = bytes::find(arg, b"..") else {
            return Ok(false);
        };
        let symmetric = arg.get(dots + 2) == Some(&b'.');
        let right = &arg[dots + if symmetric { 3 } else { 2 }..];
        let left = &arg[..dots];
        if left.is_empty() && right.is_empty() && !symmetric {
            return Ok(false);
        }
        let or_head = |t: &[u8]| -> Bytes { if t.is_empty() { b"HEAD" } else { t }.to_vec() };
        let (left, right) = (or_head(left), or_head(right));
        let repo = self.repo;
        let quietly = |name: &[u8]| match repo.resolve(name) {
            Err(Stop::Fail { .. }) => Ok(None),
            other => other,
        };
        let (Some(a), Some(b)) = (quietly(&left)?, quietly(&right)?) else {
            return Ok(false);
        };
        self.rev(Some(&right), b, false, out)?;
        self.rev(Some(&left), a, !symmetric, out)?;
        if symmetric {
            let (Some(a), Some(b)) = (repo.peel_to_commit(a)?, repo.peel_to_commit(b)?) else {
                return Err(Stop::not_native("a range of what are no commits"));
            };
            for base in rev_args::merge_bases(repo, a, b)? {
                self.rev(None, base, true, out)?;
            }
        }
        Ok(true)
    }

    /// `rev^@`, `rev^!` and `rev^-n`.
    fn parents(&mut self, arg: &[u8], out: &mut Out) -> Res<bool> {
        let marks: [&[u8]; 3] = [b"^!", b"^@", b"^-"];
        let Some((at, kind)) = marks
            .iter()
            .find_map(|m| bytes::find(arg, m).map(|at| (at, m[1])))
        else {
            return Ok(false);
        };
        let (base, tail) = (&arg[..at], &arg[at + 2..]);
        let only = match (kind, tail) {
            (b'-', b"") => Some(1),
            (b'-', digits) => {
                match bytes::parse_int(digits).and_then(|n| usize::try_from(n).ok()) {
                    Some(n) if n > 0 => Some(n),
                    _ => return Ok(false),
                }
            }
            (_, b"") => None,
            _ => return Ok(false),
        };
        let id = match self.repo.resolve(base) {
            Err(Stop::Fail { .. }) => None,
            other => other?,
        };
        let Some(commit) = id
            .map(|id| self.repo.peel_to_commit(id))
            .transpose()?
            .flatten()
        else {
            return Ok(false);
        };
        let parents = self.repo.parents(commit)?;
        if only.is_some_and(|n| n > parents.len()) {
            return Ok(false);
        }
        if kind != b'@' {
            self.rev(Some(base), id.unwrap_or(commit), false, out)?;
        }
        for (i, parent) in parents.iter().enumerate() {
            if only.is_some_and(|n| n != i + 1) {
                continue;
            }
            let name = [base, format!("^{}", i + 1).as_bytes()].concat();
            let name = self.symbolic.then_some(name.as_slice());
            self.rev(name, *parent, kind != b'@', out)?;
        }
        Ok(true)
    }

    fn revision(&mut self, arg: &[u8], out: &mut Out) -> Res<bool> {
        let (excluded, name) = match arg.strip_prefix(b"^") {
            Some(rest) => (true, rest),
            None => (false, arg),
        };
        let found = match self.resolve(name) {
            Err(stop @ Stop::Fail { .. })
                if !self.verify
                    && name.contains(&b':')
                    && (self.repo.work_tree.is_some() || bytes::find(name, b":.").is_none()) =>
            {
                // It is taken for a path, which is printed before it is found missing.
                self.file(arg, out)?;
                return Err(stop);
            }
            other => other?,
        };
        let Some(id) = found else { return Ok(false) };
        if self.verify {
            self.n_revs += 1;
            self.last = Some((name.to_vec(), id, excluded));
            return Ok(true);
        }
        self.rev(Some(name), id, excluded, out)?;
        Ok(true)
    }

    /// Carries out an option; says whether it took the next argument.
    fn option(&mut self, arg: &[u8], next: Option<&Bytes>, out: &mut Out) -> Res<bool> {
        let repo = self.repo;
        let missing = |name: &str| Stop::fatal(format!("{name} requires an argument"));
        match arg {
            b"--git-path" => {
                let name = next.ok_or_else(|| missing("--git-path"))?;
                self.git_path(name, out)?;
                return Ok(true);
            }
            b"--default" => {
                self.default = Some(next.ok_or_else(|| missing("--default"))?.clone());
                return Ok(true);
            }
            b"-n" => {
                let n = next.ok_or_else(|| missing("-n"))?;
                if self.shown.flags && self.shown.revs {
                    self.put(arg, out);
                    self.put(n, out);
                }
                return Ok(true);
            }
            b"--prefix" => return Err(Stop::not_native("option `--prefix`")),
            b"--revs-only" => self.shown.others = false,
            b"--no-revs" => self.shown.revs = false,
            b"--flags" => self.shown.plain = false,
            b"--no-flags" => self.shown.flags = false,
            b"--verify" => {
                (self.shown.flags, self.shown.others) = (false, false);
                self.verify = true;
            }
            b"-q" | b"--quiet" => self.quiet = true,
            b"--sq" => self.quoted = true,
            b"--not" => self.flip = !self.flip,
            b"--symbolic" => (self.symbolic, self.symbolic_full) = (true, false),
            b"--symbolic-full-name" => (self.symbolic, self.symbolic_full) = (true, true),
            b"--all" => self.group(None, b"refs/", false, out)?,
            b"--bisect" => return Err(Stop::not_native("option `--bisect`")),
            b"--show-toplevel" => match &repo.work_tree {
                Some(top) if !repo.is_inside_git_dir() || repo.is_inside_work_tree() => {
                    self.path(&top.clone(), out);
                }
                _ => return Err(Stop::fatal("this operation must be run in a work tree")),
            },
            b"--show-superproject-working-tree" => {
                return Err(Stop::not_native("options of `rev-parse`"));
            }
            b"--show-prefix" => out.put([repo.prefix.as_slice(), b"\n"].concat()),
            b"--show-cdup" => {
                let ups = repo.prefix.iter().filter(|b| **b == b'/').count();
                if repo.is_inside_work_tree() {
                    out.put("../".repeat(ups) + "\n");
                } else if let Some(top) = &repo.work_tree {
                    out.put([top.as_slice(), b"\n"].concat());
                }
            }
            b"--git-dir" if self.form == PathForm::AsItIs => {
                out.put([repo.git_dir_shown.as_slice(), b"\n"].concat());
            }
            b"--git-dir" => self.path(&repo.git_dir.clone(), out),
            b"--absolute-git-dir" => out.put([repo.git_dir.as_slice(), b"\n"].concat()),
            b"--git-common-dir" if self.form == PathForm::AsItIs => {
                let shown = if repo.common_dir == repo.git_dir {
                    match repo.git_dir_shown.as_slice() {
                        b".git" | b"." => repo.git_dir_shown.clone(),
                        _ => relative_to_cwd(repo, &repo.common_dir),
                    }
                } else {
                    repo.common_dir.clone()
                };
                out.put([shown.as_slice(), b"\n"].concat());
            }
            b"--git-common-dir" => self.path(&repo.common_dir.clone(), out),
            b"--is-inside-git-dir" => self.truth(repo.is_inside_git_dir(), out),
            b"--is-inside-work-tree" => self.truth(repo.is_inside_work_tree(), out),
            b"--is-bare-repository" => self.truth(repo.is_bare, out),
            b"--is-shallow-repository" => self.truth(!repo.shallow().is_empty(), out),
            // Only a split index has another file, and that is not opened here.
            b"--shared-index-path" if repo.index()?.is_split => {
                return Err(Stop::not_native("the path of a shared index"));
            }
            b"--shared-index-path" => {}
            b"--show-ref-format" => out.put(match self.repo.tables {
                Some(_) => "reftable\n",
                None => "files\n",
            }),
            _ => return self.option_with_value(arg, out).map(|()| false),
        }
        Ok(false)
    }

    fn option_with_value(&mut self, arg: &[u8], out: &mut Out) -> Res<()> {
        let repo = self.repo;
        if let Some(value) = with_value(arg, "--short") {
            (self.shown.flags, self.shown.others) = (false, false);
            self.verify = true;
            self.short = Some(match value {
                None => repo.default_abbrev()?,
                Some(n) => {
                    let n = bytes::parse_int(n)
                        .ok_or_else(|| Stop::not_native("the value of `--short`"))?;
                    usize::try_from(n).unwrap_or(0).clamp(4, Id::digits())
                }
            });
            return Ok(());
        }
        if let Some(value) = with_value(arg, "--abbrev-ref") {
            self.abbrev_ref = Some(match value {
                None => repo.config.bool("core.warnambiguousrefs")?.unwrap_or(true),
                Some(b"strict") => true,
                Some(b"loose") => false,
                Some(other) => {
                    return Err(Stop::fatal(format!(
                        "unknown mode for --abbrev-ref: {}",
                        lossy(other)
                    )));
                }
            });
            return Ok(());
        }
        if let Some(value) = with_value(arg, "--path-format") {
            self.form = match value {
                None => return Err(Stop::fatal("--path-format requires an argument")),
                Some(b"absolute") => PathForm::Absolute,
                Some(b"relative") => PathForm::Relative,
                Some(other) => {
                    return Err(Stop::fatal(format!(
                        "unknown argument to --path-format: {}",
                        lossy(other)
                    )));
                }
            };
            return Ok(());
        }
        if let Some(value) = with_value(arg, "--show-object-format") {
            return match value {
                None | Some(b"storage" | b"input" | b"output") => {
                    out.put(match Hash::current() {
                        Hash::Sha1 => "sha1\n",
                        Hash::Sha256 => "sha256\n",
                    });
                    Ok(())
                }
                Some(other) => Err(Stop::fatal(format!(
                    "unknown mode for --show-object-format: {}",
                    lossy(other)
                ))),
            };
        }
        let groups: [(&str, &[u8]); 4] = [
            ("--branches", b"refs/heads/"),
            ("--tags", b"refs/tags/"),
            ("--remotes", b"refs/remotes/"),
            ("--glob", b"refs/"),
        ];
        for (name, prefix) in groups {
            if let Some(value) = with_value(arg, name) {
                if value.is_none() && name == "--glob" {
                    break;
                }
                if value.is_some() && name != "--glob" && !self.excluded.is_empty() {
                    return Err(Stop::not_native("exclusions from a pattern"));
                }
                return self.group(value, prefix, name != "--glob", out);
            }
        }
        if let Some(pattern) = arg.strip_prefix(b"--exclude=") {
            self.excluded.push(pattern.to_vec());
            return Ok(());
        }
        for (name, flag) in [
            ("--since=", "--max-age="),
            ("--after=", "--max-age="),
            ("--before=", "--min-age="),
            ("--until=", "--min-age="),
        ] {
            if let Some(text) = arg.strip_prefix(name.as_bytes()) {
                if self.shown.flags && self.shown.revs {
                    let time = approxidate::read(repo.call, text)?;
                    self.put(format!("{flag}{time}").as_bytes(), out);
                }
                return Ok(());
            }
        }
        for name in [
            "--disambiguate=",
            "--exclude-hidden=",
            "--output-object-format",
        ] {
            if arg.starts_with(name.as_bytes()) {
                return Err(Stop::NotNative(format!("option `{}`", lossy(arg))));
            }
        }
        if arg.starts_with(b"-n") {
            if self.shown.flags && self.shown.revs {
                self.put(arg, out);
            }
            return Ok(());
        }
        // Any other option is shown, if options of its kind are.
        let is_rev = arg.get(1).is_some_and(u8::is_ascii_digit)
            || REV_OPTIONS
                .iter()
                .any(|o| arg == o.as_bytes() || o.ends_with('=') && arg.starts_with(o.as_bytes()));
        let wanted = if is_rev {
            self.shown.revs
        } else {
            self.shown.others
        };
        if self.shown.flags && wanted {
            self.put(arg, out);
            if self.verify {
                return Err(bad_single(self.quiet));
            }
        }
        Ok(())
    }

    fn truth(&self, is: bool, out: &mut Out) {
        out.put(if is { "true\n" } else { "false\n" });
    }

    /// Shows a group of references.
    fn group(
        &mut self,
        pattern: Option<&[u8]>,
        prefix: &[u8],
        strips: bool,
        out: &mut Out,
    ) -> Res<()> {
        let pattern = pattern.map(|text| {
            let mut pattern = if !strips && text.starts_with(b"refs/") {
                text.to_vec()
            } else {
                [prefix, text].concat()
            };
            if !wildmatch::is_glob(&pattern) {
                if !pattern.ends_with(b"/") {
                    pattern.push(b'/');
                }
                pattern.push(b'*');
            }
            pattern
        });
        for reference in self.repo.refs(prefix)? {
            let name = &reference.name;
            if pattern
                .as_ref()
                .is_some_and(|p| !wildmatch::matches(p, name, 0))
            {
                continue;
            }
            let shown = if strips && pattern.is_none() {
                &name[prefix.len()..]
            } else {
                &name[..]
            };
            let shown = shown.to_vec();
            if self
                .excluded
                .iter()
                .any(|p| wildmatch::matches(p, &shown, 0))
            {
                continue;
            }
            self.rev(Some(&shown), reference.id, false, out)?;
        }
        self.excluded.clear();
        Ok(())
    }

    /// Shows an absolute path in the form asked for.
    fn path(&self, path: &[u8], out: &mut Out) {
        let shown = match self.form {
            PathForm::AsItIs | PathForm::Absolute => path.to_vec(),
            PathForm::Relative => relative(path, &self.repo.call.cwd),
        };
        out.put([shown.as_slice(), b"\n"].concat());
    }

    /// Shows where a file of the repository lies.
    fn git_path(&self, name: &[u8], out: &mut Out) -> Res<()> {
        let repo = self.repo;
        let first = name.split(|b| *b == b'/').next().unwrap_or_default();
        let redirected = name == b"index" && repo.call.var("GIT_INDEX_FILE").is_some()
            || first == b"hooks" && repo.config.get("core.hookspath").is_some()
            || repo.git_dir != repo.common_dir
            || bytes::find(name, b"..").is_some()
            || repo.call.var("GIT_DIR").is_some()
            || repo.call.globals.git_dir.is_some();
        if redirected {
            return Err(Stop::not_native("a path that lies elsewhere"));
        }
        let full = bytes::join(&repo.git_dir, name);
        let shown = match self.form {
            PathForm::Absolute => full,
            PathForm::Relative => relative(&full, &repo.call.cwd),
            PathForm::AsItIs => match repo.git_dir_shown.as_slice() {
                b"." => name.to_vec(),
                b".git" => [b".git/".as_slice(), name].concat(),
                _ if !repo.prefix.is_empty() => relative_to_cwd(repo, &full),
                _ => full,
            },
        };
        out.put([shown.as_slice(), b"\n"].concat());
        Ok(())
    }
}

/// Returns a path as seen from a directory, both absolute.
fn relative(path: &[u8], from: &[u8]) -> Bytes {
    let (mut a, mut b) = (
        path.split(|c| *c == b'/')
            .filter(|p| !p.is_empty())
            .peekable(),
        from.split(|c| *c == b'/')
            .filter(|p| !p.is_empty())
            .peekable(),
    );
    while a.peek().is_some() && a.peek() == b.peek() {
        a.next();
        b.next();
    }
    let ups = b.count();
    let rest: Vec<&[u8]> = a.collect();
    if ups == 0 && rest.is_empty() {
        return b"./".to_vec();
    }
    ["../".repeat(ups).into_bytes(), rest.join(&b'/')].concat()
}

fn relative_to_cwd(repo: &Repo<'_>, dir: &[u8]) -> Bytes {
    match (&repo.work_tree, repo.prefix.is_empty()) {
        (Some(top), false) => match crate::repository::repo::prefix_below(dir, top) {
            Some(mut below) => {
                below.pop();
                quote::relative(&below, &repo.prefix)
            }
            None => dir.to_vec(),
        },
        _ => dir.to_vec(),
    }
}

/// Returns the full name of the reference a text names, following HEAD to its branch.
fn full_name(repo: &Repo<'_>, name: &[u8]) -> Res<Option<Bytes>> {
    if name == b"HEAD" || name == b"@" {
        return Ok(Some(
            repo.head()?.branch.unwrap_or_else(|| b"HEAD".to_vec()),
        ));
    }
    if name.ends_with(b"}")
        && let Some(at) = name.windows(2).rposition(|w| w == b"@{")
        && let Some(At::Ref(full)) = repo.at_name(&name[..at], &name[at + 2..name.len() - 1])?
    {
        return Ok(Some(full));
    }
    let found = repo.dwim(name)?;
    match found.as_slice() {
        [] => Ok(None),
        [(full, _)] => Ok(Some(repo.symref(full)?.unwrap_or_else(|| full.clone()))),
        _ => {
            repo.call
                .warn(format!("error: refname '{}' is ambiguous\n", lossy(name)));
            Ok(None)
        }
    }
}
