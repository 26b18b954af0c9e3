//! pvsecret add, list, lock, retrieve: in one process with the simulator's ultravisor, and without any.

use crate::recorded;

#[test]
fn guest_commands_take_the_recorded_command_lines() {
    recorded::compare("pvsecret", |argv| {
        argv.first().is_some_and(|command| ["add", "list", "lock", "retrieve", "retr"].contains(&command.as_str()))
    });
}
