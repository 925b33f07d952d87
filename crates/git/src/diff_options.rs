//! The options `diff`, `log` and `show` share: what is compared how, and in which forms it is printed.

use crate::bytes::{Bytes, lossy, parse_int};
use crate::options::{Parsed, Spec, flag, maybe, value};
use crate::outcome::{Res, Stop};
use crate::rename::RenameOptions;
use crate::repo::Repo;
use crate::status::parse_score;
use crate::xdiff::Compare;

/// The table of shared options.
pub(crate) const OPTIONS: &[Spec] = &[
    flag("patch", Some(b'p')),
    flag("", Some(b'u')),
    flag("no-patch", Some(b's')),
    value("unified", Some(b'U')),
    flag("raw", None),
    maybe("stat", None),
    value("stat-width", None),
    value("stat-name-width", None),
    value("stat-graph-width", None),
    value("stat-count", None),
    flag("numstat", None),
    flag("shortstat", None),
    flag("summary", None),
    flag("compact-summary", None),
    flag("name-only", None),
    flag("name-status", None),
    flag("patch-with-stat", None),
    flag("patch-with-raw", None),
    flag("null", None),
    flag("zero", Some(b'z')),
    flag("full-index", None),
    maybe("abbrev", None).or_no(),
    maybe("find-renames", Some(b'M')),
    maybe("find-copies", Some(b'C')),
    flag("renames", None).or_no(),
    flag("reverse-sides", Some(b'R')),
    flag("text", Some(b'a')),
    flag("ignore-all-space", Some(b'w')),
    flag("ignore-space-change", Some(b'b')),
    flag("ignore-space-at-eol", None),
    flag("minimal", None),
    flag("patience", None),
    value("diff-algorithm", None),
    flag("indent-heuristic", None).or_no(),
    value("inter-hunk-context", None),
    value("diff-filter", None),
    value("src-prefix", None),
    value("dst-prefix", None),
    flag("no-prefix", None),
    flag("default-prefix", None),
    flag("exit-code", None),
    flag("quiet", None),
    flag("no-color", None),
    value("color", None),
    flag("no-ext-diff", None),
    flag("no-textconv", None),
    maybe("submodule", None),
    flag("no-color-moved", None),
    flag("binary", None),
    value("rename-limit", Some(b'l')),
];

/// The forms of output, printed in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Forms {
    pub(crate) raw: bool,
    pub(crate) name_only: bool,
    pub(crate) name_status: bool,
    pub(crate) numstat: bool,
    pub(crate) stat: bool,
    pub(crate) shortstat: bool,
    pub(crate) summary: bool,
    pub(crate) patch: bool,
    /// Asked for nothing with `-s`.
    pub(crate) none: bool,
}

impl Forms {
    pub(crate) fn any(self) -> bool {
        Forms {
            none: false,
            ..self
        } != Forms::default()
    }
}

/// Everything the printers need to know.
#[derive(Debug, Clone)]
pub(crate) struct DiffOptions {
    pub(crate) forms: Forms,
    pub(crate) context: usize,
    pub(crate) between: usize,
    pub(crate) compare: Compare,
    pub(crate) renames: Option<RenameOptions>,
    pub(crate) reverse: bool,
    pub(crate) text: bool,
    pub(crate) nul: bool,
    pub(crate) full_index: bool,
    /// Digits of ids; `None` is the repository's default.
    pub(crate) abbrev: Option<usize>,
    /// Letters shown, or (with `false`) not shown.
    pub(crate) filter: Option<Filter>,
    pub(crate) prefixes: Option<(Bytes, Bytes)>,
    pub(crate) mnemonic: bool,
    pub(crate) exit_code: bool,
    pub(crate) quiet: bool,
    pub(crate) stat: StatWidths,
    pub(crate) compact_summary: bool,
    pub(crate) suppress_blank_empty: bool,
    pub(crate) quote: bool,
}

/// `--diff-filter`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) include: Bytes,
    pub(crate) exclude: Bytes,
    pub(crate) all_or_none: bool,
}

/// Widths of `--stat`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StatWidths {
    pub(crate) width: usize,
    pub(crate) name: Option<usize>,
    pub(crate) graph: Option<usize>,
    pub(crate) count: Option<usize>,
}

impl DiffOptions {
    /// Reads configuration and command line.
    pub(crate) fn new(repo: &Repo<'_>, parsed: &Parsed) -> Res<DiffOptions> {
        let config = &repo.config;
        refuse_settings(repo)?;
        let columns = repo
            .call
            .var("COLUMNS")
            .and_then(|v| parse_int(&v))
            .filter(|n| *n > 0);
        let size = |key: &str| -> Res<Option<usize>> {
            Ok(config.int(key)?.and_then(|n| usize::try_from(n).ok()))
        };
        let mut options = DiffOptions {
            forms: Forms::default(),
            context: size("diff.context")?.unwrap_or(3),
            between: size("diff.interhunkcontext")?.unwrap_or(0),
            compare: Compare {
                no_indent_heuristic: config.bool("diff.indentheuristic")? == Some(false),
                ..Compare::default()
            },
            renames: Some(RenameOptions::default()),
            reverse: false,
            text: false,
            nul: false,
            full_index: false,
            abbrev: None,
            filter: None,
            prefixes: None,
            mnemonic: config.bool("diff.mnemonicprefix")?.unwrap_or(false),
            exit_code: false,
            quiet: false,
            stat: StatWidths {
                width: columns.and_then(|n| usize::try_from(n).ok()).unwrap_or(80),
                name: size("diff.statnamewidth")?,
                graph: size("diff.statgraphwidth")?,
                count: None,
            },
            compact_summary: false,
            suppress_blank_empty: config.bool("diff.suppressblankempty")?.unwrap_or(false),
            quote: repo.quote_path()?,
        };
        if let Some(algorithm) = config.get("diff.algorithm") {
            options.set_algorithm(algorithm)?;
        }
        options.set_renames_by_config(repo)?;
        if config.bool("diff.noprefix")?.unwrap_or(false) {
            options.prefixes = Some(Default::default());
        } else if !options.mnemonic
            && (config.get("diff.srcprefix").is_some() || config.get("diff.dstprefix").is_some())
        {
            let text = |key: &str, default: &[u8]| config.get(key).unwrap_or(default).to_vec();
            options.prefixes = Some((text("diff.srcprefix", b"a/"), text("diff.dstprefix", b"b/")));
        }
        for given in &parsed.options {
            options.set(given.name, given.value.as_deref(), given.negated)?;
        }
        Ok(options)
    }

    fn set_renames_by_config(&mut self, repo: &Repo<'_>) -> Res<()> {
        let mut renames = RenameOptions::default();
        if let Some(limit) = repo.config.int("diff.renamelimit")? {
            renames.limit = usize::try_from(limit).unwrap_or(0);
        }
        self.renames = Some(renames);
        match repo.config.get("diff.renames") {
            None => {}
            Some(b"copies" | b"copy") => {
                self.renames = Some(RenameOptions {
                    copies: true,
                    ..renames
                })
            }
            Some(value) => match crate::config::parse_bool(value) {
                Some(true) => {}
                Some(false) => self.renames = None,
                None => return Err(Stop::not_native("a bad value of diff.renames")),
            },
        }
        Ok(())
    }

    fn set_algorithm(&mut self, name: &[u8]) -> Res<()> {
        self.compare.minimal = false;
        self.compare.patience = false;
        match name.to_ascii_lowercase().as_slice() {
            b"myers" | b"default" => {}
            b"minimal" => self.compare.minimal = true,
            b"patience" => self.compare.patience = true,
            other => {
                return Err(Stop::NotNative(format!(
                    "the diff algorithm `{}`",
                    lossy(other)
                )));
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: Option<&[u8]>, negated: bool) -> Res<()> {
        let number = || -> Res<usize> {
            value
                .and_then(parse_int)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| Stop::NotNative(format!("the value of `--{name}`")))
        };
        let score = || match value {
            None => Ok(RenameOptions::default().minimum),
            Some(text) => {
                parse_score(text).ok_or_else(|| Stop::NotNative(format!("the value of `--{name}`")))
            }
        };
        let forms = &mut self.forms;
        let shows = !matches!(
            name,
            "patch"
                | ""
                | "raw"
                | "stat"
                | "numstat"
                | "shortstat"
                | "summary"
                | "name-only"
                | "name-status"
                | "unified"
                | "patch-with-stat"
                | "patch-with-raw"
                | "compact-summary"
        );
        if !shows {
            forms.none = false;
        }
        match name {
            "patch" | "" => forms.patch = true,
            "unified" => {
                forms.patch = true;
                self.context = number()?;
            }
            "no-patch" => {
                *forms = Forms {
                    none: true,
                    ..Forms::default()
                }
            }
            "raw" => forms.raw = true,
            "stat" => {
                forms.stat = true;
                if let Some(text) = value {
                    self.set_stat(text)?;
                }
            }
            "stat-width" => {
                forms.stat = true;
                self.stat.width = number()?;
            }
            "stat-name-width" => {
                forms.stat = true;
                self.stat.name = Some(number()?);
            }
            "stat-graph-width" => {
                forms.stat = true;
                self.stat.graph = Some(number()?);
            }
            "stat-count" => {
                forms.stat = true;
                self.stat.count = Some(number()?);
            }
            "numstat" => forms.numstat = true,
            "shortstat" => forms.shortstat = true,
            "summary" => forms.summary = true,
            "compact-summary" => {
                forms.stat = true;
                self.compact_summary = true;
            }
            "name-only" => forms.name_only = true,
            "name-status" => forms.name_status = true,
            "patch-with-stat" => (forms.patch, forms.stat) = (true, true),
            "patch-with-raw" => (forms.patch, forms.raw) = (true, true),
            "zero" => self.nul = true,
            "full-index" => self.full_index = true,
            "abbrev" if negated => self.abbrev = Some(40),
            "abbrev" => {
                self.abbrev = match value {
                    None => None,
                    Some(_) => Some(number()?.clamp(4, 40)),
                }
            }
            "find-renames" => {
                let minimum = score()?;
                let renames = self.renames.get_or_insert_default();
                renames.minimum = minimum;
                renames.copies = false;
            }
            "find-copies" => {
                let minimum = score()?;
                let renames = self.renames.get_or_insert_default();
                if renames.copies {
                    return Err(Stop::not_native("copies from unchanged files"));
                }
                renames.minimum = minimum;
                renames.copies = true;
            }
            "renames" if negated => self.renames = None,
            "renames" => {
                self.renames.get_or_insert_default();
            }
            "rename-limit" => {
                let limit = number()?;
                if let Some(renames) = &mut self.renames {
                    renames.limit = limit;
                }
            }
            "reverse-sides" => self.reverse = true,
            "text" => self.text = true,
            "ignore-all-space" => self.compare.ignore_all_space = true,
            "ignore-space-change" => self.compare.ignore_space_change = true,
            "ignore-space-at-eol" => self.compare.ignore_space_at_eol = true,
            "minimal" => self.set_algorithm(b"minimal")?,
            "patience" => self.set_algorithm(b"patience")?,
            "diff-algorithm" => self.set_algorithm(value.unwrap_or_default())?,
            "indent-heuristic" => self.compare.no_indent_heuristic = negated,
            "inter-hunk-context" => self.between = number()?,
            "diff-filter" => self.filter = Some(Filter::parse(value.unwrap_or_default())?),
            "src-prefix" => {
                self.prefixes.get_or_insert_with(default_prefixes).0 =
                    value.unwrap_or_default().to_vec()
            }
            "dst-prefix" => {
                self.prefixes.get_or_insert_with(default_prefixes).1 =
                    value.unwrap_or_default().to_vec()
            }
            "no-prefix" => self.prefixes = Some(Default::default()),
            "default-prefix" => {
                self.prefixes = Some(default_prefixes());
                self.mnemonic = false;
            }
            "exit-code" => self.exit_code = true,
            "quiet" => (self.quiet, self.exit_code) = (true, true),
            "color" if !matches!(value, Some(b"never" | b"auto" | b"false")) => {
                return Err(Stop::not_native("coloured output"));
            }
            "submodule" if !matches!(value, Some(b"short")) => {
                return Err(Stop::not_native("option `--submodule`"));
            }
            "binary" => return Err(Stop::not_native("option `--binary`")),
            _ => {}
        }
        Ok(())
    }

    /// `--stat=<width>[,<name width>[,<count>]]`.
    fn set_stat(&mut self, text: &[u8]) -> Res<()> {
        for (i, part) in text.split(|b| *b == b',').enumerate() {
            let number = parse_int(part).and_then(|n| usize::try_from(n).ok());
            let number = number.ok_or_else(|| Stop::not_native("the value of `--stat`"))?;
            match i {
                0 => self.stat.width = if number == 0 { 80 } else { number },
                1 => self.stat.name = Some(number),
                2 => self.stat.count = Some(number),
                _ => return Err(Stop::not_native("the value of `--stat`")),
            }
        }
        Ok(())
    }

    /// Returns the prefixes of old and new names; `left` and `right` are git's letters for where they come from.
    pub(crate) fn prefixes(&self, left: &[u8], right: &[u8]) -> (Bytes, Bytes) {
        let (old, new) = match &self.prefixes {
            Some(prefixes) => prefixes.clone(),
            None if self.mnemonic => (left.to_vec(), right.to_vec()),
            None => default_prefixes(),
        };
        if self.reverse { (new, old) } else { (old, new) }
    }
}

fn default_prefixes() -> (Bytes, Bytes) {
    (b"a/".to_vec(), b"b/".to_vec())
}

impl Filter {
    fn parse(text: &[u8]) -> Res<Filter> {
        let mut filter = Filter::default();
        for &c in text {
            match c {
                b'*' => filter.all_or_none = true,
                b'A' | b'C' | b'D' | b'M' | b'R' | b'T' | b'U' | b'X' => filter.include.push(c),
                b'a' | b'c' | b'd' | b'm' | b'r' | b't' | b'u' | b'x' => {
                    filter.exclude.push(c.to_ascii_uppercase())
                }
                _ => return Err(Stop::not_native("the value of `--diff-filter`")),
            }
        }
        Ok(filter)
    }

    /// Says whether a status letter is shown.
    pub(crate) fn shows(&self, status: u8) -> bool {
        if self.exclude.contains(&status) {
            return false;
        }
        self.include.is_empty() || self.include.contains(&status)
    }
}

fn refuse_settings(repo: &Repo<'_>) -> Res<()> {
    for (key, harmless) in [
        ("diff.external", &[b"".as_slice()] as &[&[u8]]),
        ("diff.orderfile", &[b""]),
        ("diff.submodule", &[b"short"]),
        ("diff.ignoresubmodules", &[]),
        ("diff.relative", &[b"false"]),
        ("color.ui", &[b"auto", b"true", b"false", b"never"]),
        ("color.diff", &[b"auto", b"true", b"false", b"never"]),
    ] {
        if let Some(value) = repo.config.get(key)
            && !harmless.contains(&value)
        {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    Ok(())
}
