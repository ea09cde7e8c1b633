//! Where lines go: text as they come, or the pieces of one JSON document that is never whole in memory.

use std::io::{self, Write};
use std::path::Path;

use super::faults::Faults;
use super::item::Item;
use super::{FileKind, Format};

/// The schema of the document.
const SCHEMA: &str = "dump/1.0";

/// The output, and how far the document has come.
pub(crate) struct Sink<'a> {
    format: Format,
    out: &'a mut dyn Write,
    files: u64,
    items: u64,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(format: Format, out: &'a mut dyn Write) -> Self {
        Self { format, out, files: 0, items: 0 }
    }

    pub(crate) fn begin(&mut self) -> io::Result<()> {
        match self.format {
            Format::Text => Ok(()),
            Format::Json => write!(self.out, "{{\"schema\":\"{SCHEMA}\",\"files\":["),
        }
    }

    pub(crate) fn begin_file(&mut self, path: &Path, kind: Option<FileKind>) -> io::Result<()> {
        self.items = 0;
        let comma = if self.files == 0 { "" } else { "," };
        self.files += 1;
        match self.format {
            Format::Text => writeln!(self.out, "Dumping {}", path.display()),
            Format::Json => {
                let (file, kind) = (path.to_string_lossy(), kind.map(FileKind::name));
                let (file, kind) = (serde_json::to_string(&file)?, serde_json::to_string(&kind)?);
                write!(self.out, "{comma}\n{{\"file\":{file},\"kind\":{kind},\"items\":[")
            }
        }
    }

    pub(crate) fn item(&mut self, item: &Item) -> io::Result<()> {
        let comma = if self.items == 0 { "" } else { "," };
        self.items += 1;
        match self.format {
            Format::Text => writeln!(self.out, "{item}"),
            Format::Json => {
                writeln!(self.out, "{comma}")?;
                Ok(serde_json::to_writer(&mut *self.out, item)?)
            }
        }
    }

    pub(crate) fn end_file(&mut self) -> io::Result<()> {
        match self.format {
            Format::Text => Ok(()),
            Format::Json => write!(self.out, "]}}"),
        }
    }

    pub(crate) fn end(&mut self, faults: &Faults) -> io::Result<()> {
        if self.format == Format::Json {
            let status = if faults.failed() { "failed" } else { "ok" };
            let rows = serde_json::to_string(&faults.rows())?;
            writeln!(self.out, "],\"status\":\"{status}\",\"faults\":{rows}}}")?;
        }
        self.out.flush()
    }
}
