//! Small servers that speak just enough Kafka for the load generator, on blocking threads.
//!
//! `null` acknowledges and discards; `floor` is the least program that does a broker's work; `mock` keeps
//! batches in memory and stalls, fails and hangs up as a test tells it. The first two share `connection`:
//! Produce is parsed in place in the read buffer (`produce`), everything else goes through the wire crate
//! and `world`, which knows topics and nothing more.

mod connection;
mod floor;
mod listen;
mod mock;
mod null;
mod produce;
mod read;
mod replicated;
mod segment;
mod spin;
mod world;

pub use floor::Technique;
pub use mock::{Mock, Script};
use spin::Spin;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

/// Serves the null target at `listen` until the process ends; prints `ready` and the address when it does. `spin` is
/// CPU burnt per record, zero but in tests of comparisons.
///
/// # Errors
/// What the system says when the address is taken or threads run out.
pub fn null(listen: SocketAddr, spin: Duration) -> io::Result<()> {
    listen::announce_and_serve(listen, move |_| Ok(Spin::new(null::Discard, spin)))
}

/// Serves the floor program at `listen`, with its files in `dir`, until the process ends; prints `ready` and
/// the address when it does. `spin` as for [`null`].
///
/// # Errors
/// What the system says about the address, the directory or the technique (a filesystem without
/// `O_DIRECT`, for example).
pub fn floor(listen: SocketAddr, technique: Technique, dir: &Path, spin: Duration) -> io::Result<()> {
    let floor = floor::Floor::new(technique, dir)?;
    listen::announce_and_serve(listen, move |_| Ok(Spin::new(floor.clone(), spin)))
}

/// Serves the floor program as [`floor`] does, and answers only once `followers` other processes have written it too;
/// first prints `followers` and the address at which [`floor_follower`] finds it.
///
/// # Errors
/// As [`floor`], and for [`Technique::Direct`].
pub(crate) fn floor_leader(
    listen: SocketAddr,
    technique: Technique,
    dir: &Path,
    followers: usize,
) -> io::Result<()> {
    let listener = TcpListener::bind((listen.ip(), 0))?;
    println!("followers {}", listener.local_addr()?);
    let floor = floor::Floor::new(technique, dir)?.with_followers(listener, followers)?;
    listen::announce_and_serve(listen, move |_| Ok(floor.clone()))
}

/// Follows the floor program at `leader`, with files in `dir`, until it hangs up; prints `ready` and that address.
///
/// # Errors
/// What the system says about the address or the directory, or that the stream is damaged.
pub(crate) fn floor_follower(leader: SocketAddr, technique: Technique, dir: &Path) -> io::Result<()> {
    println!("ready {leader}");
    replicated::follow(leader, technique, dir)
}
