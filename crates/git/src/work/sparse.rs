//! Sparse checkouts: which paths are in the work tree, by the patterns of `info/sparse-checkout`.

use std::fs;

use crate::outcome::{Res, Stop};
use crate::repository::object::mode;
use crate::repository::repo::Repo;
use crate::text::bytes;
use crate::work::ignore::{self, Rule};
use crate::work::index::Index;

/// The patterns, where the checkout is sparse.
pub(crate) struct Sparse {
    rules: Option<Vec<Rule>>,
}

impl Sparse {
    /// Reads the patterns.
    pub(crate) fn load(repo: &Repo<'_>) -> Res<Sparse> {
        if repo.config.bool("core.sparsecheckout")? != Some(true) {
            return Ok(Sparse { rules: None });
        }
        if repo.config.bool("core.ignorecase")? == Some(true) {
            return Err(Stop::not_native(
                "a sparse work tree without regard to case",
            ));
        }
        let file = repo.git_path("info/sparse-checkout");
        if !bytes::to_path(&file).is_file() {
            return Ok(Sparse { rules: None });
        }
        Ok(Sparse {
            rules: Some(ignore::read(&file, b"", b"")),
        })
    }

    /// Says whether anything is left out.
    pub(crate) fn is_on(&self) -> bool {
        self.rules.is_some()
    }

    /// Says whether a file belongs into the work tree: the last pattern that means it or a directory above decides.
    pub(crate) fn includes(&self, path: &[u8]) -> bool {
        let Some(rules) = &self.rules else {
            return true;
        };
        let mut part = path;
        let mut is_directory = false;
        loop {
            let mut from_last = rules.iter().rev();
            if let Some(rule) = from_last.find(|r| r.pattern.matches(part, is_directory, 0)) {
                return !rule.pattern.negative;
            }
            match part.iter().rposition(|b| *b == b'/') {
                Some(slash) => part = &part[..slash],
                None => return false,
            }
            is_directory = true;
        }
    }

    /// Hands over when the index is not what the patterns say, or a file is there that should not be.
    pub(crate) fn refuse_inconsistent(&self, repo: &Repo<'_>, index: &Index) -> Res<()> {
        let (Some(_), Some(top)) = (&self.rules, &repo.work_tree) else {
            return Ok(());
        };
        for entry in &index.entries {
            let path = index.path(entry);
            let included = self.includes(path);
            let there = || fs::symlink_metadata(bytes::to_path(&bytes::join(top, path))).is_ok();
            let usual = entry.stage == 0 && !entry.intent_to_add && !mode::is_commit(entry.mode);
            if entry.skip_worktree == included || !included && (!usual || there()) {
                return Err(Stop::not_native(
                    "a sparse work tree that is not as its patterns say",
                ));
            }
        }
        Ok(())
    }
}
