//! Something about a run that its reader should know.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One warning: what was seen, with its number, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Stable short name for scripts, for example `steal`.
    pub code: String,
    /// What was seen, in one sentence with its figure.
    pub message: String,
    /// What the reader can do, in one sentence.
    pub advice: String,
}

impl Warning {
    /// A warning from its three parts.
    pub fn new(code: &str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), advice: advice.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.message, self.advice)
    }
}
