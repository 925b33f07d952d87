//! `-S`, `-G` and `--find-object`: only the files in which something turns up or goes away.

use crate::compare::diff_options::DiffOptions;
use crate::compare::pair::{Contents, Pair};
use crate::compare::userdiff;
use crate::compare::xdiff;
use crate::outcome::Res;
use crate::repository::id::Id;
use crate::text::bytes::Bytes;
use crate::text::regexes::{self, Dialect};

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pickaxe {
    /// `-S`: the number of occurrences differs.
    pub(crate) text: Option<Bytes>,
    /// `-G`: an added or removed line matches.
    pub(crate) lines: Option<Bytes>,
    pub(crate) objects: Vec<Id>,
    pub(crate) is_regex: bool,
    pub(crate) ignore_case: bool,
    /// Where one file is found, all of the commit are shown.
    pub(crate) all: bool,
    pattern: Option<regex::bytes::Regex>,
}

impl Pickaxe {
    /// Prepares the pattern.
    pub(crate) fn compile(&mut self) -> Res<()> {
        let (text, dialect) = match (&self.text, &self.lines) {
            (_, Some(lines)) => (lines, Dialect::Extended),
            (Some(text), None) if self.is_regex => (text, Dialect::Extended),
            (Some(text), None) => (text, Dialect::Fixed),
            (None, None) => return Ok(()),
        };
        self.pattern = Some(regexes::compile(text, dialect, self.ignore_case)?);
        Ok(())
    }

    /// Keeps the pairs in which something was found.
    pub(crate) fn select(
        &self,
        pairs: Vec<Pair>,
        contents: &Contents<'_>,
        options: &DiffOptions,
    ) -> Res<Vec<Pair>> {
        let mut kept = Vec::new();
        for pair in &pairs {
            contents.repo.cancel().check()?;
            if self.finds(pair, contents, options)? {
                if self.all {
                    return Ok(pairs);
                }
                kept.push(pair.clone());
            }
        }
        Ok(kept)
    }

    fn finds(&self, pair: &Pair, contents: &Contents<'_>, options: &DiffOptions) -> Res<bool> {
        if !self.objects.is_empty() {
            return Ok(self.objects.iter().any(|id| {
                pair.old.exists() && pair.old.id == *id || pair.new.exists() && pair.new.id == *id
            }));
        }
        if pair.status == b'U' {
            return Ok(false);
        }
        let Some(pattern) = &self.pattern else {
            return Ok(false);
        };
        let unchanged = pair.old.id == pair.new.id && pair.old.mode == pair.new.mode;
        if unchanged && !pair.old.id.is_zero() || self.text.as_deref() == Some(b"") {
            return Ok(false);
        }
        userdiff::refuse_programs(contents, pair.path())?;
        let (old, new) = (contents.get(&pair.old)?, contents.get(&pair.new)?);
        if self.lines.is_none() {
            let count = |data: &[u8]| pattern.find_iter(data).filter(|m| !m.is_empty()).count();
            return Ok(count(&old) != count(&new));
        }
        let binary = !options.text
            && (pair.old.exists() && userdiff::is_binary(contents, &pair.old, &old)?
                || pair.new.exists() && userdiff::is_binary(contents, &pair.new, &new)?);
        if binary {
            return Ok(false);
        }
        let hit = |line: &&[u8]| pattern.is_match(line.strip_suffix(b"\n").unwrap_or(line));
        let (olds, news) = (xdiff::lines(&old), xdiff::lines(&new));
        for change in xdiff::changes(&old, &new, options.compare)? {
            if olds[change.old..change.old + change.n_old].iter().any(hit)
                || news[change.new..change.new + change.n_new].iter().any(hit)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
