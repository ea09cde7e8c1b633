//! One thread per connection: few connections, long ones.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use super::connection::{self, Sink};
use super::world::World;

/// Connections served at the same time; more are refused by closing them.
const CONNECTIONS_MAX: usize = 256;

/// Serves every connection with a sink of its own. Returns only on errors of the listening socket.
pub(super) fn announce_and_serve<S: Sink + Send + 'static>(
    listen: SocketAddr,
    sink: impl Fn(usize) -> io::Result<S>,
) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    let address = listener.local_addr()?;
    let mut stdout = io::stdout();
    writeln!(stdout, "ready {address}")?;
    stdout.flush()?;
    let world = Arc::new(World::new(address));
    let alive = Arc::new(());
    for number in 0.. {
        let (stream, _) = listener.accept()?;
        if Arc::strong_count(&alive) > CONNECTIONS_MAX {
            continue;
        }
        let (world, alive, mut sink) = (Arc::clone(&world), Arc::clone(&alive), sink(number)?);
        std::thread::Builder::new().name(format!("connection-{number}")).spawn(move || {
            // A peer that went away or spoke nonsense ends its own connection and nothing else.
            if let Err(error) = connection::serve(stream, &world, &mut sink) {
                eprintln!("connection {number}: {error}");
            }
            drop(alive);
        })?;
    }
    Ok(())
}
