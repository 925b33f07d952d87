//! `git log` and `git whatchanged`: walks history and has it printed.

use deskhand_protocol::git::{GitReport, LogReport};

use crate::compare::pair::Contents;
use crate::exec::{self, Call, Plan};
use crate::history::graph::Graph;
use crate::history::rev_select;
use crate::history::revwalk::{Walk, Walker};
use crate::outcome::{Out, Res, Stop};
use crate::repository::repo::Repo;
use crate::text::bytes::Bytes;
use crate::verbs::log_print::Printer;
use crate::verbs::log_settings::{self, Settings};
use crate::verbs::stash;
use crate::work::attr::Attributes;
use crate::work::index::Index;
use crate::work::pathspec::Pathspec;

/// Says what a log would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    log_settings::refuse_missing_value(args)?;
    log_settings::parse(args).map(|_| Plan::Read)
}

/// Carries out `git log`.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    if let Err(stop) = log_settings::refuse_missing_value(args) {
        return Err(exec::refusal_in_repository(call, stop, false));
    }
    let parsed = log_settings::parse(args)?;
    let repo = Repo::open(call)?;
    if parsed.has("walk-reflogs") {
        return stash::walk_log(&repo, parsed, out);
    }
    let settings = Settings::new(&repo, &parsed, false)?;
    let mut selection = rev_select::select(&repo, &parsed)?;
    selection.or_head(&repo)?;
    log_settings::refuse_unknown(&parsed)?;
    settings.adjust(&mut selection);
    let spec = selection.walk.paths.clone();
    let report = print_history(&repo, &settings, selection.walk, &spec, out)?;
    out.report = Some(GitReport::Log(report));
    Ok(())
}

/// Walks and prints.
pub(crate) fn print_history(
    repo: &Repo<'_>,
    settings: &Settings<'_>,
    mut walk: Walk,
    spec: &Pathspec,
    out: &mut Out,
) -> Res<LogReport> {
    let index = index_for_attributes(repo, settings)?;
    let attributes = Attributes::load(repo, index.as_ref())?;
    let contents = Contents::new(repo, &attributes, index.as_ref());
    let shown = if settings.full_diff {
        Pathspec::default()
    } else {
        spec.clone()
    };
    let mut printer = Printer::new(settings, &contents, shown);
    if settings.diff.follow && spec.has_magic() {
        return Err(Stop::not_native("following a pattern"));
    }
    if settings.diff.follow {
        // The path changes on the way, so nothing can be left out by it.
        walk.paths = Pathspec::default();
    }
    let mut walker = Walker::filtered(repo, walk, Some(&settings.filter))?;
    let mut graph = settings.graph.then(Graph::new);
    while let Some(step) = walker.next()? {
        if let Some(graph) = &mut graph {
            let mut parents = Vec::new();
            for parent in &step.parents {
                if walker.is_in_graph(*parent)? {
                    parents.push(*parent);
                }
                if walker.walk.first_parent {
                    break;
                }
            }
            graph.update(step.id, printer.graph_mark(&step), parents);
        }
        if !printer.commit(&step, None, graph.as_mut(), out)? {
            walker.uncount();
        }
    }
    if printer.check_failed {
        out.code = 2;
    } else if settings.diff.exit_code && printer.found_changes {
        out.code = 1;
    }
    Ok(printer.report)
}

/// Attributes are looked up in the index only when contents are shown.
pub(crate) fn index_for_attributes(repo: &Repo<'_>, settings: &Settings<'_>) -> Res<Option<Index>> {
    let forms = settings.diff.forms;
    if forms.needs_contents() || settings.diff.pickaxe.is_some() {
        repo.index().map(Some)
    } else {
        Ok(None)
    }
}
