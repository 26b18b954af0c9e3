//! `pvtools trust-bundle`: everything that judging host keys needs, in one folder.

use crate::shared::cli::{self, Verbosity};
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::host_keys::{Bundle, HostKeyArgs};
use crate::shared::output::{Outputs, Privacy};
use crate::shared::system::System;
use anyhow::{Context, anyhow};
use clap::{CommandFactory, Parser};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use uvtypes::text::shown_path;

/// Collect everything that verifying host keys needs into one folder
///
/// Verifies the host-key documents, downloading CRLs where needed, and writes documents, certificates and CRLs into a
/// folder. On a machine without a network, the options that are printed then do the same verification with '--offline'.
#[derive(Parser)]
#[command(name = "trust-bundle", bin_name = "pvtools trust-bundle", version, disable_version_flag = true)]
#[command(after_help = "Exit status: 0 if the folder is complete, 1 otherwise, 2 for a wrong command line.")]
struct Arguments {
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(flatten)]
    host_keys: HostKeyArgs,
    /// Write the files into this folder, which is made if it is not there
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
    /// Print the version
    #[arg(long, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run(args, UsageStatus::Own, system, |args: Arguments, system| {
        args.verbosity.apply(system);
        if args.host_keys.no_verify() {
            return Err(anyhow!("'--no-verify' makes no sense here: there would be nothing to collect").into());
        }
        if args.output.as_os_str().as_encoded_bytes().contains(&b',')
            || shown_path(&args.output) != args.output.to_string_lossy()
        {
            let folder = shown_path(&args.output);
            return Err(anyhow!(
                "Cannot make a bundle in '{folder}': its options cannot have ',', nor what is not shown"
            )
            .into());
        }
        let bundle = Bundle::collect(&args.host_keys, system)?;
        std::fs::create_dir_all(&args.output)
            .with_context(|| format!("Cannot make the folder '{}'", shown_path(&args.output)))?;
        let mut outputs = Outputs::default();
        let mut options = String::new();
        let parts =
            [("hkd", "-k", bundle.documents), ("cert", "-C", bundle.certificates), ("crl", "--crl", bundle.crls)];
        let parts = parts.into_iter().chain([("root", "--root-ca", bundle.root.into_iter().collect())]);
        for (name, option, contents) in parts {
            for (number, content) in contents.iter().enumerate() {
                let path = args.output.join(format!("{name}-{}.pem", number + 1));
                options.push_str(&format!("{option} {} ", quoted(&path)));
                outputs.add(&path, content, Privacy::Public, "the bundle")?;
            }
        }
        let options = format!("{options}--offline\n");
        outputs.add(Path::new("-"), options.as_bytes(), Privacy::Public, "the options")?;
        outputs.publish(system)?;
        system.status(&format!("Successfully wrote the bundle to '{}'", shown_path(&args.output)));
        Ok(Outcome::Done)
    })
}

/// As a shell reads it back.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_read_names_back() {
        for name in ["plain", "with blank", "it's", "tb'; touch X; '", "$HOME `id` \\ \"", "-n"] {
            let script = format!("printf %s {}", quoted(Path::new(name)));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), name);
        }
    }
}
