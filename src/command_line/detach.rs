//! `detach`: takes the finalizers off, so that an uninstall leaves nothing hanging.

use super::print::tell;
use super::runtime;
use crate::controller::{self, Detached, Scope};
use std::io::Write as _;

const AFTER_HELP: &str = "Exit codes:
  0  no UserInvite there has the finalizer any more
  1  a controller is at work, or some have it still

Example:
  helm uninstall label-studio-operator && label-studio-operator detach";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Only in this namespace; repeat it for several. Without it: all namespaces.
    #[arg(long, value_name = "NS")]
    namespace: Vec<String>,

    /// Look for the Lease of a controller at work in this namespace only, for those who may not list Leases elsewhere.
    #[arg(long, value_name = "NS")]
    lease_namespace: Option<String>,
}

pub fn detach(Arguments { namespace, lease_namespace }: Arguments) -> anyhow::Result<()> {
    let scope = Scope { namespaces: namespace, lease_namespace };
    let detached = runtime::block_on(async {
        let kube = kube::Client::try_from(runtime::config().await?)?;
        Ok(controller::detach(&kube, &scope, tell).await?)
    })?;
    print(&detached)?;
    let Detached { left, .. } = &detached;
    anyhow::ensure!(
        left.is_empty(),
        "{} still {} the finalizer, or again: {}. Stop the controller that puts it back, or get the right to patch userinvites, \
         and run this again",
        invites(left.len()),
        if left.len() == 1 { "has" } else { "have" },
        named(left),
    );
    Ok(())
}

fn print(Detached { taken_off, .. }: &Detached) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (namespace, count) in taken_off {
        let going = if count.going > 0 { format!(", {} of them being deleted", count.going) } else { String::new() };
        writeln!(out, "{namespace}: took the finalizer off {}{going}", invites(count.all))?;
    }
    let all: usize = taken_off.values().map(|count| count.all).sum();
    if all == 0 {
        return writeln!(out, "no UserInvite has the finalizer: nothing was changed");
    }
    let namespaces = if taken_off.len() == 1 { "namespace" } else { "namespaces" };
    writeln!(out, "{} in {} {namespaces}; nobody's access was changed", invites(all), taken_off.len())
}

fn invites(count: usize) -> String {
    format!("{count} UserInvite{}", if count == 1 { "" } else { "s" })
}

/// A few of them.
fn named(left: &[String]) -> String {
    const FEW: usize = 5;
    let more = if left.len() > FEW { format!(" and {} more", left.len() - FEW) } else { String::new() };
    left.iter().take(FEW).cloned().collect::<Vec<_>>().join(", ") + &more
}
