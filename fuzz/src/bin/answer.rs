//! A server's answer to an upload: bytes on a real connection, read by the product's own client.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};

/// Answers each connection with the bytes that were sent last.
struct Server {
    port: u16,
    answers: Mutex<Sender<Vec<u8>>>,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (answers, next) = channel::<Vec<u8>>();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Ok(answer) = next.recv() else { return };
            let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
            // The body is two bytes.
            while !request.ends_with(b"\r\n\r\n{}") {
                match stream.read(&mut chunk) {
                    Ok(0) | Err(_) => break,
                    Ok(size) => request.extend_from_slice(&chunk[..size]),
                }
            }
            // A client that has had enough is none of the server's problems.
            let _ = stream.write_all(&answer);
        }
    });
    Server { port, answers: Mutex::new(answers) }
});

fn fuzz(bytes: &[u8]) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = &*SERVER;
    server.answers.lock().expect("one thread").send(bytes.to_vec()).expect("it never ends");
    // Ports of closed connections stay in use for a while: there are many addresses of this machine.
    let [_, a, b, c] = (COUNT.fetch_add(1, Ordering::Relaxed) / 1000 + 1).to_be_bytes();
    let said = pvtools::fuzzing::answer_to_upload(&format!("http://127.{a}.{b}.{c}:{}/kbs/v0/x", server.port));
    assert!(!said.is_empty() && said.len() < 10_000, "{said}");
    assert!(!said.contains(char::is_control), "{said:?}");
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
