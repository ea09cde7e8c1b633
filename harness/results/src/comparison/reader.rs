//! Reads a comparison, of this version or any with the same major.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::ComparisonDocument;
use crate::bundle::files::{io, json, read_json};
use crate::bundle::{Bundle, BundleError};
use crate::machine::Machine;

/// A stored comparison.
#[derive(Debug, Clone)]
pub struct Comparison {
    dir: PathBuf,
    document: ComparisonDocument,
    raw: Value,
}

impl Comparison {
    /// Opens a comparison's directory, or the `compare.json` in one.
    ///
    /// # Errors
    /// [`BundleError`] when the document is missing, is not one, or is of another major version.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let dir = if path.is_file() { path.parent().unwrap_or(Path::new(".")) } else { path };
        let file = dir.join("compare.json");
        let bytes = fs::read(&file).map_err(io("read", &file))?;
        let raw: Value = serde_json::from_slice(&bytes).map_err(json(&file, None))?;
        let Some(schema) = raw.get("schema").and_then(Value::as_str) else {
            return Err(BundleError::Foreign { known: "compare/1.x", path: file });
        };
        if schema.strip_prefix("compare/1.").is_none_or(|minor| minor.parse::<u32>().is_err()) {
            return Err(BundleError::Schema { known: "compare/1.x", found: schema.to_owned(), path: file });
        }
        let document = ComparisonDocument::deserialize(&raw).map_err(json(&file, None))?;
        Ok(Self { dir: dir.to_owned(), document, raw })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// What was found.
    pub fn document(&self) -> &ComparisonDocument {
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
        Ok(read_json(&self.dir.join("env.json"))?.or_else(|| self.document.machine.clone()))
    }

    /// The runs stored under `arms/`, in the order of the arms and under their names. Arms whose trials are stored
    /// elsewhere, as a baseline's are, are not among them.
    ///
    /// # Errors
    /// [`BundleError`] when a run cannot be read.
    pub fn arms(&self) -> Result<Vec<(String, Bundle)>, BundleError> {
        let mut arms = Vec::new();
        for arm in &self.document.arms {
            let folder = arm.bundle.as_deref().and_then(|path| Path::new(path).file_name());
            let dir = folder.map(|name| self.dir.join("arms").join(name));
            if let Some(dir) = dir.filter(|dir| dir.is_dir()) {
                arms.push((arm.name.clone(), Bundle::open(&dir)?));
            }
        }
        Ok(arms)
    }
}
