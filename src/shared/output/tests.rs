use super::*;
use crate::System;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

fn quiet() -> System {
    System::new(Box::new(io::empty()), Box::new(io::sink()), Box::new(io::sink()))
}

fn put(path: &Path, bytes: &[u8], privacy: Privacy) {
    write(path, bytes, privacy, "it", &mut quiet()).unwrap();
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn staged_output_is_seen_only_when_published() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let staged = || {
        let mut outputs = Outputs::default();
        outputs.add(&path, b"new", Privacy::Public, "it").unwrap();
        outputs
    };
    let outputs = staged();
    assert!(!path.exists());
    drop(outputs);
    assert_eq!(names(folder.path()), [""; 0]);
    fs::write(&path, "old").unwrap();
    let outputs = staged();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    outputs.publish(&mut quiet()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(names(folder.path()), ["out"]);
}

#[test]
fn secret_is_for_the_owner_alone_and_does_not_follow_links() {
    let folder = tempfile::tempdir().unwrap();
    let (victim, link) = (folder.path().join("victim"), folder.path().join("link"));
    fs::write(&victim, "harmless").unwrap();
    fs::set_permissions(&victim, Permissions::from_mode(0o666)).unwrap();
    symlink("victim", &link).unwrap();
    put(&link, b"secret", Privacy::Secret);
    assert_eq!(fs::read(&victim).unwrap(), b"harmless");
    assert!(!link.is_symlink());
    assert_eq!(mode(&link), 0o600);
    put(&victim, b"secret", Privacy::Secret);
    assert_eq!(mode(&victim), 0o600);
}

#[test]
fn public_output_keeps_permissions_and_link_of_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let (old, link) = (folder.path().join("old"), folder.path().join("link"));
    fs::write(&old, "old").unwrap();
    fs::set_permissions(&old, Permissions::from_mode(0o6604)).unwrap();
    symlink("old", &link).unwrap();
    put(&link, b"new", Privacy::Public);
    assert_eq!((fs::read(&old).unwrap(), mode(&old), link.is_symlink()), (b"new".to_vec(), 0o604, true));
}

#[test]
fn links_that_dangle_are_followed_to_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name| folder.path().join(name);
    symlink("two", at("one")).unwrap();
    symlink("end", at("two")).unwrap();
    put(&at("one"), b"data", Privacy::Public);
    assert_eq!(fs::read(at("end")).unwrap(), b"data");
    assert!(at("one").is_symlink() && at("two").is_symlink());
    symlink("loop", at("loop")).unwrap();
    let error = write(&at("loop"), b"x", Privacy::Public, "it", &mut quiet()).unwrap_err();
    assert!(format!("{error:#}").contains("symbolic links"), "{error:#}");
}

#[test]
fn errors_name_the_file_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [("missing/out", "No such file"), ("", "directory"), ("..", "directory"), ("file/", "not the name")];
    for (name, part) in rows {
        let error = write(&folder.path().join(name), b"x", Privacy::Public, "the thing", &mut quiet()).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.starts_with("Cannot write the thing at '") && error.contains(part), "{name}: {error}");
    }
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn same_file_is_recognised_by_identity() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    fs::write(&one, "").unwrap();
    fs::hard_link(&one, &other).unwrap();
    assert!(same_file(&one, &other));
    fs::remove_file(&other).unwrap();
    fs::write(&other, "").unwrap();
    assert!(!same_file(&one, &other));
    assert!(!same_file(&one, &folder.path().join("missing")));
    assert!(refuse_overwriting(&one, &[&other, &one]).is_err());
}

#[test]
fn outputs_that_would_be_one_file_are_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    symlink("end", at("link")).unwrap();
    symlink("link", at("link-to-link")).unwrap();
    fs::create_dir(at("sub")).unwrap();
    fs::write(at("file"), "").unwrap();
    fs::hard_link(at("file"), at("hard")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    nix::unistd::mkfifo(&at("fifo2"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let stdout = PathBuf::from("-");
    let one = [
        (at("new"), at("new")),
        (at("new"), at("sub/../new")),
        (at("link"), at("end")),
        (at("link-to-link"), at("end")),
        (at("link-to-link"), at("link")),
        (at("file"), at("hard")),
        (at("fifo"), at("./fifo")),
        (stdout.clone(), "/dev/stdout".into()),
        (stdout.clone(), "/dev/fd/1".into()),
        ("/proc/self/fd/1".into(), "/dev//stdout".into()),
        (format!("/proc/{}/fd/1", std::process::id()).into(), stdout.clone()),
        ("/dev/zero".into(), "/dev/../dev/zero".into()),
    ];
    for (one, other) in one {
        assert!(same_target(&one, &other) && same_target(&other, &one), "{one:?} {other:?}");
    }
    let two = [
        (at("new"), at("newer")),
        (at("new"), at("sub/new")),
        (at("file"), at("end")),
        (at("fifo"), at("fifo2")),
        (at("file"), stdout),
        // What goes there is to be lost.
        ("/dev/null".into(), "/dev/null".into()),
    ];
    for (one, other) in two {
        assert!(!same_target(&one, &other) || one == Path::new("/dev/null"), "{one:?} {other:?}");
    }
}

/// Makes the second output fail in the moment in which it would appear.
fn publish_with_a_second_that_fails(first: &Path, second: &Path) -> anyhow::Error {
    let mut outputs = Outputs::default();
    outputs.add(first, b"new", Privacy::Secret, "it").unwrap();
    outputs.add(second, b"new", Privacy::Public, "it").unwrap();
    fs::create_dir(second).unwrap();
    fs::write(second.join("inside"), "").unwrap();
    let error = outputs.publish(&mut quiet()).unwrap_err();
    fs::remove_dir_all(second).unwrap();
    error
}

#[test]
fn old_files_come_back_when_a_later_output_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    fs::write(&first, "old").unwrap();
    fs::set_permissions(&first, Permissions::from_mode(0o640)).unwrap();
    let before = first.metadata().unwrap().ino();
    // The folder that takes the place of a file by exchange is noticed by what is there in the end.
    let error = publish_with_a_second_that_fails(&first, &second);
    assert!(format!("{error:#}").contains("second"), "{error:#}");
    assert_eq!(fs::read(&first).unwrap(), b"old");
    assert_eq!((mode(&first), first.metadata().unwrap().ino()), (0o640, before));
    assert_eq!(names(folder.path()), ["first"]);
    // And what was not there vanishes.
    fs::remove_file(&first).unwrap();
    publish_with_a_second_that_fails(&first, &second);
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn outputs_without_unnamed_files_and_without_exchange_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("out");
    for round in 0..3 {
        for keep_old in [false, true] {
            let file = NewFile::write_named(&target, b"named", policy::Rights::Default).unwrap();
            file.land(&target, keep_old).unwrap().keep().unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"named", "{round}");
            assert_eq!(names(folder.path()), ["out"]);
        }
        let file = NewFile::write(&target, b"newer", policy::Rights::Default).unwrap();
        file.land(&target, true).unwrap().undo().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"named", "{round}");
    }
    assert_eq!(names(folder.path()), ["out"]);
}

#[test]
fn toc_lines_of_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let toc = folder.path().join("toc");
    let mut append = Append::new(&toc, "mine").unwrap();
    assert!(!toc.exists());
    append.write().unwrap();
    let mut content = fs::read(&toc).unwrap();
    assert_eq!(content, b"mine\n");
    content.extend_from_slice(b"other\n");
    fs::write(&toc, &content).unwrap();
    append.undo().unwrap();
    assert_eq!(fs::read(&toc).unwrap(), content);
    let mut append = Append::new(&toc, "again").unwrap();
    append.write().unwrap();
    append.undo().unwrap();
    assert_eq!(fs::read(&toc).unwrap(), content);
}
