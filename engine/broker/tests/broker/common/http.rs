//! The least HTTP client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::TestBroker;

/// The setting that opens the door.
pub(crate) const HTTP: &str = "plimsoll.http.listener=127.0.0.1:0";

/// Status and body of a GET.
pub(crate) fn get(broker: &TestBroker, path: &str) -> (u16, String) {
    let address = broker.handle().http_address().expect("the door is open");
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    let answer = exchange(address, request.as_bytes());
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    (status, body.to_owned())
}

/// Sends bytes and returns all that comes until the end.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream.write_all(bytes).expect("sent");
    let mut answer = Vec::new();
    // A peer that refuses what is still on its way resets the connection; what came before is the answer.
    let _end = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
