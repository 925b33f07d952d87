//! Finding and opening the repository a command is about, by git's rules of discovery.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::rc::Rc;

use git2::{ErrorCode, ObjectType, OdbObject, RepositoryOpenFlags};

use crate::exec::Call;
use crate::outcome::{Cancel, Res, Stop};
use crate::references::reftable::Reftable;
use crate::repository::config::{Config, Scope};
use crate::repository::id::{Hash, Id, Using};
use crate::repository::object::{Commit, Tag};
use crate::repository::pool;
use crate::text::bytes::{self, Bytes, lossy};

/// An open repository and all that was found out about it.
pub(crate) struct Repo<'a> {
    pub(crate) git: Rc<git2::Repository>,
    pub(crate) call: &'a Call<'a>,
    /// The directory of HEAD and the index, absolute.
    pub(crate) git_dir: Bytes,
    /// The directory of objects and branches; differs from `git_dir` in a linked work tree.
    pub(crate) common_dir: Bytes,
    /// The top of the work tree, absolute; `None` in a bare repository.
    pub(crate) work_tree: Option<Bytes>,
    /// The current directory below the top: `""`, or a path that ends with a slash.
    pub(crate) prefix: Bytes,
    pub(crate) config: Config,
    /// How the git directory was named or found, as `rev-parse --git-dir` shows it.
    pub(crate) git_dir_shown: Bytes,
    pub(crate) is_bare: bool,
    abbrev: OnceCell<usize>,
    shallow: OnceCell<HashSet<Id>>,
    /// Where references are not files: the tables they are in.
    pub(crate) tables: Option<Reftable>,
    /// Objects in whose place others are read.
    replaced: HashMap<Id, Id>,
    _hash: Using,
}

/// Where a repository was found.
struct Found {
    git_dir: Bytes,
    /// The directory that holds `.git`; `None` for a bare repository or an explicit git directory.
    top: Option<Bytes>,
    explicit: bool,
    shown: Bytes,
}

impl<'a> Repo<'a> {
    /// Opens the repository of the current directory, or ends with git's error.
    pub(crate) fn open(call: &'a Call<'a>) -> Res<Repo<'a>> {
        match Repo::find(call)? {
            Some(repo) => Ok(repo),
            None => Err(not_a_repository(call)),
        }
    }

    /// Opens the repository of the current directory, if there is one.
    pub(crate) fn find(call: &'a Call<'a>) -> Res<Option<Repo<'a>>> {
        refuse_environment(call)?;
        let Some(found) = discover(call)? else {
            return Ok(None);
        };
        let common_dir = common_dir(&found.git_dir)?;
        let config = Config::load(call, Some(&found.git_dir), Some(&common_dir))?;
        let format = check_format(&config)?;
        if format != Format::default() && !call.only_reads.get() {
            return Err(Stop::not_native(
                "a write to a repository with other object ids or references",
            ));
        }
        let hash = Using::hash(format.hash);
        crate::repository::settings::refuse(&config)?;
        let (work_tree, is_bare) = work_tree(call, &found, &config)?;
        refuse_outside(call, &found.git_dir, &common_dir, work_tree.as_deref())?;
        let prefix = match &work_tree {
            Some(top) => prefix_below(&call.cwd, top),
            None => None,
        };
        refuse_grafts(&common_dir)?;
        let tables = match format.reftable {
            true => Some(Reftable::open(call, &found.git_dir, &common_dir)?),
            false => None,
        };
        let git = pool::open(&found.git_dir, || open_git2(&found, work_tree.as_deref()))?;
        let mut repo = Repo {
            git,
            call,
            common_dir,
            work_tree,
            prefix: prefix.unwrap_or_default(),
            config,
            git_dir_shown: found.shown,
            git_dir: found.git_dir,
            is_bare,
            abbrev: OnceCell::new(),
            shallow: OnceCell::new(),
            tables,
            replaced: HashMap::new(),
            _hash: hash,
        };
        repo.load_replacements()?;
        Ok(Some(repo))
    }

    pub(crate) fn cancel(&self) -> Cancel<'a> {
        self.call.cancel
    }

    /// Returns the top of the work tree, or ends with git's error when the command needs one.
    pub(crate) fn need_work_tree(&self) -> Res<&[u8]> {
        let top = self
            .work_tree
            .as_deref()
            .ok_or_else(|| Stop::fatal("this operation must be run in a work tree"))?;
        if !self.is_inside_work_tree() && !self.prefix.is_empty() {
            return Err(Stop::not_native("a directory outside the work tree"));
        }
        Ok(top)
    }

    /// Says whether the current directory is in the work tree.
    pub(crate) fn is_inside_work_tree(&self) -> bool {
        self.work_tree
            .as_deref()
            .is_some_and(|top| prefix_below(&self.call.cwd, top).is_some())
    }

    /// Says whether the current directory is in the git directory.
    pub(crate) fn is_inside_git_dir(&self) -> bool {
        prefix_below(&self.call.cwd, &self.git_dir).is_some()
    }

    /// Returns a path in the git directory of this work tree.
    pub(crate) fn git_path(&self, name: &str) -> Bytes {
        bytes::join(&self.git_dir, name.as_bytes())
    }

    /// Reads a small file in the git directory of this work tree.
    ///
    /// Where references are in tables, so is a file that is one of them.
    pub(crate) fn git_file(&self, name: &str) -> Option<Bytes> {
        if let Some(tables) = &self.tables
            && is_reference_file(name)
        {
            return tables.as_file(name.as_bytes());
        }
        self.read_own(&self.git_path(name))
    }

    /// Reads a file of the repository; one that is a link to where the caller may not look counts as missing.
    fn read_own(&self, path: &[u8]) -> Option<Bytes> {
        if self.call.within.is_some() {
            let file = bytes::to_path(path);
            let nested = path.len() > self.git_dir.len() + 1
                && path
                    .get(self.git_dir.len() + 1..)
                    .is_some_and(|p| p.contains(&b'/'));
            let is_link = fs::symlink_metadata(&file).is_ok_and(|m| m.is_symlink());
            if (nested || is_link) && !crate::repository::config::is_within(self.call, path) {
                return None;
            }
        }
        fs::read(bytes::to_path(path)).ok()
    }

    /// Says whether a file is there in the git directory of this work tree.
    pub(crate) fn has_git_file(&self, name: &str) -> bool {
        if let Some(tables) = &self.tables
            && is_reference_file(name)
        {
            return tables.as_file(name.as_bytes()).is_some();
        }
        bytes::to_path(&self.git_path(name)).exists()
    }

    /// Reads a file in the git directory that all work trees share.
    pub(crate) fn common_file(&self, name: &str) -> Option<Bytes> {
        self.read_own(&bytes::join(&self.common_dir, name.as_bytes()))
    }

    /// Finds the objects in whose place others are to be read; a command that writes is handed over then.
    fn load_replacements(&mut self) -> Res<()> {
        let wanted = !self.call.globals.no_replace_objects
            && self.config.bool("core.usereplacerefs")? != Some(false);
        let has_any = match &self.tables {
            Some(_) => true,
            None => has_replacements(&self.common_dir),
        };
        if !wanted || !has_any {
            return Ok(());
        }
        for reference in self.refs(b"refs/replace/")? {
            let hex = &reference.name[b"refs/replace/".len()..];
            if let Some(id) = Id::parse(hex) {
                self.replaced.insert(id, reference.id);
            }
        }
        if !self.replaced.is_empty() && !self.call.only_reads.get() {
            return Err(Stop::not_native("replaced objects"));
        }
        Ok(())
    }

    /// Says whether another object is read in the place of one.
    pub(crate) fn replaces(&self, id: Id) -> bool {
        self.replaced.contains_key(&id)
    }

    /// Returns the object that is read in the place of one.
    fn in_place_of(&self, mut id: Id) -> Res<Id> {
        for _ in 0..=MAX_REPLACEMENTS {
            match self.replaced.get(&id) {
                Some(other) => id = *other,
                None => return Ok(id),
            }
        }
        Err(Stop::fatal(format!(
            "replace depth too high for object {id}"
        )))
    }

    /// The repository for libgit2's questions about history, which know nothing of replaced objects.
    pub(crate) fn graph(&self) -> Res<&git2::Repository> {
        if self.replaced.is_empty() {
            Ok(&self.git)
        } else {
            Err(Stop::not_native("replaced objects"))
        }
    }

    /// Runs something on an object's kind and bytes; `None` when there is no such object.
    pub(crate) fn read<T>(
        &self,
        id: Id,
        with: impl FnOnce(ObjectType, &[u8]) -> T,
    ) -> Res<Option<T>> {
        let odb = self.git.odb()?;
        let object: Result<OdbObject<'_>, _> = odb.read(self.in_place_of(id)?.oid());
        match object {
            Ok(object) => Ok(Some(with(object.kind(), object.data()))),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Returns an object's kind and size; `None` when there is no such object.
    pub(crate) fn header(&self, id: Id) -> Res<Option<(ObjectType, usize)>> {
        match self.git.odb()?.read_header(self.in_place_of(id)?.oid()) {
            Ok((size, kind)) => Ok(Some((kind, size))),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Returns a blob's bytes; a missing one is left to git.
    pub(crate) fn blob(&self, id: Id) -> Res<Bytes> {
        match self.read(id, |kind, data| {
            (kind == ObjectType::Blob).then(|| data.to_vec())
        })? {
            Some(Some(data)) => Ok(data),
            _ => Err(Stop::NotNative(format!("blob {id} cannot be read"))),
        }
    }

    /// Returns a tree's raw bytes; the zero id is an empty tree.
    pub(crate) fn tree_data(&self, id: Id) -> Res<Bytes> {
        if id.is_zero() || id == Id::empty_tree() {
            return Ok(Bytes::new());
        }
        match self.read(id, |kind, data| {
            (kind == ObjectType::Tree).then(|| data.to_vec())
        })? {
            Some(Some(data)) => Ok(data),
            _ => Err(Stop::NotNative(format!("tree {id} cannot be read"))),
        }
    }

    /// Returns a commit; `None` when the object is missing or something else.
    pub(crate) fn try_commit(&self, id: Id) -> Res<Option<Commit>> {
        let read = self.read(id, |kind, data| {
            (kind == ObjectType::Commit).then(|| Commit::parse(data))
        })?;
        Ok(read.flatten().flatten().map(|mut commit| {
            // At the edge of a shallow history a commit has no parents.
            if self.shallow().contains(&id) {
                commit.cut_parents = std::mem::take(&mut commit.parents);
            }
            commit
        }))
    }

    /// Returns a commit; a missing one is left to git.
    pub(crate) fn commit(&self, id: Id) -> Res<Commit> {
        self.try_commit(id)?
            .ok_or_else(|| Stop::NotNative(format!("commit {id} cannot be read")))
    }

    /// Follows tags from an object to one that is no tag.
    pub(crate) fn peel(&self, mut id: Id) -> Res<Option<(Id, ObjectType)>> {
        // A chain of tags is finite since each names the hash of the next; the bound guards against forged stores.
        for _ in 0..1000 {
            match self.read(id, |kind, data| {
                (
                    kind,
                    if kind == ObjectType::Tag {
                        Tag::parse(data)
                    } else {
                        None
                    },
                )
            })? {
                None => return Ok(None),
                Some((ObjectType::Tag, Some(tag))) => id = tag.object,
                Some((ObjectType::Tag, None)) => return Ok(None),
                Some((kind, _)) => return Ok(Some((id, kind))),
            }
        }
        Ok(None)
    }

    /// Follows tags to a commit; `None` when something else is at the end.
    pub(crate) fn peel_to_commit(&self, id: Id) -> Res<Option<Id>> {
        Ok(self
            .peel(id)?
            .and_then(|(id, kind)| (kind == ObjectType::Commit).then_some(id)))
    }

    /// Follows tags and a commit to a tree.
    pub(crate) fn peel_to_tree(&self, id: Id) -> Res<Option<Id>> {
        Ok(match self.peel(id)? {
            Some((id, ObjectType::Tree)) => Some(id),
            Some((id, ObjectType::Commit)) => self.try_commit(id)?.map(|c| c.tree),
            _ => None,
        })
    }

    /// Returns the commits whose parents are not here.
    pub(crate) fn shallow(&self) -> &HashSet<Id> {
        self.shallow.get_or_init(|| {
            let text = self.common_file("shallow").unwrap_or_default();
            text.split(|b| *b == b'\n').filter_map(Id::parse).collect()
        })
    }

    /// Returns the number of digits git abbreviates ids to in this repository.
    pub(crate) fn default_abbrev(&self) -> Res<usize> {
        if let Some(n) = self.abbrev.get() {
            return Ok(*n);
        }
        let n = match self.config.get("core.abbrev") {
            None => self.abbrev_by_size()?,
            Some(v) if v.eq_ignore_ascii_case(b"auto") => self.abbrev_by_size()?,
            Some(b"no" | b"off" | b"false") => Id::digits(),
            Some(v) => match bytes::parse_int(v).and_then(|n| usize::try_from(n).ok()) {
                Some(n) if (4..=Id::digits()).contains(&n) => n,
                _ => return Err(Stop::not_native("a bad value of core.abbrev")),
            },
        };
        Ok(*self.abbrev.get_or_init(|| n))
    }

    fn abbrev_by_size(&self) -> Res<usize> {
        let count = packed_objects(&bytes::join(&self.common_dir, b"objects"), 0);
        let bits = if count == 0 {
            0
        } else {
            64 - count.leading_zeros() as usize
        };
        Ok(bits.div_ceil(2).max(7))
    }

    /// Returns the shortest prefix of an id, of at least `length` digits, that names nothing else.
    pub(crate) fn abbreviate(&self, id: Id, length: usize) -> Res<String> {
        let hex = id.hex();
        if length >= Id::digits() {
            return Ok(hex);
        }
        let odb = self.git.odb()?;
        for n in length.max(4)..Id::digits() {
            // libgit2 pads the prefix with zeros itself; it wants a full-length id.
            let mut padded = hex.as_bytes()[..n].to_vec();
            padded.resize(Id::digits(), b'0');
            let short = Id::parse(&padded).unwrap_or_default();
            match odb.exists_prefix(short.oid(), n) {
                Err(e) if e.code() == ErrorCode::Ambiguous => {}
                _ => return Ok(hex[..n].to_string()),
            }
        }
        Ok(hex)
    }

    /// Abbreviates an id to the repository's default.
    pub(crate) fn short(&self, id: Id) -> Res<String> {
        self.abbreviate(id, self.default_abbrev()?)
    }

    /// Says whether non-ASCII names are quoted.
    pub(crate) fn quote_path(&self) -> Res<bool> {
        Ok(self.config.bool("core.quotepath")?.unwrap_or(true))
    }
}

/// Counts the objects in packs, and in those of alternates.
fn packed_objects(objects: &[u8], depth: u8) -> u64 {
    let mut count = 0;
    for entry in fs::read_dir(bytes::to_path(&bytes::join(objects, b"pack")))
        .into_iter()
        .flatten()
        .flatten()
    {
        if entry.path().extension().is_some_and(|e| e == "idx") {
            count += index_count(&entry.path()).unwrap_or(0);
        }
    }
    if depth < 5
        && let Ok(list) = fs::read(bytes::to_path(&bytes::join(objects, b"info/alternates")))
    {
        for line in list
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty() && l[0] != b'#')
        {
            count += packed_objects(&bytes::join(objects, line), depth + 1);
        }
    }
    count
}

fn index_count(path: &Path) -> Option<u64> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = fs::File::open(path).ok()?;
    let mut word = [0; 4];
    file.read_exact(&mut word).ok()?;
    // Version 2 has a header of 8 bytes before the fan-out table, version 1 has none.
    let table = if word == [0xff, b't', b'O', b'c'] {
        8
    } else {
        0
    };
    file.seek(SeekFrom::Start(table + 255 * 4)).ok()?;
    file.read_exact(&mut word).ok()?;
    Some(u64::from(u32::from_be_bytes(word)))
}

/// Returns the git directory and the shared one of the repository a call is about, without opening it.
pub(crate) fn locate(call: &Call<'_>) -> Res<Option<(Bytes, Bytes)>> {
    match discover(call)? {
        None => Ok(None),
        Some(found) => Ok(Some((found.git_dir.clone(), common_dir(&found.git_dir)?))),
    }
}

/// How many objects may be read each in the place of the one before.
const MAX_REPLACEMENTS: usize = 5;

/// Hands over where commits are given other parents.
fn refuse_grafts(common_dir: &[u8]) -> Res<()> {
    let grafts = bytes::to_path(&bytes::join(common_dir, b"info/grafts"));
    if fs::metadata(grafts).is_ok_and(|m| m.len() > 0) {
        return Err(Stop::not_native("grafted commits"));
    }
    Ok(())
}

/// Says whether objects may be replaced by others.
fn has_replacements(common_dir: &[u8]) -> bool {
    let path = |name: &[u8]| bytes::to_path(&bytes::join(common_dir, name));
    let loose = fs::read_dir(path(b"refs/replace")).is_ok_and(|mut dir| dir.next().is_some());
    let packed = || {
        fs::read(path(b"packed-refs"))
            .is_ok_and(|refs| bytes::find(&refs, b" refs/replace/").is_some())
    };
    loose || packed()
}

/// Variables that change what git does in ways this crate does not follow.
fn refuse_environment(call: &Call<'_>) -> Res<()> {
    const REFUSED: &[&str] = &[
        "GIT_COMMON_DIR",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_NAMESPACE",
        "GIT_REPLACE_REF_BASE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_SHALLOW_FILE",
        "GIT_GRAFT_FILE",
        "GIT_ATTR_SOURCE",
        "GIT_EXTERNAL_DIFF",
        "GIT_DIFF_OPTS",
        "GIT_LITERAL_PATHSPECS",
        "GIT_GLOB_PATHSPECS",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_ICASE_PATHSPECS",
        "GIT_REF_PARANOIA",
        "GIT_ADVICE",
        "GIT_NOTES_REF",
        "GIT_NOTES_DISPLAY_REF",
        "GIT_ATTR_NOSYSTEM_IS_UNUSED",
        "GIT_QUARANTINE_PATH",
        "GIT_PRINT_SHA1_ELLIPSIS",
        "GIT_REFLOG_ACTION",
        "GIT_IMPLICIT_WORK_TREE",
    ];
    for name in REFUSED {
        if call.var(name).is_some_and(|v| !v.is_empty() && v != b"0") {
            return Err(Stop::NotNative(format!("{name} in the environment")));
        }
    }
    // git's traces, and the switches its own tests turn on.
    const HARMLESS: &[&str] = &[
        "GIT_TEST_BUILD_DIR",
        "GIT_TEST_CHAIN_LINT",
        "GIT_TEST_CHECK_CACHE_TREE",
        "GIT_TEST_CMP",
        "GIT_TEST_CMP_USE_COPIED_CONTEXT",
        "GIT_TEST_DEFAULT_HASH",
        "GIT_TEST_DEFAULT_INITIAL_BRANCH_NAME",
        "GIT_TEST_DEFAULT_REF_FORMAT",
        "GIT_TEST_DISALLOW_ABBREVIATED_OPTIONS",
        "GIT_TEST_EXEC_PATH",
        "GIT_TEST_EXT_CHAIN_LINT",
        "GIT_TEST_FSYNC",
        "GIT_TEST_INSTALLED",
        "GIT_TEST_LONG",
        "GIT_TEST_MAINT_SCHEDULER",
        "GIT_TEST_MERGE_ALGORITHM",
        "GIT_TRACE2_EVENT_NESTING",
        "GIT_TRACE2_PARENT_NAME",
        "GIT_TRACE2_PARENT_SID",
        "GIT_TRACE_BARE",
    ];
    for (name, value) in call.env.iter() {
        let name = name.to_string_lossy();
        let off = value.is_empty() || value == "0" || value == "false";
        if !off
            && (name.starts_with("GIT_TRACE") || name.starts_with("GIT_TEST_"))
            && !HARMLESS.contains(&&*name)
        {
            return Err(Stop::NotNative(format!("{name} in the environment")));
        }
    }
    Ok(())
}

fn not_a_repository(call: &Call<'_>) -> Stop {
    if let Some(dir) = explicit_git_dir(call) {
        return Stop::fatal(format!("not a git repository: '{}'", lossy(&dir)));
    }
    match mount_point_reached(call) {
        Some(dir) => Stop::fatal(format!(
            "not a git repository (or any parent up to mount point {})\n\
             Stopping at filesystem boundary (GIT_DISCOVERY_ACROSS_FILESYSTEM not set).",
            lossy(&dir)
        )),
        None => Stop::fatal("not a git repository (or any of the parent directories): .git"),
    }
}

fn explicit_git_dir(call: &Call<'_>) -> Option<Bytes> {
    let here = || call.globals.bare.then(|| call.cwd.clone());
    call.globals
        .git_dir
        .clone()
        .or_else(|| call.var("GIT_DIR"))
        .or_else(here)
}

fn discover(call: &Call<'_>) -> Res<Option<Found>> {
    if let Some(given) = explicit_git_dir(call) {
        let mut dir = bytes::join(&call.cwd, &given);
        if let Some(target) = read_git_file(&dir)? {
            dir = target;
        }
        if !is_git_directory(&dir) {
            return Ok(None);
        }
        return Ok(Some(Found {
            git_dir: real_path(&dir)?,
            top: None,
            explicit: true,
            shown: given,
        }));
    }
    let ceiling = ceiling(call);
    let mut dir = call.cwd.clone();
    let device = if call.var_bool("GIT_DISCOVERY_ACROSS_FILESYSTEM", false) {
        None
    } else {
        device_of(&dir)
    };
    loop {
        let dot_git = bytes::join(&dir, b".git");
        let here = dir == call.cwd;
        if let Some(target) = read_git_file(&dot_git)? {
            if !is_git_directory(&target) {
                return Err(Stop::fatal(format!(
                    "not a git repository: {}",
                    lossy(&target)
                )));
            }
            return Ok(Some(Found {
                git_dir: real_path(&target)?,
                top: Some(dir),
                explicit: false,
                shown: target,
            }));
        }
        if is_git_directory(&dot_git) {
            let shown = if here {
                b".git".to_vec()
            } else {
                dot_git.clone()
            };
            return Ok(Some(Found {
                git_dir: real_path(&dot_git)?,
                top: Some(dir),
                explicit: false,
                shown,
            }));
        }
        if is_git_directory(&dir) {
            let shown = if here { b".".to_vec() } else { dir.clone() };
            return Ok(Some(Found {
                git_dir: dir,
                top: None,
                explicit: false,
                shown,
            }));
        }
        if dir == b"/"
            || ceiling
                .as_ref()
                .is_some_and(|c| parent(&dir) == c.as_slice())
        {
            return Ok(None);
        }
        dir = parent(&dir).to_vec();
        if device.is_some() && device_of(&dir) != device {
            return Ok(None);
        }
    }
}

fn mount_point_reached(call: &Call<'_>) -> Option<Bytes> {
    if call.var_bool("GIT_DISCOVERY_ACROSS_FILESYSTEM", false) {
        return None;
    }
    let ceiling = ceiling(call);
    let device = device_of(&call.cwd);
    let mut dir = call.cwd.clone();
    while dir != b"/"
        && ceiling
            .as_ref()
            .is_none_or(|c| parent(&dir) != c.as_slice())
    {
        let up = parent(&dir).to_vec();
        if device_of(&up) != device {
            return Some(dir);
        }
        dir = up;
    }
    None
}

fn parent(dir: &[u8]) -> &[u8] {
    match dir.iter().rposition(|b| *b == b'/') {
        Some(0) | None => b"/",
        Some(i) => &dir[..i],
    }
}

/// Returns the longest of `GIT_CEILING_DIRECTORIES` that is above the current directory.
fn ceiling(call: &Call<'_>) -> Option<Bytes> {
    let list = call.var("GIT_CEILING_DIRECTORIES")?;
    // After an empty element, symbolic links are not resolved any more.
    let mut resolve = true;
    let mut best: Option<Bytes> = None;
    for element in list.split(|b| *b == b':') {
        if element.is_empty() {
            resolve = false;
            continue;
        }
        if element.first() != Some(&b'/') {
            continue;
        }
        let dir = if resolve {
            real_path(element).unwrap_or_else(|_| element.to_vec())
        } else {
            bytes::normalize(element)
        };
        let above = dir != call.cwd && prefix_below(&call.cwd, &dir).is_some();
        if above && best.as_ref().is_none_or(|b| b.len() < dir.len()) {
            best = Some(dir);
        }
    }
    best
}

#[cfg(unix)]
fn device_of(dir: &[u8]) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(bytes::to_path(dir)).ok().map(|m| m.dev())
}

#[cfg(not(unix))]
fn device_of(_dir: &[u8]) -> Option<u64> {
    None
}

fn real_path(path: &[u8]) -> Res<Bytes> {
    Ok(bytes::from_path(&fs::canonicalize(bytes::to_path(path))?))
}

/// Reads a `.git` file; `None` when the path is no regular file.
fn read_git_file(path: &[u8]) -> Res<Option<Bytes>> {
    let Ok(meta) = fs::metadata(bytes::to_path(path)) else {
        return Ok(None);
    };
    if !meta.is_file() {
        return Ok(None);
    }
    let text = fs::read(bytes::to_path(path))?;
    let Some(target) = text.strip_prefix(b"gitdir: ") else {
        return Err(Stop::fatal(format!(
            "invalid gitfile format: {}",
            lossy(path)
        )));
    };
    let target = target.trim_ascii_end();
    Ok(Some(bytes::normalize(&bytes::join(parent(path), target))))
}

pub(crate) fn is_git_directory(dir: &[u8]) -> bool {
    let has = |base: &[u8], name: &[u8]| bytes::to_path(&bytes::join(base, name)).is_dir();
    let Ok(head) = fs::read(bytes::to_path(&bytes::join(dir, b"HEAD"))) else {
        let link = fs::read_link(bytes::to_path(&bytes::join(dir, b"HEAD")));
        return link.is_ok_and(|l| bytes::from_path(&l).starts_with(b"refs/"))
            && has(dir, b"objects")
            && has(dir, b"refs");
    };
    let head = head.trim_ascii_end();
    let valid = match head.strip_prefix(b"ref:") {
        Some(name) => name.trim_ascii_start().starts_with(b"refs/"),
        None => head.len() >= 40 && head[..40].iter().all(u8::is_ascii_hexdigit),
    };
    let Ok(common) = common_dir(dir) else {
        return false;
    };
    valid && has(&common, b"objects") && has(&common, b"refs")
}

fn common_dir(git_dir: &[u8]) -> Res<Bytes> {
    match fs::read(bytes::to_path(&bytes::join(git_dir, b"commondir"))) {
        Ok(text) => real_path(&bytes::join(git_dir, text.trim_ascii_end())),
        Err(_) => Ok(git_dir.to_vec()),
    }
}

/// Returns the path of `dir` below `top`: `""`, or with a slash at its end.
pub(crate) fn prefix_below(dir: &[u8], top: &[u8]) -> Option<Bytes> {
    if top == b"/" {
        let mut rest = dir[1..].to_vec();
        if !rest.is_empty() {
            rest.push(b'/');
        }
        return Some(rest);
    }
    let rest = dir.strip_prefix(top)?;
    match rest.first() {
        None => Some(Bytes::new()),
        Some(b'/') => Some([&rest[1..], b"/"].concat()),
        Some(_) => None,
    }
}

/// Says whether a file directly in the git directory is a reference; two are files in any repository.
fn is_reference_file(name: &str) -> bool {
    name.ends_with("HEAD") && name != "MERGE_HEAD" && name != "FETCH_HEAD"
}

/// How a repository keeps things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) hash: Hash,
    pub(crate) reftable: bool,
}

impl Default for Format {
    fn default() -> Format {
        Format {
            hash: Hash::Sha1,
            reftable: false,
        }
    }
}

/// Reads the format of a repository; one that is not known here is handed over.
pub(crate) fn check_format(config: &Config) -> Res<Format> {
    let mut format = Format::default();
    let version = config.int("core.repositoryformatversion")?.unwrap_or(0);
    if version > 1 {
        return Err(Stop::not_native("a repository format newer than 1"));
    }
    for entry in &config.entries {
        let Some(name) = entry.key.strip_prefix(b"extensions.") else {
            continue;
        };
        let value = entry.value.as_deref().unwrap_or_default();
        let known = match name {
            b"noop" | b"worktreeconfig" | b"preciousobjects" => true,
            // These may stand only in a repository of format 1.
            b"noop-v1" | b"objectformat" | b"refstorage" | b"compatobjectformat"
                if version == 0 =>
            {
                false
            }
            b"noop-v1" => true,
            b"objectformat" => {
                if value == b"sha256" {
                    format.hash = Hash::Sha256;
                }
                value == b"sha1" || value == b"sha256"
            }
            b"refstorage" => {
                format.reftable = value == b"reftable";
                value == b"files" || value == b"reftable"
            }
            _ => version == 0 && name != b"partialclone",
        };
        if !known {
            return Err(Stop::NotNative(format!(
                "the repository extension `{}`",
                lossy(name)
            )));
        }
    }
    let promisor = |key: &[u8]| {
        key.starts_with(b"remote.")
            && (key.ends_with(b".promisor") || key.ends_with(b".partialclonefilter"))
    };
    if config.entries.iter().any(|e| promisor(&e.key)) {
        return Err(Stop::not_native("a partial clone"));
    }
    if config
        .get("safe.barerepository")
        .is_some_and(|v| v == b"explicit")
    {
        return Err(Stop::not_native("safe.bareRepository"));
    }
    Ok(format)
}

/// Refuses a repository that reaches outside of where the caller may look.
fn refuse_outside(
    call: &Call<'_>,
    git_dir: &[u8],
    common_dir: &[u8],
    work_tree: Option<&[u8]>,
) -> Res<()> {
    let Some(within) = call.within else {
        return Ok(());
    };
    let is_inside = |path: &[u8]| {
        fs::canonicalize(bytes::to_path(path)).is_ok_and(|path| path.starts_with(within))
    };
    let places = [Some(git_dir), Some(common_dir), work_tree];
    let objects = bytes::join(common_dir, b"objects");
    let alternates = bytes::join(&objects, b"info/alternates");
    if !places.into_iter().flatten().all(is_inside)
        || !is_inside(&objects)
        || bytes::to_path(&alternates).exists()
    {
        return Err(Stop::not_native(
            "a repository that reaches outside of the workspace",
        ));
    }
    Ok(())
}

/// Refuses a request whose repository, if there is one, reaches outside of where the caller may look.
pub(crate) fn refuse_reaching_outside(call: &Call<'_>) -> Res<()> {
    let Some(found) = discover(call)? else {
        return Ok(());
    };
    let common_dir = common_dir(&found.git_dir)?;
    let config = Config::load(call, Some(&found.git_dir), Some(&common_dir))?;
    let (work_tree, _) = work_tree(call, &found, &config)?;
    refuse_outside(call, &found.git_dir, &common_dir, work_tree.as_deref())
}

fn work_tree(call: &Call<'_>, found: &Found, config: &Config) -> Res<(Option<Bytes>, bool)> {
    let bare = config.own_bool("core.bare")?;
    if bare == Some(true) && config.own("core.worktree").is_some() {
        return Err(Stop::not_native("a bare repository with a work tree"));
    }
    // In a linked work tree the settings of the main one do not count.
    let is_linked = common_dir(&found.git_dir)? != found.git_dir;
    if is_linked
        && config.entries.iter().any(|e| {
            e.scope == Scope::Worktree && (e.key == b"core.bare" || e.key == b"core.worktree")
        })
    {
        return Err(Stop::not_native("a work tree with settings of its own"));
    }
    let bare = bare.filter(|_| !is_linked);
    if let Some(dir) = call
        .globals
        .work_tree
        .clone()
        .or_else(|| call.var("GIT_WORK_TREE"))
    {
        let dir = real_path(&bytes::join(&call.cwd, &dir))?;
        // A work tree that has the git directory among its files, other than as `.git` at its top, is a rare thing.
        let is_usual = found.git_dir == bytes::join(&dir, b".git")
            || prefix_below(&found.git_dir, &dir).is_none();
        if !is_usual || !bytes::to_path(&dir).is_dir() {
            return Err(Stop::not_native("an unusual work tree"));
        }
        return Ok((Some(dir), false));
    }
    if let Some(dir) = config.own("core.worktree").filter(|_| !is_linked) {
        let dir = real_path(&bytes::join(&found.git_dir, dir))?;
        return Ok((Some(dir), false));
    }
    if found.explicit {
        let bare = bare.or(call.globals.bare.then_some(true));
        return Ok(match bare {
            Some(true) => (None, true),
            _ => (Some(call.cwd.clone()), false),
        });
    }
    match &found.top {
        Some(top) if bare != Some(true) => Ok((Some(top.clone()), false)),
        Some(_) => Ok((None, true)),
        // Inside a git directory: bare unless the configuration says otherwise; never with a work tree.
        None => Ok((
            None,
            bare.unwrap_or_else(|| !found.git_dir.ends_with(b"/.git")),
        )),
    }
}

fn open_git2(found: &Found, work_tree: Option<&[u8]>) -> Res<git2::Repository> {
    let none: [&std::ffi::OsStr; 0] = [];
    let (path, flags) = match (&found.top, work_tree) {
        (Some(top), Some(_)) => (top, RepositoryOpenFlags::NO_SEARCH),
        _ => (
            &found.git_dir,
            RepositoryOpenFlags::NO_SEARCH
                | RepositoryOpenFlags::BARE
                | RepositoryOpenFlags::NO_DOTGIT,
        ),
    };
    match git2::Repository::open_ext(bytes::to_path(path), flags, none) {
        Ok(repo) => Ok(repo),
        Err(e) if e.code() == ErrorCode::Owner && !found.explicit => {
            let dir = found.top.as_ref().unwrap_or(&found.git_dir);
            let quoted = if dir
                .iter()
                .any(|c| !c.is_ascii_alphanumeric() && !b"/._-+@%,:=".contains(c))
            {
                crate::text::quote::shell(dir)
            } else {
                dir.clone()
            };
            Err(Stop::fatal(format!(
                "detected dubious ownership in repository at '{}'\n\
                 To add an exception for this directory, call:\n\n\tgit config --global --add safe.directory {}",
                lossy(dir),
                lossy(&quoted)
            )))
        }
        Err(e) => Err(e.into()),
    }
}
