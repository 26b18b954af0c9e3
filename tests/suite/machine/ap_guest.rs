//! A simulated guest with an AP bus, and the product in it.

use crate::support::{Run, Scratch, clean, program_for};
use pvsim::{Fault, GuestServer, Machine, ap};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

pub(crate) struct ApGuest {
    pub(crate) scratch: Scratch,
    pub(crate) machine: Machine,
    server: GuestServer,
}

/// A machine to be copied: making one takes longer than anything else here.
pub(crate) struct Template(Scratch);

impl Template {
    pub(crate) fn new(inventory: &str) -> Self {
        let scratch = Scratch::new();
        Machine::init(&scratch.join("machine"), Some(inventory)).unwrap();
        Self(scratch)
    }

    /// A guest of its own, with `config` as `config.yaml`.
    pub(crate) fn guest(&self, config: &str) -> ApGuest {
        let scratch = Scratch::new();
        copy(&self.0.join("machine"), &scratch.join("machine"));
        scratch.write("config.yaml", config);
        let machine = Machine::open(&scratch.join("machine")).unwrap();
        let on_error = |error: &pvsim::Error| panic!("the simulator itself failed: {error}");
        let server = GuestServer::start(machine.clone(), ap::parts(&machine, on_error), on_error).unwrap();
        ApGuest { scratch, machine, server }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

impl ApGuest {
    pub(crate) fn new(inventory: &str, config: &str) -> Self {
        Template::new(inventory).guest(config)
    }

    pub(crate) fn command(&self, tool: &str, args: &[&str]) -> Command {
        let mut command = self.server.command(program_for(tool, args.first().map(AsRef::as_ref)));
        clean(&mut command);
        command.arg0(tool).args(args).current_dir(self.scratch.path());
        command
    }

    /// By the link that is installed: the kernel takes a process's name from it.
    pub(crate) fn installed(&self, tool: &str, args: &[&str]) -> Command {
        let mut command = self.server.command(self.scratch.link_tool(tool.as_ref()));
        clean(&mut command);
        command.args(args).current_dir(self.scratch.path());
        command
    }

    pub(crate) fn run(&self, tool: &str, args: &[&str]) -> Run {
        Run::of(&mut self.command(tool, args), b"")
    }

    /// pvapconfig with the configuration.
    pub(crate) fn configure(&self, args: &[&str]) -> Run {
        self.run("pvapconfig", &[args, &["-c", "config.yaml"]].concat())
    }

    /// The state of each queue when everything that is under way has ended.
    pub(crate) fn states(&self) -> BTreeMap<String, String> {
        let queues = self.machine.show_bus().unwrap().queues;
        queues.into_iter().map(|(id, queue)| (id.to_string(), queue.settled.to_string())).collect()
    }

    #[track_caller]
    pub(crate) fn expect(&self, states: &[(&str, &str)]) {
        let expected: BTreeMap<_, _> = states.iter().map(|(id, state)| ((*id).into(), (*state).into())).collect();
        assert_eq!(self.states(), expected);
    }

    /// How often attributes were written to.
    pub(crate) fn writes(&self) -> usize {
        self.machine.writes().unwrap().len()
    }

    pub(crate) fn order(&self, op: &str, queue: &str, act: &str, skip: u64) {
        let queue = Some(queue.to_owned()).filter(|queue| !queue.is_empty());
        self.machine.order(Fault { op: op.into(), command: None, queue, act: act.into(), skip, count: 1 }).unwrap();
    }

    /// The lock file as the guest sees it.
    pub(crate) fn lock_file(&self) -> std::path::PathBuf {
        self.scratch.join("machine/root/run/lock/pvapconfig.lock")
    }
}
