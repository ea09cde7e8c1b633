//! How a run ended, and what the process says to the shell.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Completion and verification only. Noise, unsteadiness and generator verdicts are reasons, not a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Ran to its end and every acknowledged record was found once, in order, intact.
    Ok,
    /// Ran, but its figures must not be used (for example: the verifier could not finish).
    Invalid,
    /// Stopped before its end; what was measured until then is kept.
    #[default]
    Aborted,
    /// Did not work, or lost, doubled, reordered or corrupted records.
    Failed,
}

impl Status {
    /// The exit code a verb ends with when this is its outcome.
    pub fn exit(self) -> Exit {
        match self {
            Status::Ok => Exit::Pass,
            Status::Failed | Status::Aborted => Exit::Failed,
            Status::Invalid => Exit::Invalid,
        }
    }

    /// The word in the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Invalid => "invalid",
            Status::Aborted => "aborted",
            Status::Failed => "failed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Process exit codes of every verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It worked.
    Pass = 0,
    /// It failed or was interrupted.
    Failed = 1,
    /// A regression was confirmed.
    Regression = 2,
    /// Nothing could be said, and `--strict` was asked for.
    Inconclusive = 3,
    /// The measurement itself is not valid.
    Invalid = 4,
    /// The command line or a configuration file was wrong.
    Usage = 64,
}

impl Exit {
    /// The number given to the shell.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_the_exit_code_of_the_contract() {
        let codes = [Status::Ok, Status::Failed, Status::Aborted, Status::Invalid].map(|s| s.exit().code());
        assert_eq!(codes, [0, 1, 1, 4]);
        assert_eq!([Exit::Regression, Exit::Inconclusive, Exit::Usage].map(Exit::code), [2, 3, 64]);
    }

    #[test]
    fn the_word_shown_is_the_word_stored() {
        for status in [Status::Ok, Status::Invalid, Status::Aborted, Status::Failed] {
            assert_eq!(serde_json::to_value(status).unwrap(), status.to_string());
        }
    }
}
