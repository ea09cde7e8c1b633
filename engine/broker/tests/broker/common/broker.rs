//! A broker on a free port, in a thread of this process.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread::JoinHandle;

use plimsoll_broker::config::Settings;
use plimsoll_broker::{BrokerError, Server, ServerHandle};
use tempfile::TempDir;

use super::Client;

/// A broker that serves until it is stopped or dropped.
pub(crate) struct TestBroker {
    handle: ServerHandle,
    thread: Option<JoinHandle<Result<(), BrokerError>>>,
    data: Option<Data>,
}

/// A log directory that outlives brokers.
pub(crate) struct Data {
    parent: TempDir,
    mounted: bool,
}

impl Drop for Data {
    fn drop(&mut self) {
        if self.mounted {
            let done = Command::new("umount").arg("--lazy").arg(self.parent.path()).status();
            assert!(done.is_ok_and(|status| status.success()), "umount {}", self.parent.path().display());
        }
    }
}

impl Data {
    pub(crate) fn new() -> Self {
        Self { parent: tempfile::tempdir().expect("a temporary directory"), mounted: false }
    }

    /// A directory on a file system of its own of this size, or why there is none.
    pub(crate) fn on_small_disk(size_bytes: u64) -> Result<Self, String> {
        let mut data = Self::new();
        let size = format!("size={size_bytes}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(data.parent.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => {
                data.mounted = true;
                Ok(data)
            }
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A path beside the log directory, on the same disk.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.parent.path().join(name)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.parent.path().join("data")
    }

    /// What a crash at this moment would leave in the kernel's hands.
    pub(crate) fn crash_image(&self) -> Data {
        let image = Data::new();
        copy(&self.path(), &image.path());
        image
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn settings(&self, overrides: &[&str]) -> Settings {
        let dir = format!("log.dirs={}", self.path().display());
        let fixed = ["listeners=PLAINTEXT://127.0.0.1:0", "num.network.threads=2", &dir];
        let all: Vec<String> = fixed.iter().chain(overrides).map(|pair| (*pair).to_owned()).collect();
        Settings::load(None, &all).expect("good settings")
    }

    /// Starts a broker here and waits until it serves.
    pub(crate) fn start(self, overrides: &[&str]) -> TestBroker {
        let settings = self.settings(overrides);
        TestBroker::start_with(self, settings)
            .unwrap_or_else(|error| panic!("the broker does not start: {error}"))
    }
}

impl TestBroker {
    /// A broker in a new directory.
    pub(crate) fn start(overrides: &[&str]) -> Self {
        Data::new().start(overrides)
    }

    /// Starts a broker, or says why it ended before it served.
    pub(crate) fn start_with(data: Data, settings: Settings) -> Result<Self, BrokerError> {
        let (ready, served) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            Server::bind(settings)?.run(|handle| ready.send(handle).expect("the test waits"))
        });
        match served.recv() {
            Ok(handle) => Ok(Self { handle, thread: Some(thread), data: Some(data) }),
            Err(_) => Err(thread.join().expect("no panic").expect_err("it ended without serving")),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.handle.address()
    }

    pub(crate) fn data(&self) -> &Data {
        self.data.as_ref().expect("running")
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address())
    }

    pub(crate) fn handle(&self) -> &ServerHandle {
        &self.handle
    }

    /// Stops it cleanly and gives its directory back.
    pub(crate) fn stop(mut self) -> Data {
        self.end().expect("a clean stop");
        self.data.take().expect("still here")
    }

    /// Waits until it ends by itself, and says how.
    pub(crate) fn ended(mut self) -> Result<(), BrokerError> {
        match self.thread.take() {
            Some(thread) => thread.join().expect("the broker does not panic"),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), BrokerError> {
        self.handle.stop();
        match self.thread.take() {
            Some(thread) => thread.join().expect("the broker does not panic"),
            None => Ok(()),
        }
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end().expect("a clean stop");
        }
    }
}

/// Runs `test` once per storage backend; what cannot run here says so.
pub(crate) fn each_backend(test: impl Fn(&'static str)) {
    for setting in [
        "plimsoll.storage.backend=page-cache",
        "plimsoll.storage.backend=mmap",
        "plimsoll.storage.backend=io_uring",
    ] {
        if setting.ends_with("io_uring")
            && let Err(reason) = plimsoll_io::probe_io_uring()
        {
            eprintln!("skipped: {setting}: {reason}");
            continue;
        }
        eprintln!("with {setting}");
        test(setting);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else if let Err(error) = fs::copy(entry.path(), target) {
            // Small files are replaced by renaming, also while this copies.
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}: {error}", entry.path().display());
        }
    }
}
