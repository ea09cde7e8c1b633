//! A way to a node that can be cut for some callers: what they send stops arriving, and so do the answers.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::NodeId;

/// How often a cut is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Serves until the process ends.
pub(super) struct Proxy {
    listener: TcpListener,
    cut: Arc<Mutex<BTreeSet<NodeId>>>,
}

impl Proxy {
    pub(super) fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").expect("binds"), cut: Arc::default() }
    }

    /// Passes on to `port`. Returns its own.
    pub(super) fn to(&self, port: u16) -> u16 {
        let (listener, cut) = (self.listener.try_clone().expect("clones"), Arc::clone(&self.cut));
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                let cut = Arc::clone(&cut);
                std::thread::spawn(move || pass(caller, port, &cut));
            }
        });
        self.listener.local_addr().expect("bound").port()
    }

    /// Cuts these callers off, and nobody else.
    pub(super) fn cut(&self, callers: impl IntoIterator<Item = NodeId>) {
        *self.cut.lock().expect("unpoisoned") = callers.into_iter().collect();
    }
}

/// Passes one connection on, once it is known who calls.
fn pass(mut caller: TcpStream, port: u16, cut: &Arc<Mutex<BTreeSet<NodeId>>>) {
    let mut hello = [0; 4096];
    let Ok(size) = caller.read(&mut hello) else { return };
    let Some(from) = caller_in(&hello[..size]) else { return };
    wait_while_cut(cut, from);
    let Ok(mut node) = TcpStream::connect(("127.0.0.1", port)) else { return };
    if node.write_all(&hello[..size]).is_err() {
        return;
    }
    let (Ok(back_in), Ok(back_out)) = (node.try_clone(), caller.try_clone()) else { return };
    let cut_back = Arc::clone(cut);
    let back = std::thread::spawn(move || copy(back_in, back_out, &cut_back, from));
    copy(caller, node, cut, from);
    let _ended = back.join().is_ok();
}

/// Who says hello.
fn caller_in(hello: &[u8]) -> Option<NodeId> {
    let text = String::from_utf8_lossy(hello);
    let (_, rest) = text.split_once(r#""from":{"node_id":"#)?;
    rest.split(',').next()?.parse().ok()
}

/// Copies until either end closes, or a cut has swallowed something, which ends the connection when it is mended.
fn copy(mut from: TcpStream, mut to: TcpStream, cut: &Mutex<BTreeSet<NodeId>>, caller: NodeId) {
    let mut buffer = [0; 64 << 10];
    loop {
        let size = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(size) => size,
        };
        if cut.lock().expect("unpoisoned").contains(&caller) {
            wait_while_cut(cut, caller);
            break;
        }
        if to.write_all(&buffer[..size]).is_err() {
            break;
        }
    }
    let _closed = (from.shutdown(Shutdown::Both).is_ok(), to.shutdown(Shutdown::Both).is_ok());
}

fn wait_while_cut(cut: &Mutex<BTreeSet<NodeId>>, caller: NodeId) {
    while cut.lock().expect("unpoisoned").contains(&caller) {
        std::thread::sleep(LOOK_EVERY);
    }
}
