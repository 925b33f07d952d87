//! Changes both sides of `A...B` have: `--cherry-pick`, `--cherry-mark`, `--cherry`.

use std::collections::HashMap;

use sha1::{Digest as _, Sha1};

use crate::compare::pair::Contents;
use crate::compare::rename;
use crate::compare::userdiff;
use crate::compare::xdiff::{self, Compare};
use crate::history::revwalk::Walker;
use crate::outcome::Res;
use crate::repository::id::Id;
use crate::repository::tree_diff;
use crate::work::attr::Attributes;

/// Marks the commits of a list whose change another commit on the other side has too.
pub(crate) fn mark(walker: &mut Walker<'_>, list: &[Id]) -> Res<()> {
    let sides: Vec<(Id, bool)> = list
        .iter()
        .filter_map(|id| walker.known(*id).map(|n| (*id, n.left)))
        .collect();
    let n_left = sides.iter().filter(|(_, left)| *left).count();
    let n_right = sides.len() - n_left;
    if n_left == 0 || n_right == 0 {
        return Ok(());
    }
    // The smaller side is remembered, the larger one looked up.
    let left_first = n_left < n_right;
    let mut known: HashMap<[u8; 20], Vec<Id>> = HashMap::new();
    for (id, _) in sides.iter().filter(|(_, left)| *left == left_first) {
        if let Some(print) = fingerprint(walker, *id)? {
            known.entry(print).or_default().push(*id);
        }
    }
    for (id, _) in sides.iter().filter(|(_, left)| *left != left_first) {
        let Some(print) = fingerprint(walker, *id)? else {
            continue;
        };
        if let Some(others) = known.get(&print) {
            for other in others.clone() {
                walker.node(other)?.patch_same = true;
            }
            walker.node(*id)?.patch_same = true;
        }
    }
    Ok(())
}

/// Returns a hash of what a commit changed, blanks and line numbers aside; `None` for a merge.
fn fingerprint(walker: &Walker<'_>, id: Id) -> Res<Option<[u8; 20]>> {
    let repo = walker.repo;
    let commit = repo.commit(id)?;
    let old = match commit.parents.as_slice() {
        [] => Id::ZERO,
        [only] => repo.commit(*only)?.tree,
        _ => return Ok(None),
    };
    let attributes = Attributes::load(repo, None)?;
    let contents = Contents::new(repo, &attributes, None);
    let pairs = tree_diff::changes(repo, old, commit.tree, &walker.walk.paths)?;
    let pairs = rename::detect(pairs, &contents, rename::RenameOptions::default())?;
    let mut hash = Sha1::new();
    let squeeze = |line: &[u8]| -> Vec<u8> {
        line.iter()
            .copied()
            .filter(|c| !c.is_ascii_whitespace())
            .collect()
    };
    for pair in &pairs {
        hash.update([pair.status]);
        hash.update(format!(" {:o} {:o} ", pair.old.mode, pair.new.mode));
        hash.update(squeeze(&pair.old.path));
        hash.update(b"\0");
        hash.update(squeeze(&pair.new.path));
        hash.update(b"\0");
        let (a, b) = (contents.get(&pair.old)?, contents.get(&pair.new)?);
        if userdiff::is_binary(&contents, &pair.old, &a)?
            || userdiff::is_binary(&contents, &pair.new, &b)?
        {
            hash.update(format!("{}{}", pair.old.id, pair.new.id));
            continue;
        }
        let (olds, news) = (xdiff::lines(&a), xdiff::lines(&b));
        let changes = xdiff::changes(&a, &b, Compare::default())?;
        for range in xdiff::hunks(&changes, 3, 0, olds.len(), news.len()) {
            let mut at = range.new.start;
            let mut put = |sign: u8, line: &[u8]| {
                hash.update([sign]);
                hash.update(squeeze(line));
            };
            for change in &changes[range.changes.clone()] {
                news[at..change.new].iter().for_each(|l| put(b' ', l));
                olds[change.old..change.old + change.n_old]
                    .iter()
                    .for_each(|l| put(b'-', l));
                at = change.new + change.n_new;
                news[change.new..at].iter().for_each(|l| put(b'+', l));
            }
            news[at..range.new.end].iter().for_each(|l| put(b' ', l));
        }
    }
    Ok(Some(hash.finalize().into()))
}
