//! The shared libraries that a program needs, found as its loader would.

use crate::Error;
use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a Debian system has libraries for s390x, below the root folder.
const PLACES: [&str; 6] = ["lib/s390x-linux-gnu", "usr/lib/s390x-linux-gnu", "lib64", "usr/lib64", "lib", "usr/lib"];

/// What a program says of the files that it needs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    loader: Option<String>,
    libraries: Vec<String>,
    folders: Vec<PathBuf>,
}

/// Adds what `program` needs to `found`: the path in the guest, and the file here. Nothing for a file that is no
/// s390x program, like a script.
///
/// Libraries are looked for in the folders that libraries and the program itself name (`inherited`: those of whoever
/// needs this one), then in those of `roots`, which
/// hold file systems for s390x.
pub(crate) fn add(
    program: &Path,
    content: &[u8],
    inherited: Option<&[PathBuf]>,
    roots: &[PathBuf],
    found: &mut BTreeMap<PathBuf, PathBuf>,
) -> Result<(), Error> {
    let wrong = |reason: String| Error::File { path: program.to_owned(), reason };
    let Some(needs) = needs(content).map_err(|error| wrong(format!("is no ELF file that can be read: {error}")))?
    else {
        return Ok(());
    };
    // Of libraries some say how they can be started themselves.
    if let Some(loader) = needs.loader.as_ref().filter(|_| inherited.is_none()) {
        let name = Path::new(loader);
        let here = roots.iter().map(|root| root.join(loader.trim_start_matches('/'))).find(|path| path.is_file());
        let here = here.or_else(|| name.is_file().then(|| name.to_owned()));
        let here = here.ok_or_else(|| wrong(format!("needs the loader {loader}, which is not here; see --root")))?;
        found.insert(name.to_owned(), here);
    }
    let folders = [&needs.folders, inherited.unwrap_or_default()].concat();
    for library in &needs.libraries {
        let named = folders.iter().map(|folder| (folder.join(library), folder.join(library)));
        let below = roots.iter().flat_map(|root| {
            PLACES.iter().map(move |place| (Path::new("/").join(place).join(library), root.join(place).join(library)))
        });
        let file = named.chain(below).find(|(_, here)| here.is_file());
        let (guest, here) = file.ok_or_else(|| wrong(format!("needs {library}, which is not here; see --root")))?;
        if found.insert(guest, here.clone()).is_none() {
            let content =
                fs::read(&here).map_err(|error| Error::File { path: here.clone(), reason: error.to_string() })?;
            add(&here, &content, Some(&folders), roots, found)?;
        }
    }
    Ok(())
}

fn needs(content: &[u8]) -> Result<Option<Needs>, String> {
    let broken = |error| format!("is no ELF file that can be read: {error}");
    if !content.starts_with(b"\x7fELF") {
        return Ok(None);
    }
    let header = FileHeader64::<Endianness>::parse(content).map_err(broken)?;
    let endian = header.endian().map_err(broken)?;
    if header.e_machine(endian) != elf::EM_S390 {
        return Err("is a program for another architecture, expected one for s390x".into());
    }
    let mut needs = Needs::default();
    let segments = header.program_headers(endian, content).map_err(broken)?;
    for segment in segments {
        if let Some(loader) = segment.interpreter(endian, content).map_err(broken)? {
            needs.loader = Some(String::from_utf8_lossy(loader).into_owned());
        }
        let Some(entries) = segment.dynamic(endian, content).map_err(broken)? else { continue };
        let value =
            |tag: u32| entries.iter().find(|entry| entry.tag32(endian) == Some(tag)).map(|entry| entry.d_val(endian));
        let Some(strings) = value(elf::DT_STRTAB).and_then(|address| {
            segments.iter().find_map(|segment| {
                let offset = address.checked_sub(segment.p_vaddr(endian))?;
                let start = segment.p_offset(endian).checked_add(offset)?;
                (segment.p_type(endian) == elf::PT_LOAD && offset < segment.p_filesz(endian)).then_some(start)
            })
        }) else {
            continue;
        };
        let text = |offset: u64| {
            let rest = content.get(usize::try_from(strings.checked_add(offset)?).ok()?..)?;
            let end = rest.iter().position(|byte| *byte == 0)?;
            Some(String::from_utf8_lossy(&rest[..end]).into_owned())
        };
        for entry in entries {
            match (entry.tag32(endian), text(entry.d_val(endian))) {
                (Some(elf::DT_NEEDED), Some(library)) => needs.libraries.push(library),
                (Some(elf::DT_RPATH | elf::DT_RUNPATH), Some(folders)) => {
                    needs
                        .folders
                        .extend(folders.split(':').filter(|folder| folder.starts_with('/')).map(PathBuf::from));
                }
                _ => {}
            }
        }
    }
    Ok(Some(needs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_for_s390x_are_taken() {
        let mut found = BTreeMap::new();
        add(Path::new("script"), b"#!/bin/sh\n", None, &[], &mut found).unwrap();
        assert!(found.is_empty());
        let own = fs::read("/proc/self/exe").unwrap();
        let taken = add(Path::new("own"), &own, None, &[], &mut found);
        assert_eq!(taken.is_ok(), cfg!(target_arch = "s390x"));
        assert!(add(Path::new("cut"), &own[..40], None, &[], &mut found).is_err());
    }
}
