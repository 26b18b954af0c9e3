//! Which queue would serve which entry of a configuration file, and why others would not. Changes nothing.
//!
//! Usage: `plan_queues CONFIG`, as root in the guest. Unbound EP11 queues do not tell their master key: only what is
//! bound already is known here. `pvapconfig --dry-run` looks closer.

use apbus::plan::{Problem, plan};
use apbus::{AssociationSecret, Bus, MAX_QUEUES, Wanted};
use std::error::Error;
use std::io::{Write, stdout};
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: plan_queues CONFIG")?;
    let config = apbus::config::parse(&std::fs::read(path)?)?;
    let inventory = Bus::open(Path::new("/sys"))?.inventory()?;
    // An agent asks the ultravisor for its list; here every secret of the file counts as added.
    let secrets = config.entries.iter().zip(0..).filter_map(|(entry, index)| match entry.wanted {
        Wanted::Ep11 { secret: id, .. } => Some(AssociationSecret { id, index }),
        Wanted::Accelerator => None,
    });
    let secrets: Vec<_> = secrets.collect();
    let (entries, queues) = (&config.entries, &inventory.queues);
    let plan = plan(&Problem { entries, queues, secrets: &secrets, limit: MAX_QUEUES, excluded: &[] });

    let mut out = stdout().lock();
    for (number, planned) in plan.assignments.iter().enumerate() {
        match planned {
            Ok(assignment) => writeln!(out, "entry #{}: {}", number + 1, assignment.queue)?,
            Err(reason) => writeln!(out, "entry #{} has no queue: {reason}", number + 1)?,
        }
    }
    plan.steps.iter().try_for_each(|step| writeln!(out, "step: {step}"))?;
    Ok(())
}
