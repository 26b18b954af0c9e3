//! Completion scripts from the command lines that the program itself parses with.

use anyhow::Context;
use clap::{Arg, Command};
use clap_complete::Shell;
use pvtools::Applet;
use std::fs;
use std::path::{Path, PathBuf};

/// The shells that scripts are written for, each with the folder below `share` that it looks in.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/site-functions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

/// Writes the scripts of every tool and of `pvtools` into `folder`.
pub(crate) fn write_all(folder: &Path) -> anyhow::Result<()> {
    for command in std::iter::once(umbrella()).chain(Applet::ALL.iter().map(|applet| (applet.command)())) {
        for (shell, _) in SHELLS {
            let path = folder.join(file_name(shell, command.get_name()));
            write(shell, &command, &path)?;
        }
    }
    Ok(())
}

/// Installs the scripts of `command` where the shells look for them below the folder `share`.
pub(crate) fn install(command: &Command, share: &Path) -> anyhow::Result<()> {
    for (shell, folder) in SHELLS {
        write(shell, command, &share.join(folder).join(file_name(shell, command.get_name())))?;
    }
    Ok(())
}

/// The command line of `pvtools`: every applet is a subcommand.
pub(crate) fn umbrella() -> Command {
    Command::new("pvtools")
        .about("Tools for IBM Secure Execution for Linux")
        .disable_help_subcommand(true)
        .arg(Arg::new("list").long("list").num_args(0).help("Print the names of the tools"))
        .arg(Arg::new("version").short('V').long("version").num_args(0).help("Print the version"))
        .subcommands(Applet::ALL.iter().map(|applet| (applet.command)()))
}

fn file_name(shell: Shell, tool: &str) -> PathBuf {
    // As s390-tools names them, so that one package's file replaces the other's.
    match shell {
        Shell::Zsh => format!("_{tool}"),
        Shell::Fish => format!("{tool}.fish"),
        _ => format!("{tool}.bash"),
    }
    .into()
}

fn write(shell: Shell, command: &Command, path: &Path) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command.clone(), command.get_name(), &mut script);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make '{}'", folder.display()))?;
    }
    fs::write(path, script).with_context(|| format!("cannot write '{}'", path.display()))
}
