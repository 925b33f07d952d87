//! The options `diff`, `log` and `show` share: what is compared how, and in which forms it is printed.

use crate::compare::dirstat::Dirstat;
use crate::compare::rename::RenameOptions;
use crate::compare::word_diff::{WordDiff, WordMode};
use crate::compare::xdiff::{self, Change, Compare};
use crate::history::pickaxe::Pickaxe;
use crate::options::{Given, Parsed, Spec, flag, maybe, value};
use crate::outcome::{Res, Stop};
use crate::repository::config::Config;
use crate::repository::id::Id;
use crate::repository::repo::Repo;
use crate::text::bytes::{self, Bytes, lossy, parse_int};
use crate::text::color;
use crate::text::regexes::{self, Dialect};
use crate::verbs::status::parse_score;

/// The table of shared options.
pub(crate) const OPTIONS: &[Spec] = &[
    flag("patch", Some(b'p')),
    flag("patch-u", Some(b'u')),
    flag("function-context", Some(b'W')).or_no(),
    flag("check", None),
    maybe("dirstat", Some(b'X')),
    flag("cumulative", None),
    maybe("dirstat-by-file", None),
    maybe("relative", None).or_no(),
    value("skip-to", None),
    value("rotate-to", None),
    value("order-file", Some(b'O')),
    flag("irreversible-delete", Some(b'D')),
    flag("find-copies-harder", None).or_no(),
    flag("follow", None).or_no(),
    value("pickaxe-text", Some(b'S')),
    value("pickaxe-lines", Some(b'G')),
    flag("pickaxe-regex", None),
    flag("pickaxe-all", None),
    value("find-object", None),
    flag("ita-invisible-in-index", None),
    flag("ita-visible-in-index", None),
    flag("rename-empty", None).or_no(),
    flag("ignore-cr-at-eol", None),
    flag("ignore-blank-lines", None),
    value("ignore-matching-lines", Some(b'I')).or_no(),
    value("anchored", None),
    flag("histogram", None),
    value("output-indicator-new", None),
    value("output-indicator-old", None),
    value("output-indicator-context", None),
    value("line-prefix", None),
    value("ws-error-highlight", None),
    maybe("color-moved", None).or_no(),
    value("color-moved-ws", None).or_no(),
    maybe("word-diff", None),
    value("word-diff-regex", None),
    maybe("color-words", None),
    flag("ext-diff", None).or_no(),
    flag("textconv", None).or_no(),
    maybe("ignore-submodules", None),
    flag("no-patch", Some(b's')),
    maybe("unified", Some(b'U')),
    flag("raw", None),
    maybe("stat", None),
    value("stat-width", None),
    value("stat-name-width", None),
    value("stat-graph-width", None),
    value("stat-count", None),
    flag("numstat", None),
    flag("shortstat", None),
    flag("summary", None),
    flag("compact-summary", None).or_no(),
    flag("name-only", None),
    flag("name-status", None),
    flag("patch-with-stat", None),
    flag("patch-with-raw", None),
    flag("null", None),
    flag("zero", Some(b'z')),
    flag("full-index", None).or_no(),
    maybe("abbrev", None).or_no(),
    maybe("find-renames", Some(b'M')),
    maybe("find-copies", Some(b'C')),
    flag("renames", None).or_no(),
    flag("reverse-sides", Some(b'R')),
    flag("text", Some(b'a')).or_no(),
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
    flag("exit-code", None).or_no(),
    flag("quiet", None).or_no(),
    maybe("color", None).or_no(),
    maybe("submodule", None),
    flag("binary", None),
    maybe("break-rewrites", Some(b'B')),
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
    pub(crate) dirstat: bool,
    pub(crate) summary: bool,
    pub(crate) check: bool,
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

    /// Says whether lines are counted.
    pub(crate) fn counts(self) -> bool {
        self.stat || self.numstat || self.shortstat
    }

    /// Says whether contents are looked at.
    pub(crate) fn needs_contents(self) -> bool {
        self.patch || self.counts() || self.dirstat || self.check
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
    pub(crate) function_context: bool,
    /// What stands before new, old and unchanged lines.
    pub(crate) indicators: [u8; 3],
    pub(crate) line_prefix: Bytes,
    pub(crate) irreversible_delete: bool,
    /// Only what is below this directory, named from there; ends with a slash.
    pub(crate) relative: Option<Bytes>,
    pub(crate) order: Vec<Bytes>,
    /// The first file shown; `true` drops those before it, `false` shows them at the end.
    pub(crate) start_at: Option<(Bytes, bool)>,
    /// Whether that file has to be there.
    pub(crate) start_is_strict: bool,
    /// `--no-abbrev`: lists show whole ids.
    pub(crate) whole_ids: bool,
    pub(crate) pickaxe: Option<Pickaxe>,
    pub(crate) follow: bool,
    pub(crate) dirstat: Dirstat,
    pub(crate) ignore_blank_lines: bool,
    pub(crate) ignore_lines: Vec<regex::bytes::Regex>,
    pub(crate) words: Option<WordDiff>,
    /// Submodules are shown in a way that is not followed here.
    pub(crate) no_submodules: bool,
    /// `--binary`: binary files are shown whole.
    pub(crate) binary: bool,
    /// `-B`: what was written anew counts as deleted and created.
    pub(crate) break_rewrites: bool,
    pub(crate) color: bool,
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
        refuse_settings(repo)?;
        DiffOptions::read(repo, parsed, true)
    }

    /// Reads the command line as `diff-tree` and its like do, which take no notice of most settings.
    pub(crate) fn plumbing(repo: &Repo<'_>, parsed: &Parsed) -> Res<DiffOptions> {
        if repo.config.get("diff.renamelimit").is_some() {
            return Err(Stop::not_native("the setting `diff.renameLimit`"));
        }
        let mut options = DiffOptions::read(repo, parsed, false)?;
        options.whole_ids = parsed.last("abbrev").is_none_or(|g| g.negated);
        Ok(options)
    }

    fn read(repo: &Repo<'_>, parsed: &Parsed, settings: bool) -> Res<DiffOptions> {
        let none = Config::default();
        let config = &repo.config;
        // What only the commands for people look at.
        let shown = if settings { config } else { &none };
        let columns = repo
            .call
            .var("COLUMNS")
            .and_then(|v| parse_int(&v))
            .filter(|n| *n > 0);
        let size = |key: &str| -> Res<Option<usize>> {
            Ok(shown.int(key)?.and_then(|n| usize::try_from(n).ok()))
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
            mnemonic: shown.bool("diff.mnemonicprefix")?.unwrap_or(false),
            exit_code: false,
            quiet: false,
            stat: StatWidths {
                width: columns
                    .filter(|_| settings)
                    .and_then(|n| usize::try_from(n).ok())
                    .unwrap_or(80),
                name: size("diff.statnamewidth")?,
                graph: size("diff.statgraphwidth")?,
                count: None,
            },
            compact_summary: false,
            suppress_blank_empty: config.bool("diff.suppressblankempty")?.unwrap_or(false),
            quote: repo.quote_path()?,
            function_context: false,
            indicators: *b"+- ",
            line_prefix: Bytes::new(),
            irreversible_delete: false,
            relative: None,
            order: Vec::new(),
            start_at: None,
            start_is_strict: true,
            whole_ids: false,
            pickaxe: None,
            follow: false,
            dirstat: Dirstat::default(),
            ignore_blank_lines: false,
            ignore_lines: Vec::new(),
            words: None,
            no_submodules: false,
            binary: false,
            break_rewrites: false,
            color: color::is_forced(shown, parsed.last("color"), &["color.diff", "color.ui"])?,
        };
        if let Some(text) = config.get("diff.dirstat") {
            // What git only warns about in the configuration is left to git.
            options
                .dirstat
                .set(text)
                .map_err(|_| Stop::not_native("a bad value of diff.dirstat"))?;
        }
        if shown.bool("diff.relative")? == Some(true) {
            options.relative = Some(repo.prefix.clone());
        }
        if let Some(file) = shown.get("diff.orderfile").filter(|f| !f.is_empty()) {
            options.order = order_file(repo, file)?;
        }
        if let Some(algorithm) = shown.get("diff.algorithm") {
            options.set_algorithm(algorithm)?;
        }
        if settings {
            options.set_renames_by_config(repo)?;
        } else {
            options.renames = None;
        }
        options.no_submodules = shown.get("diff.submodule").is_some_and(|v| v != b"short");
        if shown.bool("diff.noprefix")?.unwrap_or(false) {
            options.prefixes = Some(Default::default());
        } else if options.mnemonic {
            // Where things come from is said instead.
        } else if shown.get("diff.srcprefix").is_some() || shown.get("diff.dstprefix").is_some() {
            let text = |key: &str, default: &[u8]| shown.get(key).unwrap_or(default).to_vec();
            options.prefixes = Some((text("diff.srcprefix", b"a/"), text("diff.dstprefix", b"b/")));
        }
        for given in &parsed.options {
            options.set(given.name, given.value.as_deref(), given.negated)?;
            options.set_with_repository(repo, given)?;
        }
        options.finish()?;
        if options.color {
            options.refuse_colors(config, parsed)?;
        }
        if options.with_copies_harder()
            && options
                .renames
                .is_some_and(|r| r.limit != RenameOptions::default().limit)
        {
            return Err(Stop::not_native("a bound on copies from everywhere"));
        }
        Ok(options)
    }

    /// Hands over coloured output that is not followed here.
    fn refuse_colors(&self, config: &Config, parsed: &Parsed) -> Res<()> {
        color::refuse_own(config, &["color.diff.", "diff.color.", "color.decorate."])?;
        let marks_moved = parsed
            .options
            .iter()
            .any(|g| g.name.starts_with("color-moved") && !g.negated)
            || config
                .get("diff.colormoved")
                .is_some_and(|v| crate::repository::config::parse_bool(v) != Some(false));
        let marks_blanks = parsed.last("ws-error-highlight").is_some()
            || config.get("diff.wserrorhighlight").is_some();
        // What was searched for stands out in the messages.
        let searches = ["author", "committer", "grep", "grep-reflog"]
            .iter()
            .any(|name| parsed.last(name).is_some());
        if searches || marks_moved || marks_blanks || self.forms.check || parsed.has("graph") {
            return Err(Stop::not_native("this kind of coloured output"));
        }
        Ok(())
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
            Some(value) => match crate::repository::config::parse_bool(value) {
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
        self.compare.histogram = false;
        match name.to_ascii_lowercase().as_slice() {
            b"myers" | b"default" => {}
            b"minimal" => self.compare.minimal = true,
            b"patience" => self.compare.patience = true,
            b"histogram" => self.compare.histogram = true,
            _ => {
                return Err(Stop::error(
                    129,
                    "option diff-algorithm accepts \"myers\", \"minimal\", \"patience\" and \"histogram\"",
                ));
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
            Some(text) => parse_score(text)
                .ok_or_else(|| Stop::error(129, format!("invalid argument to {name}"))),
        };
        let forms = &mut self.forms;
        let shows = !matches!(
            name,
            "patch"
                | "patch-u"
                | "check"
                | "dirstat"
                | "cumulative"
                | "dirstat-by-file"
                | "stat-width"
                | "stat-name-width"
                | "stat-graph-width"
                | "stat-count"
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
            "patch" | "patch-u" => forms.patch = true,
            "check" => forms.check = true,
            "dirstat" | "cumulative" | "dirstat-by-file" => {
                forms.dirstat = true;
                if name == "dirstat-by-file" {
                    self.dirstat.set(b"files")?;
                } else if name == "cumulative" {
                    self.dirstat.set(b"cumulative")?;
                }
                self.dirstat.set(value.unwrap_or_default())?;
            }
            "function-context" => self.function_context = !negated,
            "irreversible-delete" => self.irreversible_delete = true,
            "line-prefix" => self.line_prefix = value.unwrap_or_default().to_vec(),
            "output-indicator-new" | "output-indicator-old" | "output-indicator-context" => {
                let at = ["output-indicator-new", "output-indicator-old"]
                    .iter()
                    .position(|n| *n == name)
                    .unwrap_or(2);
                match value {
                    Some([c]) => self.indicators[at] = *c,
                    _ => {
                        return Err(Stop::error(
                            129,
                            format!(
                                "{name} expects a character, got '{}'",
                                lossy(value.unwrap_or_default())
                            ),
                        ));
                    }
                }
            }
            "skip-to" => self.start_at = Some((value.unwrap_or_default().to_vec(), true)),
            "rotate-to" => self.start_at = Some((value.unwrap_or_default().to_vec(), false)),
            "follow" => self.follow = !negated,
            "find-copies-harder" => {
                let renames = self.renames.get_or_insert_default();
                renames.harder = !negated;
                renames.copies |= !negated;
            }
            "rename-empty" => self.renames.get_or_insert_default().empty = !negated,
            "ignore-cr-at-eol" => self.compare.ignore_cr_at_eol = true,
            "ignore-blank-lines" => self.ignore_blank_lines = true,
            "histogram" => self.set_algorithm(b"histogram")?,
            "anchored" => return Err(Stop::not_native("anchored lines")),
            "ita-visible-in-index" => {
                return Err(Stop::not_native("option `--ita-visible-in-index`"));
            }
            "ignore-submodules" if value == Some(b"none") => {
                return Err(Stop::not_native("option `--ignore-submodules=none`"));
            }
            "ignore-submodules" => self.no_submodules = true,
            "pickaxe-text" => self.pickaxe_mut().text = Some(value.unwrap_or_default().to_vec()),
            "pickaxe-lines" => self.pickaxe_mut().lines = Some(value.unwrap_or_default().to_vec()),
            "pickaxe-regex" => self.pickaxe_mut().is_regex = true,
            "pickaxe-all" => self.pickaxe_mut().all = true,
            "regexp-ignore-case" => self.pickaxe_mut().ignore_case = true,
            "word-diff" => {
                let mode = match value {
                    None | Some(b"plain") => Some(WordMode::Plain),
                    Some(b"porcelain") => Some(WordMode::Porcelain),
                    Some(b"none") => None,
                    Some(b"color") => {
                        self.color = true;
                        Some(WordMode::Color)
                    }
                    Some(other) => {
                        return Err(Stop::error(
                            129,
                            format!("bad --word-diff argument: {}", lossy(other)),
                        ));
                    }
                };
                match (mode, &mut self.words) {
                    (None, words) => *words = None,
                    (Some(mode), Some(words)) => words.mode = mode,
                    (Some(mode), words) => *words = Some(WordDiff { mode, regex: None }),
                }
            }
            "word-diff-regex" => {
                let words = self.words.get_or_insert(WordDiff {
                    mode: WordMode::Plain,
                    regex: None,
                });
                words.regex = value.map(<[u8]>::to_vec);
            }
            "color-words" => {
                self.color = true;
                let words = self.words.get_or_insert(WordDiff {
                    mode: WordMode::Color,
                    regex: None,
                });
                words.mode = WordMode::Color;
                if let Some(text) = value {
                    words.regex = Some(text.to_vec());
                }
            }
            "unified" => {
                forms.patch = true;
                if let Some(text) = value {
                    if !text
                        .first()
                        .is_some_and(|c| c.is_ascii_digit() || *c == b'-')
                    {
                        return Err(Stop::error(129, "--unified expects a numerical value"));
                    }
                    self.context = number()?;
                }
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
            "compact-summary" if negated => self.compact_summary = false,
            "compact-summary" => {
                forms.stat = true;
                self.compact_summary = true;
            }
            "name-only" => forms.name_only = true,
            "name-status" => forms.name_status = true,
            "patch-with-stat" => (forms.patch, forms.stat) = (true, true),
            "patch-with-raw" => (forms.patch, forms.raw) = (true, true),
            "zero" => self.nul = true,
            "full-index" => self.full_index = !negated,
            "abbrev" if negated => (self.abbrev, self.whole_ids) = (None, true),
            "abbrev" => {
                self.whole_ids = false;
                self.abbrev = match value {
                    None => None,
                    Some(_) => Some(number()?.clamp(4, Id::digits())),
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
                renames.harder |= renames.copies;
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
            "text" => self.text = !negated,
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
            "exit-code" => self.exit_code = !negated,
            "quiet" if negated => self.quiet = false,
            "quiet" => (self.quiet, self.exit_code) = (true, true),
            "submodule" if matches!(value, None | Some(b"log" | b"diff")) => {
                self.no_submodules = true;
            }
            "submodule" if !matches!(value, Some(b"short")) => {
                return Err(Stop::not_native("option `--submodule`"));
            }
            "binary" => (forms.patch, self.binary) = (true, true),
            "break-rewrites" if value.is_some_and(|v| !v.is_empty()) => {
                return Err(Stop::not_native("how much is a rewrite"));
            }
            "break-rewrites" => self.break_rewrites = true,
            _ => {}
        }
        Ok(())
    }

    fn pickaxe_mut(&mut self) -> &mut Pickaxe {
        self.pickaxe.get_or_insert_default()
    }

    /// Reads the options that need to look at the repository.
    fn set_with_repository(&mut self, repo: &Repo<'_>, given: &Given) -> Res<()> {
        match given.name {
            "relative" if given.negated => self.relative = None,
            "relative" => {
                self.relative = Some(match &given.value {
                    None => repo.prefix.clone(),
                    Some(path) => path.clone(),
                });
            }
            "order-file" => self.order = order_file(repo, given.text())?,
            "find-object" => {
                let found = match repo.resolve(given.text()) {
                    Err(Stop::Fail { .. }) => None,
                    other => other?,
                };
                let id = found.ok_or_else(|| {
                    Stop::error(129, format!("unable to resolve '{}'", lossy(given.text())))
                })?;
                self.pickaxe_mut().objects.push(id);
            }
            "ignore-matching-lines" if given.negated => self.ignore_lines.clear(),
            "ignore-matching-lines" => {
                self.ignore_lines
                    .push(regexes::compile(given.text(), Dialect::Extended, false)?)
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks what cannot stand together.
    fn finish(&mut self) -> Res<()> {
        let forms = self.forms;
        let exclusive = usize::from(forms.name_only)
            + usize::from(forms.name_status)
            + usize::from(forms.check);
        if exclusive > 1 {
            return Err(Stop::fatal(
                "options '--name-only', '--name-status', '--check', and '-s' cannot be used together",
            ));
        }
        if exclusive > 0 || forms.none {
            // A list of names, or nothing, is all there is.
            self.forms = Forms {
                name_only: forms.name_only,
                name_status: forms.name_status,
                check: forms.check,
                none: forms.none,
                ..Forms::default()
            };
        }
        if let Some(pickaxe) = &self.pickaxe {
            let kinds = usize::from(pickaxe.text.is_some())
                + usize::from(pickaxe.lines.is_some())
                + usize::from(!pickaxe.objects.is_empty());
            if kinds == 0 {
                self.pickaxe = None;
            } else if kinds > 1 {
                return Err(Stop::fatal(
                    "options '-G', '-S', and '--find-object' cannot be used together",
                ));
            } else if pickaxe.is_regex && pickaxe.lines.is_some() {
                return Err(Stop::fatal(
                    "options '-G' and '--pickaxe-regex' cannot be used together, use '--pickaxe-regex' with '-S'",
                ));
            }
        }
        if let Some(pickaxe) = &mut self.pickaxe {
            pickaxe.compile()?;
        }
        if let Some(relative) = &mut self.relative
            && relative.is_empty()
        {
            self.relative = None;
        }
        if self.follow && self.pickaxe.as_ref().is_some_and(|p| p.all) {
            return Err(Stop::not_native("following with --pickaxe-all"));
        }
        Ok(())
    }

    /// Returns a path as it is shown: without the directory of `--relative`.
    pub(crate) fn strip<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        let Some(base) = &self.relative else {
            return path;
        };
        let rest = path.strip_prefix(base.as_slice()).unwrap_or(path);
        rest.strip_prefix(b"/").unwrap_or(rest)
    }

    /// Returns what stands around the headers of files.
    pub(crate) fn meta(&self) -> (&'static [u8], &'static [u8]) {
        if self.color {
            (color::diff::META, color::RESET)
        } else {
            (b"", b"")
        }
    }

    /// Compares two texts as these options want it.
    pub(crate) fn changes(&self, old: &[u8], new: &[u8]) -> Res<Vec<Change>> {
        if self.context == 0 && !self.function_context {
            xdiff::changes_without_context(old, new, self.compare)
        } else {
            xdiff::changes(old, new, self.compare)
        }
    }

    /// Says whether files may differ without there being a difference that counts.
    pub(crate) fn compares_loosely(&self) -> bool {
        self.compare.ignores_space() || self.ignores_lines()
    }

    /// Says whether lines do not count because of what is in them.
    pub(crate) fn ignores_lines(&self) -> bool {
        self.ignore_blank_lines || !self.ignore_lines.is_empty()
    }

    /// Says whether unchanged files are sources of copies.
    pub(crate) fn with_copies_harder(&self) -> bool {
        self.renames.is_some_and(|r| r.harder && r.copies)
    }

    /// `--stat=<width>[,<name width>[,<count>]]`.
    fn set_stat(&mut self, text: &[u8]) -> Res<()> {
        for (i, part) in text.split(|b| *b == b',').enumerate() {
            let number = parse_int(part).and_then(|n| usize::try_from(n).ok());
            let refusal = || Stop::error(129, format!("invalid --stat value: {}", lossy(text)));
            let number = number.ok_or_else(refusal)?;
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

/// Reads the patterns of an order file.
fn order_file(repo: &Repo<'_>, name: &[u8]) -> Res<Vec<Bytes>> {
    let from = [repo.prefix.as_slice(), name].concat();
    let base = repo.work_tree.as_deref().unwrap_or(&repo.call.cwd);
    let full = bytes::join(base, &from);
    let Ok(text) = std::fs::read(bytes::to_path(&full)) else {
        return Err(Stop::fatal(format!(
            "could not read orderfile '{}'",
            lossy(name)
        )));
    };
    Ok(text
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty() && l[0] != b'#')
        .map(<[u8]>::to_vec)
        .collect())
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
                _ => {
                    return Err(Stop::error(
                        129,
                        format!(
                            "unknown change class '{}' in --diff-filter={}",
                            char::from(c),
                            lossy(text)
                        ),
                    ));
                }
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
        ("diff.external", &[] as &[&[u8]]),
        ("diff.submodule", &[b"short", b"log", b"diff"]),
        ("diff.ignoresubmodules", &[]),
    ] {
        if let Some(value) = repo.config.get(key)
            && !harmless.contains(&value)
        {
            return Err(Stop::NotNative(format!("the setting `{key}`")));
        }
    }
    Ok(())
}
