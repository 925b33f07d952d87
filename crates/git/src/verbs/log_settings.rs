//! What a `log`, `show` or `reflog` was asked to print: its options and the settings behind them.

use crate::compare::diff_options::{self, DiffOptions};
use crate::history::decorate::{self, Choice, Decorations};
use crate::history::log_filter::{self, Filter};
use crate::history::pretty::{Context, Pretty};
use crate::history::rev_select::{self, Selection};
use crate::history::revwalk::Order;
use crate::options::{Known, Numbers, Parsed, Spec, Takes, flag, maybe, parse_known, value};
use crate::outcome::{Res, Stop};
use crate::repository::id::Id;
use crate::repository::mailmap::Mailmap;
use crate::repository::notes::Notes;
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy, parse_int};
use crate::text::date;

/// The options of `log` and `show` besides those of diffs, of the walk and of the filter.
const OPTIONS: &[Spec] = &[
    flag("oneline", None),
    maybe("pretty", None),
    value("format", None),
    flag("abbrev-commit", None).or_no(),
    value("date", None),
    flag("relative-date", None),
    flag("full-diff", None),
    flag("root", None),
    flag("mailmap", None).or_no(),
    flag("use-mailmap", None).or_no(),
    maybe("notes", None).or_no(),
    maybe("show-notes", None).or_no(),
    flag("standard-notes", None).or_no(),
    maybe("expand-tabs", None).or_no(),
    flag("show-signature", None).or_no(),
    flag("walk-reflogs", Some(b'g')),
    flag("m", Some(b'm')),
    flag("c", Some(b'c')),
    flag("cc", None),
    flag("dd", None),
    value("diff-merges", None),
    flag("no-diff-merges", None),
    flag("graph", None).or_no(),
    flag("source", None).or_no(),
    flag("log-size", None),
    flag("r", Some(b'r')),
    value("encoding", None),
    flag("always", None),
    flag("verbose", Some(b'v')),
    flag("quiet", Some(b'q')).or_no(),
    flag("no-commit-id", None),
];

/// Everything `git log` and `git show` know.
const KNOWN: Known = Known {
    long: KNOWN_LONG,
    short: "gLqpsuUXBMDCRawbGSOzlWrtmcvniEFP",
    usage: None,
};

const KNOWN_LONG: &str = concat!(
    "max-count skip reverse all branches tags remotes glob exclude exclude-hidden not walk do-walk first-parent ",
    "exclude-first-parent-only ancestry-path merges min-parents max-parents since since-as-filter after until before ",
    "max-age min-age topo-order date-order author-date-order parents children full-history dense sparse show-pulls ",
    "boundary left-right left-only right-only cherry-pick cherry-mark cherry ignore-missing walk-reflogs default ",
    "merge simplify-merges simplify-by-decoration early-output in-commit-order remove-empty objects objects-edge ",
    "objects-edge-aggressive verify-objects unpacked kept-objects cc remerge-diff diff-merges dd pretty format ",
    "expand-tabs show-notes show-notes-by-default notes standard-notes oneline graph encode-email-headers ",
    "show-signature show-linear-break progress abbrev abbrev-commit full-diff relative-date log-size root commit-id ",
    "always stdin filter grep-reflog author committer grep grep-debug basic-regexp extended-regexp ",
    "regexp-ignore-case fixed-strings perl-regexp all-match invert-grep encoding exclude-promisor-objects missing ",
    "single-worktree reflog alternate-refs indexed-objects bisect bisect-all bisect-vars date ",
    "source use-mailmap mailmap clear-decorations decorate-refs decorate-refs-exclude decorate no-index ",
    "patch unified function-context raw patch-with-raw patch-with-stat numstat shortstat dirstat cumulative ",
    "dirstat-by-file check summary name-only name-status stat stat-width stat-name-width stat-graph-width stat-count ",
    "compact-summary binary full-index color ws-error-highlight src-prefix dst-prefix line-prefix prefix ",
    "default-prefix inter-hunk-context output-indicator-new output-indicator-old output-indicator-context ",
    "break-rewrites find-renames irreversible-delete find-copies find-copies-harder renames rename-empty follow ",
    "minimal ignore-all-space ignore-space-change ignore-space-at-eol ignore-cr-at-eol ignore-blank-lines ",
    "ignore-matching-lines indent-heuristic patience histogram diff-algorithm anchored word-diff word-diff-regex ",
    "color-words color-moved color-moved-ws relative text exit-code quiet ext-diff textconv ignore-submodules ",
    "submodule ita-invisible-in-index ita-visible-in-index pickaxe-all pickaxe-regex rotate-to skip-to find-object ",
    "diff-filter output combined-all-paths max-depth"
);

pub(crate) fn specs() -> Vec<Spec> {
    let mut specs = diff_options::OPTIONS.to_vec();
    for more in [
        OPTIONS,
        rev_select::OPTIONS,
        log_filter::OPTIONS,
        decorate::OPTIONS,
    ] {
        specs.extend_from_slice(more);
    }
    specs
}

/// Ends with git's error when the last argument is an option of the walk that lacks its value.
///
/// With other arguments before it git may find something else to complain about first.
pub(crate) fn refuse_missing_value(args: &[Bytes]) -> Res<()> {
    let Some(last) = args
        .last()
        .filter(|_| args.iter().all(|a| a.starts_with(b"-")))
    else {
        return Ok(());
    };
    if args.iter().any(|a| a == b"--") {
        return Ok(());
    }
    let before = args.len().checked_sub(2).and_then(|i| args.get(i));
    let specs = [rev_select::OPTIONS, log_filter::OPTIONS].concat();
    let is_value = |arg: &[u8]| {
        specs
            .iter()
            .any(|s| s.takes == Takes::Value && [b"--", s.name.as_bytes()].concat() == arg)
    };
    if before.is_some_and(|b| is_value(b) || b == b"-n") {
        return Ok(());
    }
    match last.as_slice() {
        b"-n" => Err(Stop::error(128, "-n requires an argument")),
        b"--format" => Err(Stop::fatal("unrecognized argument: --format")),
        option if option == b"--date" || is_value(option) => Err(Stop::fatal(format!(
            "Option '{}' requires a value",
            lossy(option)
        ))),
        _ => Ok(()),
    }
}

/// Takes the arguments of `log` or `show` apart.
pub(crate) fn parse(args: &[Bytes]) -> Res<Parsed> {
    parse_known(args, &specs(), Numbers::MaxCount, &KNOWN)
}

/// Ends with git's error for an option it does not know; git finds it after it looked at the revisions.
pub(crate) fn refuse_unknown(parsed: &Parsed) -> Res<()> {
    match &parsed.unknown {
        None => Ok(()),
        Some(option) => Err(Stop::fatal(
            [b"unrecognized argument: ".as_slice(), option].concat(),
        )),
    }
}

/// How merges are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merges {
    No,
    FirstParent,
    /// With each parent in its turn.
    Separate,
    /// With all parents at once.
    Combined,
    /// What differs from all parents, as `show` has it.
    DenseCombined,
}

/// Everything that was asked for.
pub(crate) struct Settings<'r> {
    pub(crate) context: Context<'r>,
    pub(crate) pretty: Pretty,
    pub(crate) diff: DiffOptions,
    pub(crate) abbrev_commit: bool,
    /// Whether decorations have their full names; `None` when there are none.
    pub(crate) decorate: Option<bool>,
    pub(crate) filter: Filter,
    pub(crate) full_diff: bool,
    pub(crate) show_root: bool,
    pub(crate) merges: Merges,
    pub(crate) show_parents: bool,
    pub(crate) graph: bool,
    pub(crate) left_right: bool,
    pub(crate) cherry_mark: bool,
    pub(crate) source: bool,
    pub(crate) log_size: bool,
    /// Signatures are checked, which takes a program: commits that have one are handed over.
    pub(crate) show_signature: bool,
    /// Output is wanted in an encoding that has ASCII in it: commits with more are handed over.
    pub(crate) only_ascii: bool,
    /// Commits are shown even where no diff is.
    pub(crate) always_show_header: bool,
}

impl<'r> Settings<'r> {
    /// Reads options and settings; `is_show` gives a diff by default.
    pub(crate) fn new(repo: &'r Repo<'r>, parsed: &Parsed, is_show: bool) -> Res<Settings<'r>> {
        let config = &repo.config;
        if config.bool("log.follow")? == Some(true) {
            return Err(Stop::not_native("the setting `log.follow`"));
        }
        let mut diff = DiffOptions::new(repo, parsed)?;
        diff.start_is_strict = false;
        if std::mem::take(&mut diff.quiet) {
            // Here it only means that no diff is shown unless one is asked for.
            diff.exit_code = parsed.has("exit-code");
            let forms = diff.forms;
            if forms.name_only || forms.name_status || forms.check {
                return Err(Stop::fatal(
                    "options '--name-only', '--name-status', '--check', and '-s' cannot be used together",
                ));
            }
            diff.forms.none = !forms.any();
        }
        let (pretty, pretty_given, mut abbrev_commit) = format(repo, parsed)?;
        if pretty == Pretty::Reference {
            abbrev_commit = true;
        }
        let template: &[u8] = match &pretty {
            Pretty::Template(text, _) => text,
            _ => b"",
        };
        let notes_by_default = !pretty_given || uses(template, b"N");
        let notes = Notes::load(repo, parsed, notes_by_default)?;
        let by_settings =
            !(pretty == Pretty::Raw && pretty_given) || parsed.last("decorate").is_some();
        let decorate = decorate_style(repo, parsed)?.filter(|_| by_settings);
        let wants_names = decorate.is_some() && template.is_empty()
            || uses(template, b"d")
            || uses(template, b"D")
            || crate::text::bytes::find(template, b"%(decorate").is_some();
        let (date, date_given) = date_format(repo, parsed)?;
        let use_mailmap = parsed
            .options
            .iter()
            .rev()
            .find(|g| matches!(g.name, "mailmap" | "use-mailmap"))
            .map_or(config.bool("log.mailmap")?.unwrap_or(true), |g| !g.negated);
        let filter = Filter::new(repo, parsed, use_mailmap)?;
        if filter.reads_messages() && !notes.is_empty() {
            return Err(Stop::not_native("a search in messages and notes"));
        }
        if is_show && !diff.forms.any() && !diff.forms.none {
            diff.forms.patch = true;
        }
        let merges = merges(repo, parsed, is_show, &mut diff)?;
        let encoding = match parsed.last("encoding") {
            Some(given) => Some(given.text()),
            None => config
                .get("i18n.logoutputencoding")
                .or(config.get("i18n.commitencoding")),
        };
        let is = |names: &[&str]| {
            encoding.is_some_and(|e| names.iter().any(|n| e.eq_ignore_ascii_case(n.as_bytes())))
        };
        let only_ascii = is(&["iso-8859-1", "iso8859-1", "latin1", "latin-1"]);
        if encoding.is_some() && !only_ascii && !is(&["utf-8", "utf8"]) {
            return Err(Stop::not_native("output in another encoding"));
        }
        let graph = parsed.has("graph");
        if graph && diff.forms.stat {
            return Err(Stop::not_native("a graph beside widths"));
        }
        if let Some(other) = ["reverse", "no-walk"].iter().find(|o| parsed.has(o))
            && graph
        {
            return Err(Stop::fatal(format!(
                "options '--{other}' and '--graph' cannot be used together"
            )));
        }
        let context = Context {
            repo,
            date,
            date_given,
            abbrev: match diff.abbrev {
                Some(n) => n,
                None if diff.whole_ids => Id::digits(),
                None => repo.default_abbrev()?,
            },
            mailmap: Mailmap::load(repo)?,
            use_mailmap,
            decorations: if wants_names {
                Some(Decorations::load(repo, &Choice::new(repo, parsed)?)?)
            } else {
                None
            },
            expand_tabs: expand_tabs(parsed)?,
            notes,
            full_names: decorate == Some(true),
            color: diff.color,
        };
        Ok(Settings {
            filter,
            full_diff: parsed.has("full-diff"),
            show_root: config.bool("log.showroot")?.unwrap_or(true) || parsed.has("root"),
            always_show_header: !(diff.pickaxe.is_some() || diff.filter.is_some() || diff.follow),
            merges,
            show_parents: parsed.has("parents"),
            graph,
            left_right: parsed.has("left-right"),
            cherry_mark: parsed.has("cherry-mark") || parsed.has("cherry"),
            source: parsed.has("source"),
            log_size: parsed.has("log-size"),
            show_signature: match parsed.last("show-signature") {
                Some(given) => !given.negated,
                None => config.bool("log.showsignature")? == Some(true),
            },
            only_ascii,
            context,
            pretty,
            diff,
            abbrev_commit,
            decorate,
        })
    }

    /// Changes a walk as the way of printing needs it.
    pub(crate) fn adjust(&self, selection: &mut Selection) {
        let walk = &mut selection.walk;
        walk.sources = self.source || self.uses_source();
        if self.graph {
            walk.rewrite_parents = true;
            if walk.order == Order::Default {
                walk.order = Order::Topo;
            }
        }
    }

    fn uses_source(&self) -> bool {
        matches!(&self.pretty, Pretty::Template(text, _) if uses(text, b"S"))
    }

    /// Says whether a format prints nothing at all.
    pub(crate) fn is_empty_format(&self) -> bool {
        matches!(&self.pretty, Pretty::Template(text, _) if text.is_empty())
    }
}

/// Says whether a template has a placeholder, with or without a sign.
fn uses(template: &[u8], name: &[u8]) -> bool {
    [b"%".as_slice(), b"%+", b"%-", b"% "]
        .iter()
        .any(|sign| crate::text::bytes::find(template, &[sign, name].concat()).is_some())
}

fn format(repo: &Repo<'_>, parsed: &Parsed) -> Res<(Pretty, bool, bool)> {
    let config = &repo.config;
    let mut given_one = false;
    let mut pretty = match config.get("format.pretty") {
        Some(text) => Pretty::parse(repo, text)?,
        None => Pretty::Medium,
    };
    let mut abbrev_commit = config.bool("log.abbrevcommit")?.unwrap_or(false);
    for given in &parsed.options {
        match given.name {
            "oneline" => {
                (pretty, abbrev_commit, given_one) = (Pretty::Oneline, true, true);
            }
            "pretty" | "format" => {
                given_one = true;
                pretty = match &given.value {
                    Some(text) => Pretty::parse(repo, text)?,
                    None => Pretty::Medium,
                }
            }
            "abbrev-commit" => abbrev_commit = !given.negated,
            _ => {}
        }
    }
    // The raw form is for programs: what a user set for other forms does not count.
    if pretty == Pretty::Raw && given_one && parsed.last("abbrev-commit").is_none() {
        abbrev_commit = parsed.has("oneline");
    }
    Ok((pretty, given_one, abbrev_commit))
}

fn date_format(repo: &Repo<'_>, parsed: &Parsed) -> Res<(date::Format, bool)> {
    let given = parsed
        .options
        .iter()
        .rev()
        .find(|g| matches!(g.name, "date" | "relative-date"));
    Ok(match (given, repo.config.get("log.date")) {
        (Some(given), _) if given.name == "relative-date" => {
            (date::Format::parse(b"relative")?, true)
        }
        (Some(given), _) => (date::Format::parse(given.text())?, true),
        (None, Some(text)) => (date::Format::parse(text)?, false),
        (None, None) => (date::Format::default(), false),
    })
}

fn expand_tabs(parsed: &Parsed) -> Res<Option<usize>> {
    match parsed.last("expand-tabs") {
        None => Ok(None),
        Some(given) if given.negated => Ok(Some(0)),
        Some(given) => match &given.value {
            None => Ok(Some(8)),
            Some(text) => match parse_int(text).and_then(|n| usize::try_from(n).ok()) {
                Some(n) => Ok(Some(n)),
                None => Err(Stop::fatal(format!(
                    "'{}': not a non-negative integer",
                    lossy(text)
                ))),
            },
        },
    }
}

/// Decides how merges are compared, and whether a diff of them is printed without being asked for.
fn merges(repo: &Repo<'_>, parsed: &Parsed, is_show: bool, diff: &mut DiffOptions) -> Res<Merges> {
    let by_name = |name: &[u8]| -> Res<Merges> {
        Ok(match name {
            b"off" | b"none" => Merges::No,
            b"1" | b"first-parent" => Merges::FirstParent,
            b"separate" => Merges::Separate,
            b"c" | b"combined" => Merges::Combined,
            b"cc" | b"dense-combined" => Merges::DenseCombined,
            b"r" | b"remerge" => return Err(Stop::not_native("diffs of merges made again")),
            other => {
                return Err(Stop::fatal(format!(
                    "invalid value for '--diff-merges': '{}'",
                    lossy(other)
                )));
            }
        })
    };
    let default = match repo.config.get("log.diffmerges") {
        Some(name) => by_name(name)?,
        None => Merges::Separate,
    };
    let mut chosen: Option<Merges> = None;
    let mut implies_patch = false;
    for given in &parsed.options {
        match given.name {
            "m" => chosen = Some(default),
            "c" => (chosen, implies_patch) = (Some(Merges::Combined), true),
            "cc" => (chosen, implies_patch) = (Some(Merges::DenseCombined), true),
            "dd" => (chosen, implies_patch) = (Some(Merges::FirstParent), true),
            "no-diff-merges" => (chosen, implies_patch) = (Some(Merges::No), false),
            "diff-merges" => {
                chosen = Some(match given.text() {
                    b"on" | b"m" => default,
                    name => by_name(name)?,
                });
                implies_patch = false;
            }
            _ => {}
        }
    }
    if implies_patch && !diff.forms.any() && !diff.forms.none {
        diff.forms.patch = true;
    }
    Ok(match chosen {
        Some(Merges::Separate) if parsed.has("first-parent") => Merges::FirstParent,
        Some(merges) => merges,
        None if parsed.has("first-parent") => Merges::FirstParent,
        None if is_show => Merges::DenseCombined,
        None => Merges::No,
    })
}

fn decorate_style(repo: &Repo<'_>, parsed: &Parsed) -> Res<Option<bool>> {
    let (text, given) = match parsed.last("decorate") {
        Some(given) if given.negated => return Ok(None),
        Some(given) => (
            given.value.clone().unwrap_or_else(|| b"short".to_vec()),
            true,
        ),
        None => match repo.config.get("log.decorate") {
            Some(text) => (text.to_vec(), false),
            None => return Ok(None),
        },
    };
    match text.as_slice() {
        b"short" => Ok(Some(false)),
        b"full" => Ok(Some(true)),
        b"auto" => Ok(None),
        other => match crate::repository::config::parse_bool(other) {
            Some(true) => Ok(Some(false)),
            Some(false) => Ok(None),
            None if given => Err(Stop::fatal(format!(
                "invalid --decorate option: {}",
                lossy(other)
            ))),
            None => Ok(None),
        },
    }
}
