//! Results that are made of runs: a document, and the runs in a folder beside it.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bundle::files::{read_document, read_json, replace_json};
use crate::bundle::{Bundle, BundleError};
use crate::machine::Machine;

/// The document of a result that is made of runs.
pub trait CompositeDocument: Serialize + DeserializeOwned {
    /// Its file.
    const FILE: &'static str;
    /// What this version reads, such as `sweep/1.x`.
    const KNOWN: &'static str;
    /// Where the runs are, in the directory of the document.
    const FOLDER: &'static str;

    /// The runs that were measured, in their order: name and path of each, `None` where nothing was stored.
    fn runs(&self) -> Vec<(&str, Option<&str>)>;

    /// The machine, if the document has it.
    fn machine(&self) -> Option<&Machine>;

    /// Writes it into the directory of its result. Readers see the document before or this one, never a part.
    ///
    /// # Errors
    /// When it cannot be written.
    fn store(&self, dir: &Path) -> Result<(), BundleError> {
        replace_json(&dir.join(Self::FILE), self)
    }
}

/// A stored result that is made of runs.
#[derive(Debug, Clone)]
pub struct Composite<D> {
    dir: PathBuf,
    document: D,
    raw: Value,
}

impl<D: CompositeDocument> Composite<D> {
    /// Opens its directory, or the document in one.
    ///
    /// # Errors
    /// [`BundleError`] when the document is missing, is not one, or is of another major version.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let (dir, document, raw) = read_document(path, D::FILE, D::KNOWN)?;
        Ok(Self { dir, document, raw })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// What was found.
    pub fn document(&self) -> &D {
        &self.document
    }

    /// The document as found, with fields that this version does not know.
    pub fn raw(&self) -> &Value {
        &self.raw
    }

    /// The machine, from `env.json` or else from the document.
    ///
    /// # Errors
    /// [`BundleError`] when `env.json` is there and is not a machine.
    pub fn machine(&self) -> Result<Option<Machine>, BundleError> {
        Ok(read_json(&self.dir.join("env.json"))?.or_else(|| self.document.machine().cloned()))
    }

    /// The runs that are stored with it, under their names, wherever its directory was moved. Those stored elsewhere, as
    /// a baseline's are, are not among them.
    ///
    /// # Errors
    /// [`BundleError`] when a run cannot be read.
    pub fn runs(&self) -> Result<Vec<(String, Bundle)>, BundleError> {
        let mut runs = Vec::new();
        for (name, path) in self.document.runs() {
            let folder = path.and_then(|path| Path::new(path).file_name());
            let dir = folder.map(|folder| self.dir.join(D::FOLDER).join(folder));
            if let Some(dir) = dir.filter(|dir| dir.is_dir()) {
                runs.push((name.to_owned(), Bundle::open(&dir)?));
            }
        }
        Ok(runs)
    }
}
