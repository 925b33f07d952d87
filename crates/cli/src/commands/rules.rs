//! `deskhand rules`.

use anyhow::{Context as _, bail};
use deskhand_protocol::{
    Command,
    device_request::{DeviceRequest, DeviceResponse},
    policy::{NewRule, RuleView, TestedCommand, Verdict},
};

use crate::{
    args::{RulesAddArgs, RulesCommand, RulesTestArgs},
    context::Context,
    exit,
    out::{Cell, Out, Tone},
};

pub(crate) async fn run(context: &Context, command: RulesCommand) -> anyhow::Result<u8> {
    let request = match command {
        RulesCommand::List => DeviceRequest::ListRules,
        RulesCommand::Add(args) => DeviceRequest::AddRule { rule: rule(args) },
        RulesCommand::Remove { id } => DeviceRequest::RemoveRule { id },
        RulesCommand::Test(args) => DeviceRequest::TestRules(tested(context, args).await?),
    };
    let out = context.out;
    match context.control().device(request).await? {
        DeviceResponse::Rules {
            rules,
            path,
            problem,
        } => {
            if let Some(problem) = &problem {
                out.talk(format!(
                    "The file has a fault, the rules from before stay in force: {problem}"
                ));
            }
            if out.is_json() {
                out.json(&serde_json::json!({"rules": rules, "path": path, "problem": problem}))?;
            } else if rules.is_empty() {
                out.talk(format!("There are no rules. They stand in {path}"));
            } else {
                let rows: Vec<Vec<Cell>> = rules.iter().map(row).collect();
                out.table(&["ID", "VERDICT", "PROGRAM", "WHERE", "REASON"], &rows)?;
            }
            Ok(if problem.is_some() {
                exit::FAILED
            } else {
                exit::OK
            })
        }
        DeviceResponse::Explanation(explanation) => {
            if out.is_json() {
                out.json(&explanation)?;
            } else {
                out.line(format!(
                    "{}: {} ({})",
                    explanation.verdict.as_str(),
                    explanation.reason,
                    explanation.by
                ))?;
                show(out, "programs", &explanation.programs)?;
                show(out, "runs", &explanation.argv)?;
            }
            Ok(exit::OK)
        }
        _ => bail!("understand the agent's answer: it is to another request"),
    }
}

fn show(out: Out, what: &str, words: &[String]) -> anyhow::Result<()> {
    if !words.is_empty() {
        out.line(format!("{what}: {}", Command::Argv(words.to_vec())))?;
    }
    Ok(())
}

fn rule(args: RulesAddArgs) -> NewRule {
    NewRule {
        id: args.id,
        program: args.program,
        args: args.args,
        options: args.options,
        workspace: args.workspace,
        cwd: args.cwd,
        network: args.network,
        git_writes: args.git_writes,
        verdict: args.verdict,
        reason: args.reason,
        expires_at: args.expires,
    }
}

async fn tested(context: &Context, args: RulesTestArgs) -> anyhow::Result<TestedCommand> {
    let working_dir = match args.cwd {
        Some(dir) => {
            let dir = std::path::absolute(&dir)
                .with_context(|| format!("find the directory `{}`", dir.display()))?;
            dir.to_str().map(str::to_owned)
        }
        None => current_workspace_dir(context).await?,
    };
    Ok(TestedCommand {
        command: match args.line {
            Some(line) => Command::Line(line),
            None => Command::Argv(args.argv),
        },
        working_dir,
    })
}

/// Returns the current directory when it lies in a workspace; else the default one is meant.
async fn current_workspace_dir(context: &Context) -> anyhow::Result<Option<String>> {
    let response = context
        .control()
        .device(DeviceRequest::ListWorkspaces)
        .await?;
    let DeviceResponse::Workspaces { workspaces } = response else {
        bail!("understand the agent's answer: it is to another request");
    };
    let Ok(here) = std::env::current_dir().and_then(|dir| dir.canonicalize()) else {
        return Ok(None);
    };
    let is_open = workspaces
        .iter()
        .any(|workspace| here.starts_with(&workspace.path));
    Ok(here.to_str().filter(|_| is_open).map(str::to_owned))
}

fn row(rule: &RuleView) -> Vec<Cell> {
    let tone = match rule.verdict {
        Verdict::Allow => Tone::Good,
        Verdict::Ask => Tone::Warning,
        Verdict::Deny => Tone::Bad,
    };
    let mut program = rule.program.clone();
    for word in rule.args.iter().flatten().chain(&rule.options) {
        program.push(' ');
        program.push_str(word);
    }
    if rule.pinned.is_none() {
        program.push_str(" (not found)");
    }
    vec![
        rule.id.as_str().into(),
        Cell::new(rule.verdict.as_str(), tone),
        program.into(),
        rule.workspace.as_deref().unwrap_or("everywhere").into(),
        rule.reason.as_str().into(),
    ]
}
