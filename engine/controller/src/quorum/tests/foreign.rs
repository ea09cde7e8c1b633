//! Bytes from strangers: the connection ends, the node goes on.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;

/// A frame with this message.
fn frame(message: &str) -> Vec<u8> {
    let size = message.len() as u32;
    [&(size + 5).to_be_bytes()[..], &[1], &size.to_be_bytes(), message.as_bytes()].concat()
}

fn hello(cluster: &str) -> Vec<u8> {
    let from = format!(r#"{{"node_id":8,"directory_id":"{}"}}"#, Uuid::from_u128(8));
    frame(&format!(r#"{{"Hello":{{"cluster_id":"{cluster}","from":{from},"to":null}}}}"#))
}

/// Everything that comes back until the node hangs up.
fn answer_to(node: &TestNode, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", node.port())).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    // The node may hang up while it is still being told.
    let _told = stream.write_all(bytes).is_ok();
    let mut answer = Vec::new();
    // One that resets the connection has hung up as well.
    let _read = stream.read_to_end(&mut answer).is_ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_stranger_is_hung_up_on_and_the_node_goes_on() {
    let nodes = [TestNode::new(1, Role::Bootstrap, None)];
    active(&nodes);
    let huge = [&i32::MAX.to_be_bytes()[..], &[1; 64]].concat();
    let negative = [&(-1_i32).to_be_bytes()[..], &[1; 64]].concat();
    let large_hello = [&(1_i32 << 20).to_be_bytes()[..], &[1; 64]].concat();
    let request = frame(r#"{"Leave":1}"#);
    for bytes in [&huge, &negative, &large_hello, &frame("nonsense"), &frame("{}"), &request, &vec![0; 4]] {
        assert_eq!(answer_to(&nodes[0], bytes), "", "{bytes:?}");
    }
    assert!(answer_to(&nodes[0], &hello("other")).contains("OtherCluster"), "it is told why");
    let twice = [hello("test"), frame(r#"{"Propose":17}"#)].concat();
    let answer = answer_to(&nodes[0], &twice);
    assert!(answer.contains("Welcome") && !answer.contains("Proposed"), "{answer}");
    allocate(&nodes[0]).expect("committed");
}
