//! Two sides of a file that differ: what every comparison makes and every printer takes.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::rc::Rc;

use crate::outcome::Res;
use crate::repository::id::Id;
use crate::repository::object::mode;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes};
use crate::work::attr::Attributes;
use crate::work::convert::Conversion;
use crate::work::index::Index;

/// One side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) path: Bytes,
    /// 0 when the file is not there.
    pub(crate) mode: u32,
    /// Zero when only the work tree knows the contents.
    pub(crate) id: Id,
    /// A submodule whose own work tree is changed.
    pub(crate) dirty: bool,
}

impl Side {
    /// A file that is not there.
    pub(crate) fn absent(path: &[u8]) -> Side {
        Side {
            path: path.to_vec(),
            ..Side::default()
        }
    }

    pub(crate) fn exists(&self) -> bool {
        self.mode != 0
    }

    /// Says whether the contents have to be read from the work tree.
    pub(crate) fn is_in_work_tree(&self) -> bool {
        self.exists() && self.id.is_zero()
    }
}

/// The similarity git calls 100 %.
pub(crate) const MAX_SCORE: u32 = 60_000;

/// A file that differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) old: Side,
    pub(crate) new: Side,
    /// git's letter: `A`, `C`, `D`, `M`, `R`, `T`, `U`.
    pub(crate) status: u8,
    /// Similarity of a rename or copy, up to [`MAX_SCORE`].
    pub(crate) score: u32,
}

impl Pair {
    /// Makes a pair from two sides of one path.
    pub(crate) fn new(old: Side, new: Side) -> Pair {
        let status = match (old.exists(), new.exists()) {
            (false, _) => b'A',
            (true, false) => b'D',
            (true, true) if mode::type_differs(old.mode, new.mode) => b'T',
            (true, true) => b'M',
        };
        Pair {
            old,
            new,
            status,
            score: 0,
        }
    }

    /// Makes the pair of a path with conflicts.
    pub(crate) fn unmerged(path: &[u8]) -> Pair {
        Pair {
            old: Side::absent(path),
            new: Side::absent(path),
            status: b'U',
            score: 0,
        }
    }

    /// The path the pair is listed under.
    pub(crate) fn path(&self) -> &[u8] {
        if self.new.exists() {
            &self.new.path
        } else {
            &self.old.path
        }
    }

    /// Turns the pair around, as `-R` does.
    pub(crate) fn reverse(self) -> Pair {
        if self.status == b'U' {
            return self;
        }
        Pair::new(self.new, self.old)
    }

    /// Similarity in percent.
    pub(crate) fn percent(&self) -> u32 {
        self.score * 100 / MAX_SCORE
    }

    pub(crate) fn is_rename_or_copy(&self) -> bool {
        matches!(self.status, b'R' | b'C')
    }
}

/// How many bytes are kept, and the contents by id or, in the work tree, by path.
type Kept = (usize, HashMap<(Id, Bytes), Rc<[u8]>>);

/// Reads the contents of sides, and remembers the last ones.
pub(crate) struct Contents<'r> {
    pub(crate) repo: &'r Repo<'r>,
    pub(crate) attributes: &'r Attributes<'r>,
    pub(crate) index: Option<&'r Index>,
    kept: RefCell<Kept>,
}

/// How many bytes of contents are remembered between looks at the same file.
const MAX_KEPT: usize = 64 << 20;

impl<'r> Contents<'r> {
    pub(crate) fn new(
        repo: &'r Repo<'r>,
        attributes: &'r Attributes<'r>,
        index: Option<&'r Index>,
    ) -> Contents<'r> {
        Contents {
            repo,
            attributes,
            index,
            kept: RefCell::default(),
        }
    }

    /// Returns what is (or would be) stored for a side; an absent one is empty.
    pub(crate) fn get(&self, side: &Side) -> Res<Rc<[u8]>> {
        if !side.exists() {
            return Ok(Rc::from(&b""[..]));
        }
        if mode::is_commit(side.mode) {
            let dirty = if side.dirty { "-dirty" } else { "" };
            return Ok(Rc::from(
                format!("Subproject commit {}{dirty}\n", side.id).into_bytes(),
            ));
        }
        let path = if side.id.is_zero() {
            side.path.clone()
        } else {
            Bytes::new()
        };
        let key = (side.id, path);
        if let Some(data) = self.kept.borrow().1.get(&key) {
            return Ok(Rc::clone(data));
        }
        let data: Rc<[u8]> = if side.id.is_zero() {
            Rc::from(self.read_work_tree(side)?)
        } else {
            Rc::from(self.repo.blob(side.id)?)
        };
        let mut kept = self.kept.borrow_mut();
        if kept.0 + data.len() > MAX_KEPT {
            kept.1.clear();
            kept.0 = 0;
        }
        kept.0 += data.len();
        kept.1.insert(key, Rc::clone(&data));
        Ok(data)
    }

    fn read_work_tree(&self, side: &Side) -> Res<Bytes> {
        let full = bytes::to_path(&bytes::join(self.repo.need_work_tree()?, &side.path));
        if mode::is_link(side.mode) {
            return Ok(bytes::from_path(&fs::read_link(full)?));
        }
        let data = fs::read(full)?;
        let conversion = Conversion::of(self.repo, self.attributes, &side.path)?;
        Ok(conversion
            .to_git(self.repo, self.index, &side.path, Cow::Owned(data))?
            .into_owned())
    }

    /// Returns the id a side has or would have.
    pub(crate) fn id(&self, side: &Side) -> Res<Id> {
        if !side.is_in_work_tree() {
            return Ok(side.id);
        }
        let data = self.get(side)?;
        Ok(Id::of_blob(&data)?)
    }
}
