use crate::{compiled, has_python, machine, run};
use nix::errno::Errno;
use pvsim::server::{GuestServer, Node, Sysfs};
use pvsim::{Error, Machine};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A queue with one attribute that reacts: `se_bind` takes `1` while it is unbound and `0` always. The queue can go.
#[derive(Clone, Default)]
struct Queue(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bound: bool,
    gone: bool,
    writes: Vec<Vec<u8>>,
}

impl Sysfs for Queue {
    fn node(&self, path: &str) -> Result<Node, Errno> {
        let gone = self.0.lock().unwrap().gone;
        let folder = |names: &[&str]| Ok(Node::Folder(names.iter().map(|name| (*name).to_string()).collect()));
        match path {
            "/sys/bus/ap" => folder(&["devices", "features"]),
            "/sys/bus/ap/features" => Ok(Node::Attribute { mode: 0o444 }),
            "/sys/bus/ap/devices" | "/sys/devices/ap/card28" if gone => folder(&[]),
            "/sys/bus/ap/devices" | "/sys/devices/ap/card28" => folder(&["28.0014"]),
            "/sys/bus/ap/devices/28.0014" if !gone => Ok(Node::Link("../../../devices/ap/card28/28.0014".into())),
            "/sys/devices/ap" => folder(&["card28"]),
            "/sys/devices/ap/card28/28.0014" if !gone => folder(&["mkvps", "reset", "se_bind"]),
            "/sys/devices/ap/card28/28.0014/se_bind" if !gone => Ok(Node::Attribute { mode: 0o644 }),
            "/sys/devices/ap/card28/28.0014/mkvps" if !gone => Ok(Node::Attribute { mode: 0o444 }),
            "/sys/devices/ap/card28/28.0014/reset" if !gone => Ok(Node::Attribute { mode: 0o200 }),
            _ => Err(Errno::ENOENT),
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Errno> {
        match path.rsplit('/').next().unwrap() {
            "features" => Ok(b"APSC APXA QACT RC8A APSB\n".to_vec()),
            "se_bind" if self.0.lock().unwrap().bound => Ok(b"bound\n".to_vec()),
            "se_bind" => Ok(b"unbound\n".to_vec()),
            _ => Err(Errno::EIO),
        }
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<usize, Errno> {
        let mut state = self.0.lock().unwrap();
        assert!(path.ends_with("/se_bind"), "{path}");
        if state.gone {
            return Err(Errno::ENODEV);
        }
        state.writes.push(bytes.to_vec());
        match (bytes.first(), state.bound) {
            (Some(b'1'), false) => state.bound = true,
            (Some(b'0'), _) => state.bound = false,
            _ => return Err(Errno::EINVAL),
        }
        Ok(bytes.len())
    }
}

fn unexpected(error: &Error) {
    panic!("{error}");
}

fn server(machine: &Path, queue: &Queue) -> GuestServer {
    let parts: pvsim::server::Parts =
        vec![("/sys/bus/ap", Box::new(queue.clone())), ("/sys/devices/ap", Box::new(queue.clone()))];
    GuestServer::start(Machine::open(machine).unwrap(), parts, unexpected).unwrap()
}

#[test]
fn programs_of_all_kinds_write_an_attribute_and_hear_of_its_errors() {
    let (folder, machine) = machine();
    let stdio = compiled(folder.path(), "stdio");
    let one = folder.path().join("one");
    fs::write(&one, "1\n").unwrap();
    let (stdio, one) = (stdio.display(), one.display());
    let se_bind = "/sys/bus/ap/devices/28.0014/se_bind";
    let python = |script: &str| format!("python3 -c '{script}'");
    // Each is one write of "1\n", and a failing one must show in the exit status unless nobody is told.
    let rows = [
        (format!("dash -c 'echo 1 > {se_bind}'"), true),
        (format!("bash -c 'echo 1 > {se_bind}'"), true),
        (format!("bash -c 'printf \"%d\\n\" 1 > {se_bind}'"), true),
        (format!("bash -c 'echo 1' > {se_bind}"), true),
        (format!("bash -c 'exec 3> {se_bind}; echo 1 >&3'"), true),
        (format!("bash -c '(echo 1) > {se_bind}'"), true),
        ("bash -c 'cd /sys/devices/ap/card28; echo 1 > 28.0014/se_bind'".into(), true),
        (format!("/bin/echo 1 > {se_bind}"), true),
        (format!("env printf '1\\n' > {se_bind}"), true),
        (format!("echo 1 | tee {se_bind} > /dev/null"), true),
        (format!("cat {one} > {se_bind}"), true),
        (format!("cp {one} {se_bind}"), true),
        (format!("dd if={one} of={se_bind} status=none"), true),
        (format!("find /sys/devices/ap -name se_bind -exec cp {one} '{{}}' ';'"), false),
        (python(&format!("open(\"{se_bind}\", \"w\").write(\"1\\n\")")), false),
        (python(&format!("import pathlib; pathlib.Path(\"{se_bind}\").write_text(\"1\\n\")")), true),
        (python(&format!("import os; os.write(os.open(\"{se_bind}\", os.O_WRONLY), b\"1\\n\")")), true),
        (python(&format!("import os; os.writev(os.open(\"{se_bind}\", os.O_RDWR), [b\"1\", b\"\\n\"])")), true),
        (format!("{stdio} fclose {se_bind}"), true),
        (format!("{stdio} fflush {se_bind}"), true),
        (format!("{stdio} line {se_bind}"), true),
        (format!("{stdio} freopen {se_bind}"), true),
        (format!("{stdio} exit {se_bind}"), false),
    ];
    for (line, told) in rows {
        if line.starts_with("python3") && !has_python(&line) {
            continue;
        }
        let queue = Queue::default();
        let server = server(&machine, &queue);
        let sh = || run(server.command("sh").args(["-c", &line]).current_dir(folder.path()));
        assert_eq!(sh(), (0, String::new(), String::new()), "{line}");
        assert!(queue.0.lock().unwrap().bound, "{line}");
        assert_eq!(queue.0.lock().unwrap().writes, [b"1\n"], "{line}");
        let (status, _, stderr) = sh();
        if told {
            assert_ne!(status, 0, "{line}: the error of the second write is lost; stderr: {stderr}");
        }
        // Python writes once more when it drops the file.
        let writes = queue.0.lock().unwrap().writes.clone();
        assert!(writes.len() >= 2 && writes.iter().all(|write| write == b"1\n"), "{line}: {writes:?}");
        let text = run(server.command("cat").arg(se_bind));
        assert_eq!(text, (0, "bound\n".into(), String::new()), "{line}");
    }
}

#[test]
fn a_shell_writes_elsewhere_as_before_and_after_an_attribute() {
    let (folder, machine) = machine();
    let queue = Queue::default();
    let server = server(&machine, &queue);
    let line = "echo before; echo 1 > /sys/devices/ap/card28/28.0014/se_bind; echo after; echo file > file; cat file; \
                echo 1 2> /dev/null > /sys/devices/ap/card28/28.0014/se_bind || echo refused; printf 'no end of line'";
    for shell in ["bash", "dash"] {
        queue.0.lock().unwrap().bound = false;
        let (status, stdout, _) = run(server.command(shell).args(["-c", line]).current_dir(folder.path()));
        assert_eq!((status, stdout.as_str()), (0, "before\nafter\nfile\nrefused\nno end of line"), "{shell}");
    }
}

#[test]
fn attributes_keep_their_permissions_errors_and_links() {
    if !has_python("the test") {
        return;
    }
    let (_folder, machine) = machine();
    let queue = Queue::default();
    let server = server(&machine, &queue);
    let script = r#"
import errno, os
def tried(name, function):
    try: print(name, function())
    except OSError as error: print(name, errno.errorcode[error.errno])
devices = "/sys/bus/ap/devices"
print(os.listdir(devices), os.readlink(devices + "/28.0014"), os.path.realpath(devices + "/28.0014"))
queue = devices + "/28.0014/"
print(sorted(os.listdir(queue)))
for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT | os.O_EXCL):
    for name in ("se_bind", "mkvps", "reset", "nothing"):
        tried(f"{name} {flags:o}", lambda: os.close(os.open(queue + name, flags)))
tried("bad address", lambda: os.write(os.open(queue + "se_bind", os.O_RDONLY), b"1"))
tried("in no folder", lambda: os.open(queue + "nothing/se_bind", os.O_WRONLY | os.O_CREAT))
tried("in a file", lambda: os.open(queue + "se_bind/se_bind", os.O_WRONLY))
tried("a folder", lambda: os.open(queue, os.O_WRONLY))
"#;
    let expected = "\
['28.0014'] ../../../devices/ap/card28/28.0014 /sys/devices/ap/card28/28.0014
['mkvps', 'reset', 'se_bind']
se_bind 0 None
mkvps 0 EIO
reset 0 EACCES
nothing 0 ENOENT
se_bind 1 None
mkvps 1 EACCES
reset 1 None
nothing 1 ENOENT
se_bind 2 None
mkvps 2 EACCES
reset 2 EACCES
nothing 2 ENOENT
se_bind 101 None
mkvps 101 EACCES
reset 101 None
nothing 101 EACCES
se_bind 301 EEXIST
mkvps 301 EEXIST
reset 301 EEXIST
nothing 301 EACCES
bad address EBADF
in no folder ENOENT
in a file ENOTDIR
a folder EISDIR
";
    assert_eq!(run(server.command("python3").args(["-c", script])), (0, expected.into(), String::new()));
}

#[test]
fn a_queue_that_goes_leaves_nothing_but_open_files() {
    if !has_python("the test") {
        return;
    }
    let (_folder, machine) = machine();
    let queue = Queue::default();
    let server = server(&machine, &queue);
    let script = "import os, sys\nfile = os.open('/sys/bus/ap/devices/28.0014/se_bind', os.O_RDWR)\nprint('open', flush=True)\nsys.stdin.readline()\ntry: os.write(file, b'1')\nexcept OSError as error: print(error.strerror)\nprint(os.read(file, 99), os.listdir('/sys/bus/ap/devices'), os.path.lexists('/sys/devices/ap/card28/28.0014'))";
    let mut command = server.command("python3");
    command.args(["-c", script]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    std::io::BufRead::read_line(&mut output, &mut text).unwrap();
    assert_eq!(text, "open\n");
    queue.0.lock().unwrap().gone = true;
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"\n").unwrap();
    text.clear();
    std::io::Read::read_to_string(&mut output, &mut text).unwrap();
    assert_eq!(text, "No such device\nb'unbound\\n' [] False\n");
    assert!(child.wait().unwrap().success());
}
