//! `apply`: plan, question, and the rounds of the controller over the files, with a memory that ends with the run.

use super::declared::{PATHS, declared, environment};
use super::print::{Format, print, tell};
use super::progress::Progress;
use super::seen::{Live, Seen, report, see};
use super::{Answer, colour, runtime};
use crate::engine::approval::is_used;
use crate::engine::ledger::Kept;
use crate::engine::mark::MailPatience;
use crate::engine::observe::Unobserved;
use crate::engine::problem::Problem;
use crate::engine::rivals::is_same_place;
use crate::report::{OutcomeReport, Report, outcome_text, plan_text};
use crate::resources::Mode;
use crate::standalone::{self, CarriedOut, Ending, carry_out};
use anyhow::Context as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

const AFTER_HELP: &str = "Exit codes:
  0  all is done
  1  it failed, was stopped, or nobody agreed: run it again
  3  something is held that a person has to look at, or by spec.suspend or spec.mode

Example:
  label-studio-operator apply people/ --yes";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[arg(required = true, value_name = "PATH", help = PATHS)]
    paths: Vec<PathBuf>,

    /// Do not ask.
    #[arg(short, long)]
    yes: bool,

    /// Have done what a guard holds under this digest, which `plan` prints. Repeat it for several.
    #[arg(long, value_name = "DIGEST")]
    approve: Vec<String>,

    /// Say that nobody of these files was invited before. It is asked for by a server that lists no open invitations, where nobody
    /// can know.
    #[arg(long)]
    first_invitation: bool,

    /// Text for people, or JSON for tools.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,

    // Hidden: tests shorten these; nobody else has a reason to.
    #[arg(long, hide = true, env = "LABEL_STUDIO_OPERATOR_MAIL_TIMEOUT_MS", default_value_t = 120_000)]
    mail_timeout_ms: u64,
    #[arg(long, hide = true, env = "LABEL_STUDIO_OPERATOR_MAIL_SETTLE_MS", default_value_t = 60_000)]
    mail_settle_ms: u64,
}

const STOPPED: &str = "stopped: run it again to do the rest";
/// What is left of a held set is another set.
const APPROVE_ANEW: &str = "; what was approved has to be approved anew, by the digest that `plan` prints then";

/// The form of the JSON. It changes only with a line in the changelog.
const VERSION: u32 = 1;

/// Nobody is mailed by what was seen longer ago than this, or before somebody was asked.
const FRESH: Duration = Duration::from_secs(5);

pub fn apply(arguments: &Arguments) -> anyhow::Result<Answer> {
    let objects = declared(&arguments.paths)?;
    let environment = environment();
    let kept = Kept::ForOneRun { first_invitation: arguments.first_invitation };
    runtime::block_on(async {
        let seen = see(&objects, &environment, kept, &arguments.approve).await?;
        approvals_name_something(&arguments.approve, &seen)?;
        let reports = seen.iter().map(|seen| seen.report.clone()).collect();
        let report = Report::new(reports, objects.homeless.clone());
        let plan = plan_text(&report, colour::paint);
        let to_do: usize = seen.iter().filter(|seen| may_write(seen)).map(|seen| seen.report.changes.len()).sum();
        match arguments.output {
            Format::Text => print(&plan)?,
            // Nobody agrees to what was not shown.
            Format::Json if to_do > 0 && !arguments.yes => tell(&plan),
            Format::Json => {}
        }
        if to_do > 0 && !arguments.yes && !agreed(to_do, &arguments.paths)? {
            anyhow::bail!("nothing was changed");
        }
        let stop = stopped_by_signal()?;
        let mut outcomes = Vec::new();
        for seen in seen {
            // Boxed, since it is large.
            outcomes.push(Box::pin(apply_one(seen, arguments, kept, &stop)).await);
        }
        if to_do > 0 || arguments.output == Format::Json {
            let notes = &objects.homeless;
            print(&match arguments.output {
                Format::Text => outcomes
                    .iter()
                    .fold(String::new(), |text, outcome| text + "\n" + &outcome_text(outcome, colour::paint)),
                Format::Json => {
                    let told = serde_json::json!({ "version": VERSION, "organizations": outcomes, "notes": notes });
                    format!("{told:#}\n")
                }
            })?;
        }
        let failed = outcomes.iter().any(|outcome| outcome.error.is_some());
        let held = outcomes.iter().any(OutcomeReport::is_held);
        Ok(match (failed, held) {
            (true, _) => Answer::Code(1),
            (false, true) => Answer::Code(3),
            (false, false) => Answer::Yes,
        })
    })
}

fn may_write(seen: &Seen) -> bool {
    seen.live.is_some() && seen.group.organization.spec.mode == Mode::Enforce
}

/// A digest that approves nothing should not be taken for one that does.
fn approvals_name_something(approve: &[String], seen: &[Seen]) -> anyhow::Result<()> {
    let is_held = seen.iter().any(|seen| !seen.report.approvable.is_empty());
    for digest in approve {
        let mut live = seen.iter().filter_map(|seen| seen.live.as_ref());
        if live.any(|live| is_used(&live.look.ledger, digest)) {
            continue;
        }
        // A run that is repeated once all of it is done should not fail.
        anyhow::ensure!(
            !is_held,
            "--approve {digest}: nothing is held under this digest: look at what `plan` prints now, and approve that"
        );
        tell(&format!("warning: --approve {digest}: nothing is held that could be approved"));
    }
    Ok(())
}

/// Asks on the terminal. Without one nobody can be asked, and nothing is done.
fn agreed(changes: usize, paths: &[PathBuf]) -> anyhow::Result<bool> {
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let read_from = paths.iter().any(|path| path == Path::new("-"));
    anyhow::ensure!(
        terminal && !read_from,
        "nobody can be asked whether to make these {changes} changes, since this is no terminal: look at the plan, then add --yes"
    );
    let question = format!("Make these {changes} changes? [y/N] ");
    anstream::stderr().write_all(question.as_bytes()).context("nobody can be asked")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("no answer could be read")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// True after the first Ctrl-C or SIGTERM; the second ends the process at once.
fn stopped_by_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (stopping, stop) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        stopping.send_replace(true);
        tell("\nstopping: what is in flight ends, nothing new starts; once more stops at once");
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        std::process::exit(1);
    });
    Ok(stop)
}

fn stopped(arguments: &Arguments) -> String {
    let approved = if arguments.approve.is_empty() { "" } else { APPROVE_ANEW };
    format!("{STOPPED}{approved}")
}

async fn apply_one(seen: Seen<'_>, arguments: &Arguments, kept: Kept, stop: &watch::Receiver<bool>) -> OutcomeReport {
    let organization = &seen.group.organization;
    let idle = !may_write(&seen) || seen.report.changes.is_empty();
    let Seen { live, report: agreed, group } = seen;
    let Some(Live { client, names, mut look }) = live.filter(|_| !idle) else {
        return OutcomeReport::untouched(&agreed);
    };
    let not_begun = |why: String| OutcomeReport::not_begun(&agreed, why);
    if *stop.borrow() {
        return not_begun(stopped(arguments));
    }
    let problem = |error: &Unobserved| Problem::from_unobserved(error, &names);
    if !arguments.yes || look.snapshot.begun.elapsed() > FRESH {
        match standalone::look(&client, group, kept, &arguments.approve).await {
            Ok(anew) if !is_same_place(&look.snapshot.target, &anew.snapshot.target) => {
                let (before, now) = (&look.snapshot.target, &anew.snapshot.target);
                return not_begun(format!(
                    "the plan was about organization {}, and by now the token belongs to organization {}: nothing is done there; see whose token it is",
                    before.organization_id, now.organization_id
                ));
            }
            Ok(anew) => look = anew,
            Err(error) => return not_begun(problem(&error).to_string()),
        }
    }
    let planned = report(group, &look);
    if !arguments.yes && planned.changes != agreed.changes {
        return not_begun(
            "what would be done is not what it was when you were asked, so nothing of it is done: run this again"
                .to_owned(),
        );
    }
    let rate = organization.spec.rate_limit.requests_per_second;
    let mut progress = Progress::new(&planned.name, planned.changes.len(), look.plan.steps.len(), rate);
    let mail = MailPatience {
        timeout: Duration::from_millis(arguments.mail_timeout_ms),
        settle: Duration::from_millis(arguments.mail_settle_ms),
    };
    let CarriedOut { left, unknown, hides, deeds, ending } =
        Box::pin(carry_out(&client, look, mail, &mut progress, stop.clone())).await;
    progress.end();
    if hides && !arguments.first_invitation {
        tell(&format!(
            "warning: Organization {}: the server lists no open invitations, so the next run cannot know whom this one has mailed: take them out first, and do not run this unattended",
            planned.name
        ));
    }
    let error = match ending {
        Ending::Settled => None,
        Ending::Stopped => Some(stopped(arguments)),
        Ending::Doubtful => Some(
            "the server's list of members cannot be trusted, so nothing more is done: run it again, and ask `doctor` if it stays"
                .to_owned(),
        ),
        Ending::Failed(error) => Some(Problem::from_client(&error, &names).to_string()),
        Ending::Unobserved(error) => Some(problem(&error).to_string()),
    };
    OutcomeReport::new(&planned, report(group, &left), &left.desired, &deeds, unknown, error)
}
