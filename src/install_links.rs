//! `pvtools --install-links DIR`: a link for each tool that was compiled in.

use crate::Applet;
use crate::shared::error::{Failure, Outcome};
use crate::shared::system::System;
use anyhow::{Context, bail};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Component, Path, PathBuf};
use uvtypes::text::shown_path;

/// Makes relative links in `folder` to `program`: all, or none. What is there and leads to the program stays; anything
/// else that is there is refused, and nothing is made.
pub(crate) fn install(folder: &Path, program: &Path, system: &mut System) -> Result<Outcome, Failure> {
    let (made, there) = links(folder, program)?;
    system.status(&format!("Successfully made {made} links in '{}'; {there} existed already", shown_path(folder)));
    Ok(Outcome::Done)
}

fn links(folder: &Path, program: &Path) -> anyhow::Result<(usize, usize)> {
    let cannot = || format!("Cannot make links in '{}'", shown_path(folder));
    let real = fs::canonicalize(folder).with_context(cannot)?;
    let program = fs::canonicalize(program).context("Cannot tell where this program is")?;
    let ours = program.metadata().with_context(cannot)?;
    let target = relative(&real, &program).with_context(cannot)?;
    let (mut missing, mut there) = (Vec::new(), 0);
    for applet in Applet::ALL.iter().filter(|applet| applet.has_link()) {
        let link = real.join(applet.name);
        match link.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => missing.push(link),
            Err(error) => return Err(error).with_context(|| format!("Cannot look at '{}'", shown_path(&link))),
            // Also by another path.
            Ok(found) if found.is_symlink() && leads_to(&link, &ours) => there += 1,
            Ok(_) => bail!("Cannot make the link '{}': something else is there; nothing was made", shown_path(&link)),
        }
    }
    let mut made: Vec<PathBuf> = Vec::new();
    for link in missing {
        // Fails if anything has appeared there meanwhile.
        if let Err(error) = symlink(&target, &link) {
            // The error to report is the one that led here.
            made.iter().for_each(|link| drop(fs::remove_file(link)));
            return Err(error).with_context(|| format!("Cannot make the link '{}'; none was made", shown_path(&link)));
        }
        made.push(link);
    }
    Ok((made.len(), there))
}

fn leads_to(link: &Path, program: &fs::Metadata) -> bool {
    fs::metadata(link).is_ok_and(|found| (found.dev(), found.ino()) == (program.dev(), program.ino()))
}

/// The path of `file` as seen from `folder`. Both are absolute and without links.
fn relative(folder: &Path, file: &Path) -> anyhow::Result<PathBuf> {
    let common = folder.components().zip(file.components()).take_while(|(one, other)| one == other).count();
    let up = folder.components().skip(common).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(file.components().skip(common)).collect();
    if path.as_os_str().is_empty() {
        bail!("it is the program itself")
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative() {
        for (folder, file, expected) in [
            ("/usr/bin", "/usr/bin/pvtools", "pvtools"),
            ("/usr/local/bin", "/usr/bin/pvtools", "../../bin/pvtools"),
            ("/", "/usr/bin/pvtools", "usr/bin/pvtools"),
            ("/a/b", "/c", "../../c"),
        ] {
            assert_eq!(relative(Path::new(folder), Path::new(file)).unwrap(), Path::new(expected), "{folder} {file}");
        }
    }
}
