//! What a read hands to the network: bytes, or a piece of a file for `sendfile`.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

/// A run of stored bytes on its way out.
#[derive(Clone, Debug)]
pub enum Records {
    /// Bytes in memory: owned, pooled or mapped.
    Bytes(Bytes),
    /// A piece of a file that the kernel can send by itself.
    File(FileSlice),
}

impl Records {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Records::Bytes(bytes) => bytes.len(),
            Records::File(slice) => slice.len(),
        }
    }

    /// True without bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes in memory; reads a file slice. Blocks on a cold page.
    pub fn to_bytes(&self) -> io::Result<Bytes> {
        match self {
            Records::Bytes(bytes) => Ok(bytes.clone()),
            Records::File(slice) => slice.read(),
        }
    }
}

impl Default for Records {
    fn default() -> Records {
        Records::Bytes(Bytes::new())
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Records {
        Records::Bytes(bytes)
    }
}

/// A piece of a file. Holds the file open, so that it stays readable after an unlink.
#[derive(Clone)]
pub struct FileSlice {
    file: Arc<dyn SliceSource>,
    at_bytes: u64,
    len_bytes: usize,
}

/// An open file that slices share.
pub(crate) trait SliceSource: Send + Sync {
    fn file(&self) -> &File;
    fn path(&self) -> &Path;
}

impl FileSlice {
    pub(crate) fn new(file: Arc<dyn SliceSource>, at_bytes: u64, len_bytes: usize) -> FileSlice {
        FileSlice { file, at_bytes, len_bytes }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len_bytes
    }

    /// True without bytes.
    pub fn is_empty(&self) -> bool {
        self.len_bytes == 0
    }

    /// Where it starts in the file.
    pub fn at_bytes(&self) -> u64 {
        self.at_bytes
    }

    /// The file's path when it was opened.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// A part of this slice; the range is clamped to it.
    pub fn slice(&self, start_bytes: usize, len_bytes: usize) -> FileSlice {
        let start_bytes = start_bytes.min(self.len_bytes);
        let len_bytes = len_bytes.min(self.len_bytes - start_bytes);
        FileSlice { file: Arc::clone(&self.file), at_bytes: self.at_bytes + start_bytes as u64, len_bytes }
    }

    /// Sends up to `max_bytes` from `already_sent_bytes` on to a socket and returns how many the kernel took.
    ///
    /// `WouldBlock` means that the socket is full; zero means that everything was sent already.
    /// `UnexpectedEof` means that the file was cut below this slice: the announced length can no longer be kept,
    /// so the connection must be closed. Blocks on a cold page.
    pub fn sendfile_to(
        &self,
        socket: impl AsFd,
        already_sent_bytes: usize,
        max_bytes: usize,
    ) -> io::Result<usize> {
        let count = self.len_bytes.saturating_sub(already_sent_bytes).min(max_bytes);
        if count == 0 {
            return Ok(0);
        }
        let mut at_bytes = self.at_bytes + already_sent_bytes as u64;
        loop {
            match rustix::fs::sendfile(&socket, self.file.file(), Some(&mut at_bytes), count) {
                Ok(0) => return Err(self.cut_below(at_bytes)),
                Ok(sent) => return Ok(sent),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Reads the whole slice into memory. Blocks on a cold page.
    pub fn read(&self) -> io::Result<Bytes> {
        let mut buffer = vec![0; self.len_bytes];
        self.file.file().read_exact_at(&mut buffer, self.at_bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.cut_below(self.at_bytes),
            _ => error,
        })?;
        Ok(buffer.into())
    }

    fn cut_below(&self, at_bytes: u64) -> io::Error {
        let end_bytes = self.at_bytes + self.len_bytes as u64;
        let text = format!(
            "{} was cut below byte {end_bytes} while being sent (at {at_bytes})",
            self.path().display()
        );
        io::Error::new(io::ErrorKind::UnexpectedEof, text)
    }
}

impl fmt::Debug for FileSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSlice")
            .field("path", &self.path())
            .field("at_bytes", &self.at_bytes)
            .field("len_bytes", &self.len_bytes)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    struct Source(File);

    impl SliceSource for Source {
        fn file(&self) -> &File {
            &self.0
        }

        fn path(&self) -> &Path {
            Path::new("/data/t-0/0.log")
        }
    }

    fn content() -> Vec<u8> {
        (0..100_000u32).map(|index| (index % 251) as u8).collect()
    }

    fn slice(at_bytes: u64, len_bytes: usize) -> FileSlice {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&content(), 0).unwrap();
        FileSlice::new(Arc::new(Source(file)), at_bytes, len_bytes)
    }

    #[test]
    fn sendfile_sends_the_slice_in_pieces_and_then_zero() {
        let slice = slice(1000, 50_000);
        let (socket, mut peer) = UnixStream::pair().unwrap();
        let receiver = std::thread::spawn(move || {
            let mut received = Vec::new();
            peer.read_to_end(&mut received).map(|_| received)
        });
        let mut sent = 0;
        loop {
            match slice.sendfile_to(&socket, sent, 7000).unwrap() {
                0 => break,
                more => sent += more,
            }
        }
        drop(socket);
        assert_eq!(receiver.join().unwrap().unwrap(), content()[1000..51_000]);
    }

    #[test]
    fn a_full_socket_would_block() {
        let slice = slice(0, 100_000);
        let (socket, _peer) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let full = (0..100_000).find_map(|_| slice.sendfile_to(&socket, 0, 100_000).err());
        assert_eq!(full.unwrap().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_file_cut_below_the_slice_is_an_error_that_names_it() {
        let slice = slice(0, 100_000);
        slice.file.file().set_len(10).unwrap();
        let (socket, _peer) = UnixStream::pair().unwrap();
        let error = slice.sendfile_to(&socket, 10, 1000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("/data/t-0/0.log"));
        assert_eq!(slice.read().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn parts_are_clamped_to_the_slice() {
        let part = slice(1000, 50).slice(40, 100);
        assert_eq!((part.at_bytes(), part.len()), (1040, 10));
        assert_eq!(&part.read().unwrap()[..], &content()[1040..1050]);
        assert!(part.slice(20, 1).is_empty());
    }
}
