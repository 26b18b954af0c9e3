//! `xtask install`: puts everything where a package wants it.

use crate::completions;
use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use pvtools::Applet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the program of a guest is installed.
const GUEST: &str = "bin/pvtools-guest";
/// The script of the initial ramdisk.
const EARLY: &str = "lib/pvtools/early";
/// What a guest needs beside the program: file below `packaging/`, where it is installed, mode.
const GUEST_FILES: [(&str, &str, u32); 10] = [
    ("guest/early.sh", EARLY, 0o755),
    ("guest/module-setup.sh", "lib/dracut/modules.d/95pvtools/module-setup.sh", 0o755),
    ("guest/pvtools-early.service", "lib/dracut/modules.d/95pvtools/pvtools-early.service", 0o644),
    ("guest/initramfs-hook.sh", "share/initramfs-tools/hooks/pvtools", 0o755),
    ("guest/initramfs-script.sh", "share/initramfs-tools/scripts/init-premount/pvtools", 0o755),
    ("systemd/pvapconfig.service", "lib/systemd/system/pvapconfig.service", 0o644),
    ("systemd/pvapconfig.path", "lib/systemd/system/pvapconfig.path", 0o644),
    ("systemd/pvtools-secrets.service", "lib/systemd/system/pvtools-secrets.service", 0o644),
    ("../man/pvtools-guest.8", "share/man/man8/pvtools-guest.8", 0o644),
    ("systemd/90-pvtools.rules", "lib/udev/rules.d/90-pvtools.rules", 0o644),
];

#[derive(Args)]
pub(crate) struct Options {
    /// Folder that stands for the root of the target system
    #[arg(long, value_name = "D", default_value = "/")]
    destdir: PathBuf,
    /// Where the files will be, seen from the target system
    #[arg(long, value_name = "P", default_value = "/usr/local")]
    prefix: PathBuf,
    /// What to install
    #[arg(long, value_enum, default_value_t = Part::All)]
    part: Part,
    /// Install this program instead of building it
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Build from vendored or already fetched sources alone
    #[arg(long, conflicts_with = "program")]
    offline: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Everything
    All,
    /// What can stand beside s390-tools: the program, man pages in the sections 1pvtools and 8pvtools
    Program,
    /// What takes the place of s390-tools' files: links, man pages in the sections 1 and 8, completions
    Links,
    /// What a guest needs: its program without OpenSSL, hooks for the initial ramdisk, systemd units, a udev rule
    Guest,
}

pub(crate) fn run(options: &Options, workspace: &Path) -> anyhow::Result<()> {
    ensure!(options.prefix.is_absolute(), "--prefix has to be an absolute path");
    let target = Target::new(&options.destdir, &options.prefix);
    if options.part == Part::Guest {
        let program = match &options.program {
            Some(program) => program.clone(),
            None => build_guest(workspace)?,
        };
        target.copy(&program, GUEST, 0o755)?;
        return GUEST_FILES.iter().try_for_each(|(from, to, mode)| {
            let from = workspace.join("packaging").join(from);
            target.fill_in(&from, to, *mode)
        });
    }
    if options.part != Part::Links {
        let program = match &options.program {
            Some(program) => program.clone(),
            None => build(workspace, options.offline)?,
        };
        target.copy(&program, "bin/pvtools", 0o755)?;
        completions::install(&completions::umbrella(), &target.path("share"))?;
    }
    if options.part != Part::Program {
        for applet in Applet::ALL.iter().filter(|applet| applet.has_link()) {
            // Where s390-tools has these, so that a link stands in their place and not behind them.
            let (points_to, folder) =
                if applet.name.ends_with("zcrypt") { ("../bin/pvtools", "sbin") } else { ("pvtools", "bin") };
            target.link(points_to, &format!("{folder}/{}", applet.name))?;
            completions::install(&(applet.command)(), &target.path("share"))?;
        }
    }
    let pages = man_pages(&workspace.join("man"))?;
    // That one is among the guest's files.
    for page in pages.into_iter().filter(|page| page.name != "pvtools-guest") {
        // What s390-tools has no file for needs no section of its own.
        let ManPage { name, section, path } = &page;
        let beside = if page.is_of("pvtools") { section.clone() } else { format!("{section}pvtools") };
        let to = |suffix| format!("share/man/man{section}/{name}.{suffix}");
        match options.part {
            Part::All => target.copy(path, &to(section), 0o644)?,
            Part::Program => target.copy(path, &to(&beside), 0o644)?,
            Part::Links if beside == *section => {}
            Part::Links => target.link(&format!("{name}.{beside}"), &to(section))?,
            Part::Guest => {}
        }
    }
    Ok(())
}

/// Builds the program of a guest and returns where it is.
fn build_guest(workspace: &Path) -> anyhow::Result<PathBuf> {
    let built =
        Command::new(workspace.join("packaging/guest.sh")).output().context("cannot start packaging/guest.sh")?;
    ensure!(built.status.success(), "the build failed: {}", String::from_utf8_lossy(&built.stderr));
    let path = String::from_utf8(built.stdout).context("packaging/guest.sh printed no path")?;
    Ok(workspace.join(path.trim()))
}

/// Builds the release program and returns where it is.
fn build(workspace: &Path, offline: bool) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace).args(["build", "--release", "--locked", "--package", "pvtools", "--bin", "pvtools"]);
    if offline {
        command.arg("--offline");
    }
    ensure!(command.status().context("cannot start cargo")?.success(), "the build failed");
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let folder = match std::env::var_os("CARGO_BUILD_TARGET") {
        Some(triple) => folder.join(triple),
        None => folder,
    };
    Ok(folder.join("release/pvtools"))
}

/// A page below `man/`.
struct ManPage {
    /// File name without the section.
    name: String,
    section: String,
    path: PathBuf,
}

impl ManPage {
    /// Whether this is the page of `tool` or of one of its subcommands.
    fn is_of(&self, tool: &str) -> bool {
        self.name.strip_prefix(tool).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

fn man_pages(folder: &Path) -> anyhow::Result<Vec<ManPage>> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list '{}'", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.rsplit_once('.'));
        if let Some((name, section)) = name {
            pages.push(ManPage { name: name.to_owned(), section: section.to_owned(), path: path.clone() });
        }
    }
    pages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(pages)
}

/// The tree that is installed into.
struct Target {
    /// The prefix as the target system sees it.
    prefix: PathBuf,
    /// The prefix as this system sees it.
    root: PathBuf,
}

impl Target {
    fn new(destdir: &Path, prefix: &Path) -> Self {
        Self { prefix: prefix.to_owned(), root: destdir.join(prefix.strip_prefix("/").unwrap_or(prefix)) }
    }

    /// Where `name` is installed.
    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn copy(&self, from: &Path, name: &str, mode: u32) -> anyhow::Result<()> {
        let bytes = fs::read(from).with_context(|| format!("cannot read '{}'", from.display()))?;
        self.write(&bytes, name, mode)
    }

    fn write(&self, bytes: &[u8], name: &str, mode: u32) -> anyhow::Result<()> {
        let to = self.make_way(name)?;
        fs::write(&to, bytes)
            .and_then(|()| fs::set_permissions(&to, Permissions::from_mode(mode)))
            .with_context(|| format!("cannot write '{}'", to.display()))
    }

    fn link(&self, points_to: &str, name: &str) -> anyhow::Result<()> {
        let at = self.make_way(name)?;
        symlink(points_to, &at).with_context(|| format!("cannot make the link '{}'", at.display()))
    }

    /// Scripts and units name program and script by their installed paths.
    fn fill_in(&self, from: &Path, name: &str, mode: u32) -> anyhow::Result<()> {
        let text = fs::read_to_string(from).with_context(|| format!("cannot read '{}'", from.display()))?;
        let path = |name| self.prefix.join(name).to_string_lossy().into_owned();
        let text = text.replace("@PROGRAM@", &path(GUEST)).replace("@EARLY@", &path(EARLY));
        self.write(text.as_bytes(), name, mode)
    }

    /// Makes the folder of `name` and removes what stands in its place: writing through an old link would
    /// overwrite the program it points to, and a running program cannot be overwritten at all.
    fn make_way(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make '{}'", folder.display()))?;
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot replace '{}'", path.display()))
            }
            _ => Ok(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything below `folder` as sorted paths, links with what they point to.
    fn tree(folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![folder.to_owned()];
        while let Some(next) = open.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                let shown = path.strip_prefix(folder).unwrap().display().to_string();
                match fs::read_link(&path) {
                    Ok(points_to) => found.push(format!("{shown} -> {}", points_to.display())),
                    Err(_) if path.is_dir() => open.push(path),
                    Err(_) => found.push(shown),
                }
            }
        }
        found.sort();
        found
    }

    fn install(part: Part) -> (tempfile::TempDir, Vec<String>) {
        let destdir = tempfile::tempdir().unwrap();
        let program = destdir.path().join("built");
        fs::write(&program, "program").unwrap();
        let options = Options {
            destdir: destdir.path().to_owned(),
            prefix: "/usr".into(),
            part,
            program: Some(program),
            offline: false,
        };
        // Twice: over an existing installation it does the same.
        run(&options, &crate::workspace()).unwrap();
        run(&options, &crate::workspace()).unwrap();
        let files = tree(&destdir.path().join("usr"));
        (destdir, files)
    }

    #[test]
    fn links_every_tool_with_page_and_completions() {
        let (_destdir, files) = install(Part::All);
        for applet in Applet::ALL {
            let (section, folder, up) =
                if applet.name.ends_with("zcrypt") { (8, "sbin", "../bin/") } else { (1, "bin", "") };
            for file in [
                format!("{folder}/{} -> {up}pvtools", applet.name),
                format!("share/man/man{section}/{}.{section}", applet.name),
                format!("share/bash-completion/completions/{}.bash", applet.name),
                format!("share/zsh/site-functions/_{}", applet.name),
                format!("share/fish/vendor_completions.d/{}.fish", applet.name),
            ] {
                assert_eq!(files.contains(&file), applet.has_link(), "{file}");
            }
        }
    }

    #[test]
    fn the_parts_share_no_file_and_every_man_link_has_its_page() {
        let (_program_tree, program) = install(Part::Program);
        let (_links_tree, links) = install(Part::Links);
        let (_guest_tree, guest) = install(Part::Guest);
        assert!(program.contains(&"bin/pvtools".to_owned()), "{program:?}");
        assert!(links.iter().all(|file| !program.contains(file)), "{links:?}");
        assert!(guest.iter().all(|file| !program.contains(file) && !links.contains(file)), "{guest:?}");
        for link in links.iter().filter(|file| file.starts_with("share/man")) {
            let (at, page) = link.split_once(" -> ").unwrap();
            let folder = Path::new(at).parent().unwrap().display();
            assert!(program.contains(&format!("{folder}/{page}")), "{link}");
        }
    }

    /// rpmbuild refuses a package that leaves an installed file out.
    #[test]
    fn each_file_is_in_one_of_the_rpm_packages() {
        let spec = fs::read_to_string(crate::workspace().join("packaging/rpm/pvtools.spec")).unwrap();
        let packages: Vec<&str> =
            spec.split("\n%files").skip(1).map(|list| list.split("\n\n").next().unwrap()).collect();
        assert_eq!(packages.len(), 3);
        let (_destdir, files) = install(Part::All);
        for file in &files {
            let file = file.split(" -> ").next().unwrap();
            let is_in = |list: &&&str| {
                let named = |exclude: bool| {
                    list.lines().any(|line| {
                        let (word, is_exclude) =
                            line.strip_prefix("%exclude ").map_or((line, false), |word| (word, true));
                        let path = word.replace("%{_bindir}", "bin").replace("%{_mandir}", "share/man");
                        let path = path
                            .replace("%{_datadir}", "share")
                            .replace("%{_sbindir}", "sbin")
                            .replace("%{_prefix}/", "");
                        is_exclude == exclude && fits(&path, file)
                    })
                };
                named(false) && !named(true)
            };
            assert_eq!(packages.iter().filter(is_in).count(), 1, "{file}");
        }
    }

    /// Whether `file` is what `pattern`, in which `*` is any part of a name, stands for.
    fn fits(pattern: &str, file: &str) -> bool {
        match pattern.split_once('*') {
            None => pattern == file,
            Some((start, rest)) => file.strip_prefix(start).is_some_and(|left| {
                (0..=left.len()).take_while(|end| !left[..*end].contains('/')).any(|end| fits(rest, &left[end..]))
            }),
        }
    }

    #[test]
    fn what_a_guest_starts_is_where_it_is_installed() {
        let (destdir, files) = install(Part::Guest);
        assert_eq!(files.len(), 1 + GUEST_FILES.len(), "{files:?}");
        let mut named = 0;
        for file in files.iter().filter(|file| *file != GUEST) {
            let text = fs::read_to_string(destdir.path().join("usr").join(file)).unwrap();
            assert!(!text.contains("@PROGRAM@") && !text.contains("@EARLY@"), "{file}");
            named += usize::from(text.contains("/usr/bin/pvtools-guest") || text.contains("/usr/lib/pvtools/early"));
        }
        assert_eq!(named, 8);
        let unit = fs::read_to_string(destdir.path().join("usr/lib/systemd/system/pvapconfig.service")).unwrap();
        assert!(unit.contains("ExecStart=/usr/bin/pvtools-guest pvapconfig\n"), "{unit}");
    }
}
