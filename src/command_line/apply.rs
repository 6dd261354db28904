//! `apply`: plan, question, and the rounds of the controller over the files, with a memory that ends with the run.

use super::declared::{declared, environment};
use super::print::print;
use super::progress::Progress;
use super::seen::{Live, Seen, report, see};
use super::{Answer, colour, runtime};
use crate::engine::approval::is_used;
use crate::engine::ledger::Kept;
use crate::engine::mark::MailPatience;
use crate::engine::observe::Unobserved;
use crate::engine::problem::Problem;
use crate::report::{OutcomeReport, Report, outcome_text, plan_text};
use crate::resources::Mode;
use crate::standalone::{self, CarriedOut, Ending, carry_out};
use anyhow::Context as _;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

const AFTER_HELP: &str = "Exit codes:
  0  all is done
  1  it failed, was stopped, or nobody agreed: run it again
  3  something is held that a person has to look at

Example:
  label-studio-operator apply people/ --yes";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Files, folders (*.yaml, *.yml and *.json in them and below) or - for standard input.
    #[arg(required = true, value_name = "PATH")]
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

#[derive(Clone, Copy, Eq, PartialEq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

const STOPPED: &str = "stopped: run it again to do the rest";

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
            Format::Json if to_do > 0 && !arguments.yes => anstream::eprint!("{plan}"),
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
            tell(&outcomes, arguments.output)?;
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
    for digest in approve {
        let mut live = seen.iter().filter_map(|seen| seen.live.as_ref());
        anyhow::ensure!(
            live.any(|live| is_used(&live.look.ledger, digest)),
            "--approve {digest}: nothing is held under this digest: look at what `plan` prints now, and approve that"
        );
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
    anstream::eprint!("Make these {changes} changes? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("no answer could be read")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// True after the first Ctrl-C or SIGTERM; the second ends the process at once.
fn stopped_by_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (tell, stop) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tell.send_replace(true);
        anstream::eprintln!("\nstopping: what is in flight ends, nothing new starts; once more stops at once");
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        std::process::exit(1);
    });
    Ok(stop)
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
        return not_begun(STOPPED.to_owned());
    }
    let problem = |error: &Unobserved| Problem::from_unobserved(error, &names);
    if !arguments.yes || look.snapshot.begun.elapsed() > FRESH {
        match standalone::look(&client, group, kept, &arguments.approve).await {
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
        anstream::eprintln!(
            "warning: Organization {}: the server lists no open invitations, so the next run cannot know whom this one has mailed: take them out first, and do not run this unattended",
            planned.name
        );
    }
    let error = match ending {
        Ending::Settled => None,
        Ending::Stopped => Some(STOPPED.to_owned()),
        Ending::Doubtful => Some(
            "the server's list of members cannot be trusted, so nothing more is done: run it again, and ask `doctor` if it stays"
                .to_owned(),
        ),
        Ending::Failed(error) => Some(Problem::from_client(&error, &names).to_string()),
        Ending::Unobserved(error) => Some(problem(&error).to_string()),
    };
    OutcomeReport::new(&planned, report(group, &left), &left.desired, &deeds, unknown, error)
}

fn tell(outcomes: &[OutcomeReport], output: Format) -> anyhow::Result<()> {
    let text: Vec<String> = match output {
        Format::Text => outcomes.iter().map(|outcome| format!("\n{}", outcome_text(outcome, colour::paint))).collect(),
        Format::Json => vec![format!("{:#}\n", serde_json::json!({ "version": 1, "organizations": outcomes }))],
    };
    print(&text.concat())
}
