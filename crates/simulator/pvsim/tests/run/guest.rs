use crate::{compiled, has_python, machine, run, source};
use pvsim::Machine;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

/// What `programs/uv.c` and `programs/uv.py` print. The errno of each wrong call is the driver's (Linux
/// `drivers/s390/char/uvdevice.c`), the rc the ultravisor's.
const CALLS: &str = "\
info: rc 0001
commands: 3f, ultravisor's: 3e
info, short: Invalid argument
info, unreadable address: Bad address
info, flags: Invalid argument
info, reserved: Invalid argument
info, no control block: Bad address
nr too high: Inappropriate ioctl for device
other type: Inappropriate ioctl for device
other direction: Inappropriate ioctl for device
other size: Inappropriate ioctl for device
add, no length: Invalid argument
add, too long: Invalid argument
add, unreadable address: Bad address
add, nonsense: rc 0105
attest, other length: Invalid argument
attest, unreadable request: Bad address
attest, nonsense: rc 0107
attest, reserved: Invalid argument
list: 0, rc 0001, as many as expected
list, four pages: rc 0001
list, not whole pages: Invalid argument
list, unwritable address: Bad address
retrieve from nothing: rc 010f
retrieve, too short: Invalid argument
retrieve, too long: Invalid argument
write: Invalid argument
list after dup2: 0, rc 0001, as many as expected
list after fork: 0, rc 0001, as many as expected
list after exec: 0, rc 0001, as many as expected
lock, with argument: Invalid argument
lock: rc 0001
lock again: rc 0102
add to the locked store: rc 0102
";

/// `pvsim run MACHINE -- PROGRAM`.
fn pvsim_run(machine: &Path, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pvsim"));
    command.arg("run").arg(machine).arg("--").arg(program);
    command
}

fn shell(machine: &Path, line: &str) -> (i32, String, String) {
    run(pvsim_run(machine, "sh").args(["-c", line]))
}

#[test]
fn a_c_program_gets_the_documented_answers() {
    let (folder, machine) = machine();
    let program = compiled(folder.path(), "uv");
    assert_eq!(run(&mut pvsim_run(&machine, program)), (0, CALLS.into(), String::new()));
    assert!(Machine::open(&machine).unwrap().guest().unwrap().locked);
}

#[test]
fn a_python_script_gets_the_documented_answers() {
    if !has_python("the test") {
        return;
    }
    let (_folder, machine) = machine();
    let ran = run(pvsim_run(&machine, "python3").arg(source("uv.py")));
    assert_eq!(ran, (0, CALLS.into(), String::new()));
    assert!(Machine::open(&machine).unwrap().guest().unwrap().locked);
}

#[test]
fn programs_of_all_kinds_see_the_files_of_the_firmware() {
    let (_folder, machine) = machine();
    let rows = [
        ("cat /sys/firmware/uv/prot_virt_guest", 0, "1\n"),
        ("cat /sys//firmware/./uv/query/../prot_virt_host", 0, "0\n"),
        ("cat /sys/firmware/uv/query/max_secrets < /sys/firmware/uv/prot_virt_guest", 0, "1024\n"),
        ("read word < /sys/firmware/uv/prot_virt_guest; echo $word", 0, "1\n"),
        ("bash -c 'read word < /sys/firmware/uv/prot_virt_guest; echo $word'", 0, "1\n"),
        ("python3 -c 'print(open(\"/sys/firmware/uv/prot_virt_guest\").read())'", 0, "1\n\n"),
        ("ls /sys/firmware/uv", 0, "prot_virt_guest\nprot_virt_host\nquery\n"),
        ("ls /sys/firmware/uv/query | wc -l", 0, "18\n"),
        ("ls -ld /sys/firmware/uv/query | cut -c1-10", 0, "drwxr-xr-x\n"),
        ("ls -l /sys/firmware/uv/prot_virt_host | cut -c1-10", 0, "-r--r--r--\n"),
        (
            "find /sys/firmware/uv -name 'prot_*' | sort",
            0,
            "/sys/firmware/uv/prot_virt_guest\n/sys/firmware/uv/prot_virt_host\n",
        ),
        ("cd /sys/firmware/uv/query && pwd -P && cat ../prot_virt_guest", 0, "/sys/firmware/uv/query\n1\n"),
        (
            "cd /sys/firmware/uv && bash -c 'echo prot*; cd query; /bin/pwd'",
            0,
            "prot_virt_guest prot_virt_host\n/sys/firmware/uv/query\n",
        ),
        ("python3 -c 'import glob; print(len(glob.glob(\"/sys/firmware/uv/query/max_*\")))'", 0, "6\n"),
        ("realpath /sys/firmware/uv/query/..", 0, "/sys/firmware/uv\n"),
        (
            "python3 -c 'import os; os.chdir(\"/sys/firmware/uv\"); print(os.getcwd(), os.path.realpath(\"query\"))'",
            0,
            "/sys/firmware/uv /sys/firmware/uv/query\n",
        ),
        ("test -d /sys/firmware/uv && test -r /sys/firmware/uv/prot_virt_guest && test -e /dev/uv", 0, ""),
        ("test -e /sys/firmware/uv/nothing", 1, ""),
        ("test -e /sys/firmware/uvx", 1, ""),
        // All that /sys refuses.
        ("(echo 1 > /sys/firmware/uv/prot_virt_host) 2> /dev/null", 2, ""),
        ("(echo 1 > /sys/firmware/uv/new) 2> /dev/null", 2, ""),
        ("rm -f /sys/firmware/uv/prot_virt_guest 2> /dev/null", 1, ""),
        ("mkdir /sys/firmware/uv/new 2> /dev/null", 1, ""),
        ("mv /sys/firmware/uv/prot_virt_guest /tmp/ 2> /dev/null", 1, ""),
        ("cat /sys/firmware/uv/prot_virt_guest", 0, "1\n"),
    ];
    for (line, status, printed) in rows {
        if line.starts_with("python3") && !has_python(line) {
            continue;
        }
        assert_eq!(shell(&machine, line), (status, printed.into(), String::new()), "{line}");
    }
}

#[test]
fn a_machine_without_an_ap_bus_shows_none_of_the_host() {
    let folder = tempfile::tempdir().unwrap();
    Machine::init(folder.path(), Some("bus: {present: false}")).unwrap();
    let line = "test -e /sys/bus/ap || test -e /sys/devices/ap";
    assert_eq!(shell(folder.path(), line), (1, String::new(), String::new()));
}

#[test]
fn ends_as_the_program_does() {
    let (folder, machine) = machine();
    let rows = [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)];
    for (line, status) in rows {
        assert_eq!(shell(&machine, line).0, status, "{line}");
    }
    let (status, _, stderr) = run(&mut pvsim_run(&machine, "/nonexistent/program"));
    assert_eq!(status, 127);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    fs::write(folder.path().join("text"), "").unwrap();
    assert_eq!(run(&mut pvsim_run(&machine, folder.path().join("text"))).0, 126);
    let (status, _, stderr) = run(&mut pvsim_run(&folder.path().join("nothing"), "true"));
    assert_eq!(status, 1);
    assert!(stderr.contains("holds no machine"), "{stderr}");
}

#[test]
fn passes_on_the_streams_and_the_signal_to_end() {
    if !has_python("the test") {
        return;
    }
    let (_folder, machine) = machine();
    let script = r#"
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("ended", flush=True), os._exit(5)))
print("ready", flush=True)
for line in sys.stdin: print(line, end="", flush=True)
"#;
    let mut child = pvsim_run(&machine, "python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut input = child.stdin.take().unwrap();
    let mut line = || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        line
    };
    assert_eq!(line(), "ready\n");
    std::io::Write::write_all(&mut input, b"hello\n").unwrap();
    assert_eq!(line(), "hello\n");
    let id = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(line(), "ended\n");
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

#[test]
fn the_lock_folder_is_the_machines_and_shared_by_its_programs() {
    let (_folder, machine) = machine();
    let name = format!("/run/lock/of-a-test-{}", std::process::id());
    let held = format!("exec 9> {name} && flock -n 9 && echo held > {name}.state");
    assert_eq!(shell(&machine, &held).0, 0);
    assert!(!Path::new(&name).exists(), "the host's folder is left alone");
    assert_eq!(shell(&machine, &format!("cat {name}.state")).1, "held\n");
    assert_eq!(shell(&machine, &format!("cat /var/lock/{}.state", name.trim_start_matches("/run/lock/"))).1, "held\n");
    // noclobber opens with O_EXCL, as lock files are.
    assert_ne!(shell(&machine, &format!("set -C; : > {name}")).0, 0);
    assert_eq!(shell(&machine, &format!("mv {name}.state {name}.old && rm {name} {name}.old && ls /run/lock")).1, "");
}

#[test]
fn an_ordered_errno_meets_the_opening() {
    if !has_python("the test") {
        return;
    }
    let (_folder, machine) = machine();
    let fault =
        pvsim::Fault { op: "uv_open".into(), command: None, queue: None, act: "EACCES".into(), skip: 1, count: 1 };
    Machine::open(&machine).unwrap().order(fault).unwrap();
    let open = "import os\nfor _ in range(3):\n try: os.close(os.open('/dev/uv', os.O_RDWR)); print('open')\n except OSError as e: print(e.strerror)";
    let ran = run(pvsim_run(&machine, "python3").args(["-c", open]));
    assert_eq!(ran, (0, "open\nPermission denied\nopen\n".into(), String::new()));
}

#[test]
fn eight_at_once_serve_one_machine() {
    if !has_python("the test") {
        return;
    }
    let (_folder, machine) = machine();
    let script = "import fcntl\nfor _ in range(50):\n with open('/dev/uv', 'r+b', buffering=0) as uv: fcntl.ioctl(uv, 0xc0407504, bytearray(64))\n assert open('/sys/firmware/uv/prot_virt_guest').read() == '1\\n'\n assert open('/sys/firmware/uv/query/max_cpus').read() == '248\\n'";
    let children: Vec<Child> = (0..8)
        .map(|_| pvsim_run(&machine, "python3").args(["-c", script]).stdin(Stdio::null()).spawn().unwrap())
        .collect();
    let waiters: Vec<_> = children.into_iter().map(|mut child| thread::spawn(move || child.wait().unwrap())).collect();
    for waiter in waiters {
        assert!(waiter.join().unwrap().success());
    }
}
