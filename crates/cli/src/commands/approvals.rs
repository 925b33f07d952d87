//! `deskhand approvals`.

use std::{collections::HashSet, time::Duration};

use anyhow::bail;
use deskhand_protocol::{
    ErrorCode, Problem,
    approval::{Answer, ApprovalDoor, Approver, QuestionView},
    device_request::{DeviceRequest, DeviceResponse},
};

use crate::{
    args::ApprovalsCommand,
    context::Context,
    exit,
    out::{Cell, Out},
};

/// How often a watch looks for new questions: an answer should be possible within a second.
const LOOK: Duration = Duration::from_millis(300);

pub(crate) async fn run(context: &Context, command: ApprovalsCommand) -> anyhow::Result<u8> {
    let out = context.out;
    match command {
        ApprovalsCommand::List { watch: true } => watch(context).await,
        ApprovalsCommand::List { watch: false } => {
            let questions = open(context).await?;
            if out.is_json() {
                out.json(&questions)?;
            } else if questions.is_empty() {
                out.talk("No question is open.");
            } else {
                let rows: Vec<Vec<Cell>> = questions.iter().map(row).collect();
                out.table(&["TASK", "COMMAND", "IN", "CALLER", "WHY", "UNTIL"], &rows)?;
            }
            Ok(exit::OK)
        }
        ApprovalsCommand::Answer {
            task,
            answer,
            digest,
        } => {
            let questions = open(context).await?;
            let means = |question: &&QuestionView| {
                question.task_id.to_string() == task
                    || question.name.as_str() == task
                    || question.digest == task
            };
            // One that was answered is not listed any more, and the agent knows by whom.
            let task_id = match questions.iter().find(means) {
                Some(question) => question.task_id,
                None => match task.parse() {
                    Ok(task_id) => task_id,
                    Err(_) => {
                        let error = format!("no open question is about `{task}`");
                        return Err(Problem::new(ErrorCode::NoSuchQuestion, error).into());
                    }
                },
            };
            let request = DeviceRequest::AnswerApproval {
                task_id,
                digest,
                answer,
                by: Approver {
                    name: context.login(),
                    door: ApprovalDoor::Cli,
                    key_id: None,
                },
            };
            let response = context.control().device(request).await?;
            let DeviceResponse::ApprovalTaken { rule, .. } = &response else {
                bail!("understand the agent's answer: it is to another request");
            };
            if out.is_json() {
                out.json(&response)?;
            } else {
                out.talk(match (answer, rule) {
                    (Answer::No, _) => "Refused.".to_owned(),
                    (Answer::AlwaysHere, Some(rule)) => format!("Allowed, and wrote rule {rule}."),
                    (Answer::AlwaysHere, None) => {
                        "Allowed once: the rule could not be written; the log says why.".to_owned()
                    }
                    (Answer::Once, _) => "Allowed once.".to_owned(),
                });
            }
            Ok(exit::OK)
        }
    }
}

async fn open(context: &Context) -> anyhow::Result<Vec<QuestionView>> {
    match context
        .control()
        .device(DeviceRequest::ListApprovals)
        .await?
    {
        DeviceResponse::Approvals { questions } => Ok(questions),
        _ => bail!("understand the agent's answer: it is to another request"),
    }
}

/// Shows questions as they are asked, until Ctrl-C. Each look says that somebody is there, for
/// a minute.
async fn watch(context: &Context) -> anyhow::Result<u8> {
    let out = context.out;
    let mut shown = HashSet::new();
    loop {
        for question in open(context).await? {
            if shown.insert((question.task_id, question.digest.clone())) {
                show(out, &question)?;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    Ok(exit::OK)
}

fn show(out: Out, question: &QuestionView) -> anyhow::Result<()> {
    if out.is_json() {
        return Ok(out.json(question)?);
    }
    let network = match question.profile.network.is_empty() {
        true => "none".to_owned(),
        false => question.profile.network.join(", "),
    };
    out.line(format!("{} asks: {}", question.caller, question.command))?;
    out.line(format!("  in         {}", question.working_dir))?;
    out.line(format!("  why        {}", question.reason))?;
    out.line(format!("  network    {network}"))?;
    out.line(format!(
        "  may write  {}",
        match (question.profile.writable, question.profile.git_writes) {
            (false, _) => "nothing",
            (true, false) => "the workspace",
            (true, true) => "the workspace and .git",
        }
    ))?;
    if let Some(rule) = &question.always_here {
        out.line("  always_here would write:")?;
        for line in rule.lines() {
            out.line(format!("    {line}"))?;
        }
    }
    out.line(format!(
        "  deskhand approvals answer {} once|always_here|no",
        question.name
    ))?;
    Ok(())
}

fn row(question: &QuestionView) -> Vec<Cell> {
    vec![
        question.name.as_str().into(),
        question.command.as_str().into(),
        question.working_dir.as_str().into(),
        question.caller.as_str().into(),
        question.reason.as_str().into(),
        format!("{:.0}", question.expires_at).into(),
    ]
}
