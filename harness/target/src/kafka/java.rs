//! The Java that runs Kafka.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::TargetError;

/// What Kafka 4's brokers need (KIP-1013).
const OLDEST: u32 = 17;

/// A Java that is new enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Java {
    program: PathBuf,
    version: String,
}

impl Java {
    /// The one in `$JAVA_HOME`, or on the path.
    ///
    /// # Errors
    /// [`TargetError::NoJava`] when there is none or it is too old.
    pub fn find() -> Result<Java, TargetError> {
        let home = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
        Java::at(home.map_or_else(|| "java".into(), |home| Path::new(&home).join("bin/java")))
    }

    fn at(program: PathBuf) -> Result<Java, TargetError> {
        let refuse = |reason: String| TargetError::NoJava { program: program.clone(), reason };
        let output = Command::new(&program).arg("-version").output();
        let output = output.map_err(|error| refuse(format!("it cannot be started ({error})")))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let version = quoted(&said).ok_or_else(|| refuse("it does not say its version".to_owned()))?;
        match major(version) {
            Some(major) if major >= OLDEST => {
                let version = version.to_owned();
                Ok(Java { program, version })
            }
            _ => Err(refuse(format!("its version is {version}"))),
        }
    }

    /// The executable.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// As it says itself, for example `17.0.15`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// `17.0.15` of `openjdk version "17.0.15" 2025-04-15`.
fn quoted(said: &str) -> Option<&str> {
    said.lines().find_map(|line| line.split_once("version \"")?.1.split('"').next())
}

/// 8 was called 1.8.
fn major(version: &str) -> Option<u32> {
    let mut numbers = version.split(['.', '-', '+', '_']).map(str::parse::<u32>);
    match numbers.next()?.ok()? {
        1 => numbers.next()?.ok(),
        major => Some(major),
    }
}

/// The flags of a JVM by its command line (words end with a zero byte), without its class path and its program.
pub(super) fn flags(command_line: &str) -> String {
    let words = command_line.split('\0').skip(1);
    let options = words.take_while(|word| *word != "kafka.Kafka");
    let flags = options.filter(|word| word.starts_with('-') && *word != "-cp" && !word.contains("log4j2."));
    flags.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_old_and_new_are_read() {
        assert_eq!(quoted("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK …"), Some("17.0.15"));
        assert_eq!(quoted("Picked up JAVA_TOOL_OPTIONS\njava version \"1.8.0_392\""), Some("1.8.0_392"));
        for (version, is) in [("17.0.15", 17), ("1.8.0_392", 8), ("25-ea", 25), ("21+35", 21)] {
            assert_eq!(major(version), Some(is), "{version}");
        }
        assert_eq!((quoted("command not found"), major("new")), (None, None));
    }

    #[test]
    fn a_java_that_is_not_there_or_too_old_says_what_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let missing = Java::at(dir.path().join("java")).unwrap_err().to_string();
        assert!(missing.contains("Java 17") && missing.contains("JAVA_HOME"), "{missing}");
        let silent = Java::at("/bin/true".into()).unwrap_err().to_string();
        assert!(silent.contains("does not say its version"), "{silent}");
    }

    #[test]
    fn flags_are_what_stands_before_the_program() {
        let line = "java\0-cp\0a.jar:b.jar\0-Dlog4j2.configurationFile=x\0-Xmx1G\0-server\0kafka.Kafka\0-y\0";
        assert_eq!(flags(line), "-Xmx1G -server");
    }
}
