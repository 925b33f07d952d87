//! References: reading, listing, shortening.

use git2::ErrorCode;

use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy};

/// One reference, resolved.
#[derive(Debug, Clone)]
pub(crate) struct Ref {
    /// The full name.
    pub(crate) name: Bytes,
    pub(crate) id: Id,
    /// What a symbolic reference points at.
    pub(crate) symref: Option<Bytes>,
}

/// Where HEAD is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    /// The full name of the branch; `None` when detached.
    pub(crate) branch: Option<Bytes>,
    /// The commit; `None` before the first.
    pub(crate) id: Option<Id>,
}

impl Head {
    /// Returns the branch without `refs/heads/`.
    pub(crate) fn short_branch(&self) -> Option<&[u8]> {
        let name = self.branch.as_deref()?;
        Some(name.strip_prefix(b"refs/heads/").unwrap_or(name))
    }
}

impl Repo<'_> {
    /// Reads HEAD.
    pub(crate) fn head(&self) -> Res<Head> {
        self.head_of("HEAD")
    }

    fn head_of(&self, name: &str) -> Res<Head> {
        if let Some(tables) = &self.tables {
            let name = name.as_bytes();
            return Ok(Head {
                branch: tables.symref(name),
                id: tables.resolve(name),
            });
        }
        let text = self.git_file(name).unwrap_or_default();
        let text = text.trim_ascii_end();
        match text.strip_prefix(b"ref:") {
            Some(target) => {
                let target = target.trim_ascii_start().to_vec();
                Ok(Head {
                    id: self.ref_id(&target)?,
                    branch: Some(target),
                })
            }
            None if text.is_empty() => Ok(Head {
                branch: self.symref(name.as_bytes())?,
                id: self.ref_id(name.as_bytes())?,
            }),
            None => Ok(Head {
                branch: None,
                id: Id::parse_start(text),
            }),
        }
    }

    /// Returns what a full reference name leads to.
    pub(crate) fn ref_id(&self, name: &[u8]) -> Res<Option<Id>> {
        if let Some(tables) = &self.tables {
            return match tables.resolve(name) {
                Some(id) => Ok(Some(id)),
                None => self.pseudo_ref(&lossy(name)),
            };
        }
        let Ok(name) = std::str::from_utf8(name) else {
            return self.odd_ref(name);
        };
        match self.git.refname_to_id(name) {
            Ok(oid) => Ok(Some(oid.into())),
            Err(e) if matches!(e.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {
                self.pseudo_ref(name)
            }
            Err(e) => Err(e.into()),
        }
    }

    /// References whose names are not UTF-8 are found by listing.
    fn odd_ref(&self, name: &[u8]) -> Res<Option<Id>> {
        Ok(self
            .refs(b"refs/")?
            .into_iter()
            .find(|r| r.name == name)
            .map(|r| r.id))
    }

    /// Files like `FETCH_HEAD` begin with an id; libgit2 wants nothing else in them.
    fn pseudo_ref(&self, name: &str) -> Res<Option<Id>> {
        if name.contains('/') || !name.ends_with("HEAD") {
            return Ok(None);
        }
        Ok(self.git_file(name).and_then(|text| Id::parse_start(&text)))
    }

    /// Returns what a symbolic reference points at; `None` for a direct or missing one.
    pub(crate) fn symref(&self, name: &[u8]) -> Res<Option<Bytes>> {
        if let Some(tables) = &self.tables {
            return Ok(tables.symref(name));
        }
        let Ok(name) = std::str::from_utf8(name) else {
            return Ok(None);
        };
        match self.git.find_reference(name) {
            Ok(r) => Ok(r.symbolic_target_bytes().map(<[u8]>::to_vec)),
            Err(e) if matches!(e.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Lists the references whose names begin with `prefix`, sorted; broken ones are left out.
    pub(crate) fn refs(&self, prefix: &[u8]) -> Res<Vec<Ref>> {
        if let Some(tables) = &self.tables {
            return Ok(tables.list(prefix));
        }
        let mut list = Vec::new();
        for reference in self.git.references()? {
            self.cancel().check()?;
            let reference = reference?;
            let name = reference.name_bytes();
            if !name.starts_with(prefix) {
                continue;
            }
            if !is_valid_short_name(name) {
                return Err(Stop::not_native("a reference with a broken name"));
            }
            let symref = reference.symbolic_target_bytes().map(<[u8]>::to_vec);
            let id = match reference.target() {
                Some(oid) => Some(oid.into()),
                None => match &symref {
                    Some(target) => self.ref_id(target)?,
                    None => None,
                },
            };
            if id.is_some_and(Id::is_zero) {
                return Err(Stop::not_native("a broken reference"));
            }
            if let Some(id) = id {
                list.push(Ref {
                    name: name.to_vec(),
                    id,
                    symref,
                });
            }
        }
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    /// Hands over when a file that should hold a reference holds none: git warns of it, libgit2 leaves it out.
    pub(crate) fn refuse_broken_refs(&self) -> Res<()> {
        if self.tables.is_some() {
            return Ok(());
        }
        let mut dirs = vec![bytes::to_path(&bytes::join(&self.common_dir, b"refs"))];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                if kind.is_dir() {
                    dirs.push(entry.path());
                } else if kind.is_file() {
                    let text = std::fs::read(entry.path()).unwrap_or_default();
                    let is_lock = entry.path().extension().is_some_and(|e| e == "lock");
                    let is_ref = text.starts_with(b"ref:") || Id::parse_start(&text).is_some();
                    if !is_ref && !is_lock {
                        return Err(Stop::not_native("a broken reference"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the shortest name that still means this reference, as `%(refname:short)` does.
    pub(crate) fn shorten(&self, name: &[u8], strict: bool) -> Res<Bytes> {
        // From the last rule to the first; the first rule is the full name itself.
        for (i, (prefix, suffix)) in RULES.iter().enumerate().skip(1).rev() {
            let Some(short) = name
                .strip_prefix(*prefix)
                .and_then(|n| n.strip_suffix(*suffix))
            else {
                continue;
            };
            if short.is_empty() {
                continue;
            }
            let others = if strict { RULES.len() } else { i };
            let mut ambiguous = false;
            for (j, (p, s)) in RULES.iter().enumerate().take(others) {
                if i != j && self.ref_id(&[p, short, s].concat())?.is_some() {
                    ambiguous = true;
                    break;
                }
            }
            if !ambiguous {
                return Ok(short.to_vec());
            }
        }
        Ok(name.to_vec())
    }

    /// Finds what a short name means: the full names that exist, in order of precedence.
    pub(crate) fn dwim(&self, short: &[u8]) -> Res<Vec<(Bytes, Id)>> {
        let mut found = Vec::new();
        if !is_valid_short_name(short) {
            return Ok(found);
        }
        if short.starts_with(b"main-worktree/")
            || short.starts_with(b"worktrees/") && short != b"worktrees/"
        {
            return Err(Stop::not_native("a reference of another work tree"));
        }
        for (prefix, suffix) in RULES {
            let name = [prefix, short, suffix].concat();
            if let Some(id) = self.ref_id(&name)? {
                found.push((name, id));
            }
        }
        Ok(found)
    }

    /// Returns the upstream of a branch given by its full name: the full name of the tracking reference.
    ///
    /// `None` when none is configured. The reference need not exist.
    pub(crate) fn upstream(&self, branch: &[u8]) -> Res<Option<Bytes>> {
        let Some(short) = branch.strip_prefix(b"refs/heads/") else {
            return Ok(None);
        };
        let key = |name: &str| [b"branch.", short, b".", name.as_bytes()].concat();
        let Some(remote) = self.config.get_bytes(&key("remote")) else {
            return Ok(None);
        };
        let Some(merge) = self.config.get_bytes(&key("merge")) else {
            return Ok(None);
        };
        if remote == b"." {
            // A branch of this repository may be given by its short name.
            return Ok(match self.dwim(merge)?.as_slice() {
                [(full, _)] => Some(full.clone()),
                _ => Some(merge.to_vec()),
            });
        }
        let specs = [b"remote.", remote, b".fetch"].concat();
        for spec in self.config.get_all(&specs) {
            if let Some(tracking) = map_refspec(spec, merge) {
                return Ok(Some(tracking));
            }
        }
        Ok(None)
    }

    /// Returns the tracking reference of what `@{push}` of a branch means, or ends with git's error.
    pub(crate) fn push_target(&self, base: &[u8]) -> Res<Bytes> {
        let branch = if base.is_empty() || base == b"@" || base == b"HEAD" {
            match self.head()?.branch {
                Some(branch) => branch,
                None => return Err(Stop::fatal("HEAD does not point to a branch")),
            }
        } else {
            [b"refs/heads/", base].concat()
        };
        let short = branch
            .strip_prefix(b"refs/heads/")
            .unwrap_or(&branch)
            .to_vec();
        let shown = lossy(&short).into_owned();
        if self.ref_id(&branch)?.is_none() && !base.is_empty() {
            return Err(Stop::fatal(format!("no such branch: '{shown}'")));
        }
        let key = |name: &str| [b"branch.", short.as_slice(), b".", name.as_bytes()].concat();
        let remote = self
            .config
            .get_bytes(&key("pushremote"))
            .or(self.config.get("remote.pushdefault"))
            .or(self.config.get_bytes(&key("remote")))
            .unwrap_or(b"origin");
        let of_remote = |name: &str| [b"remote.", remote, b".", name.as_bytes()].concat();
        if self.config.get_bytes(&of_remote("push")).is_some()
            || self.config.get_bytes(&of_remote("mirror")).is_some()
        {
            return Err(Stop::not_native("a remote with its own way of pushing"));
        }
        let tracking = || {
            self.config
                .get_all(&of_remote("fetch"))
                .find_map(|spec| map_refspec(spec, &branch))
        };
        let no_remote = || {
            Stop::fatal(format!(
                "push destination 'refs/heads/{shown}' on remote '{}' has no local tracking branch",
                lossy(remote)
            ))
        };
        let upstream = || -> Res<Bytes> {
            self.upstream(&branch)?
                .ok_or_else(|| Stop::fatal(format!("no upstream configured for branch '{shown}'")))
        };
        match self.config.get("push.default") {
            Some(b"nothing") => Err(Stop::fatal(
                "push has no destination (push.default is 'nothing')",
            )),
            Some(b"matching" | b"current") => tracking().ok_or_else(no_remote),
            Some(b"upstream" | b"tracking") => upstream(),
            None | Some(b"simple") => {
                let upstream = upstream()?;
                let tracking = tracking().ok_or_else(no_remote)?;
                if tracking != upstream {
                    return Err(Stop::fatal(
                        "cannot resolve 'simple' push to a single destination",
                    ));
                }
                Ok(tracking)
            }
            Some(_) => Err(Stop::not_native("a bad value of push.default")),
        }
    }

    /// Returns the reference in which a remote's branch, given by its full name there, is kept.
    pub(crate) fn tracking_reference(&self, remote: &[u8], branch: &[u8]) -> Option<Bytes> {
        let specs = [b"remote.", remote, b".fetch"].concat();
        self.config
            .get_all(&specs)
            .find_map(|spec| map_refspec(spec, branch))
    }

    /// Lists the remotes that keep a copy of one of their branches in a reference, with the full name of that branch.
    pub(crate) fn remotes_tracking(&self, reference: &[u8]) -> Vec<(Bytes, Bytes)> {
        let mut found = Vec::new();
        for remote in self.config.subsections("remote") {
            let specs = [b"remote.", remote.as_slice(), b".fetch"].concat();
            for spec in self.config.get_all(&specs) {
                let spec = spec.strip_prefix(b"+").unwrap_or(spec);
                let Some((source, target)) = bytes::split_once(spec, b':') else {
                    continue;
                };
                let turned = [target, b":", source].concat();
                if let Some(branch) = map_refspec(&turned, reference) {
                    found.push((remote.clone(), branch));
                    break;
                }
            }
        }
        found
    }

    /// Counts the commits only one side has.
    pub(crate) fn ahead_behind(&self, ours: Id, theirs: Id) -> Res<(usize, usize)> {
        if ours == theirs {
            return Ok((0, 0));
        }
        Ok(self.graph()?.graph_ahead_behind(ours.oid(), theirs.oid())?)
    }
}

/// How a short name becomes a full one, in order of precedence.
pub(crate) const RULES: [(&[u8], &[u8]); 6] = [
    (b"", b""),
    (b"refs/", b""),
    (b"refs/tags/", b""),
    (b"refs/heads/", b""),
    (b"refs/remotes/", b""),
    (b"refs/remotes/", b"/HEAD"),
];

/// Maps a name through a fetch refspec.
fn map_refspec(spec: &[u8], name: &[u8]) -> Option<Bytes> {
    let spec = spec.strip_prefix(b"+").unwrap_or(spec);
    if spec.starts_with(b"^") {
        return None;
    }
    let (source, target) = bytes::split_once(spec, b':')?;
    match source.iter().position(|b| *b == b'*') {
        None => (source == name).then(|| target.to_vec()),
        Some(star) => {
            let middle = name
                .strip_prefix(&source[..star])?
                .strip_suffix(&source[star + 1..])?;
            let (before, after) = bytes::split_once(target, b'*')?;
            Some([before, middle, after].concat())
        }
    }
}

/// Says whether a text can be (part of) a reference name.
pub(crate) fn is_valid_short_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name != b"@"
        && !name.starts_with(b"/")
        && !name.ends_with(b"/")
        && !name.ends_with(b".")
        && !name
            .iter()
            .any(|c| *c <= 0x20 || *c == 0x7f || b"~^:?*[\\".contains(c))
        && bytes::find(name, b"..").is_none()
        && bytes::find(name, b"@{").is_none()
        && bytes::find(name, b"//").is_none()
        && name
            .split(|b| *b == b'/')
            .all(|part| !part.starts_with(b".") && !part.ends_with(b".lock"))
}
