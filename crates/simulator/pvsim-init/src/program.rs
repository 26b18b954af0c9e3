//! Programs that are run.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a program did.
pub(crate) struct Done {
    /// `None` when its time was over.
    pub(crate) status: Option<u8>,
    pub(crate) took: Duration,
    pub(crate) user_ms: u64,
    pub(crate) system_ms: u64,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

fn command(words: &[String]) -> Command {
    let (program, arguments) = words.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs([("PATH", "/bin:/sbin:/usr/bin:/usr/sbin"), ("HOME", "/tmp")]);
    command.current_dir("/tmp");
    command
}

fn code(status: ExitStatus) -> u8 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1) as u8
}

/// Runs a program with the console as its own. Gives its exit status.
pub(crate) fn on_console(words: &[String]) -> io::Result<u8> {
    match command(words).status() {
        Ok(status) => Ok(code(status)),
        Err(error) => Err(io::Error::new(error.kind(), format!("cannot start '{}': {error}", words[0]))),
    }
}

/// Runs a program and takes what it prints.
pub(crate) fn run(words: &[String], stdin: Vec<u8>, limit: Duration) -> Done {
    let (began, before) = (Instant::now(), cpu_ms());
    let spawned = command(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            let text = format!("cannot start '{}': {error}\n", words.first().map_or("", String::as_str));
            let took = began.elapsed();
            return Done {
                status: Some(127),
                took,
                user_ms: 0,
                system_ms: 0,
                stdout: vec![],
                stderr: text.into_bytes(),
            };
        }
    };
    if let Some(mut input) = child.stdin.take() {
        // A program that does not read all of it may end.
        thread::spawn(move || drop(input.write_all(&stdin)));
    }
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let status = wait(&mut child, began, limit);
    let took = began.elapsed();
    // What another process still holds open is not waited for.
    let [stdout, stderr] = [stdout, stderr].map(|thread| match status {
        Some(_) => thread.join().unwrap_or_default(),
        None => vec![],
    });
    let [user_ms, system_ms] = [0, 1].map(|which: usize| cpu_ms()[which].saturating_sub(before[which]));
    Done { status, took, user_ms, system_ms, stdout, stderr }
}

/// CPU time of all children that have ended, in user mode and in the kernel: fields 16 and 17 of proc_pid_stat(5), in
/// hundredths of a second.
fn cpu_ms() -> [u64; 2] {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let mut fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').skip(13);
    let mut time = || fields.next().and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or_default() * 10;
    [time(), time()]
}

fn collect(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = vec![];
        if let Some(mut stream) = stream {
            // What came until the stream broke is what there is.
            let _ = stream.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn wait(child: &mut Child, began: Instant, limit: Duration) -> Option<u8> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(code(status)),
            Ok(None) if began.elapsed() < limit => thread::sleep(Duration::from_millis(2)),
            _ => {
                // One that hangs in the kernel cannot be waited for.
                let _ = child.kill();
                return None;
            }
        }
    }
}
