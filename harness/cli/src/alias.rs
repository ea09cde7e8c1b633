//! Names of Kafka's own tools: a link of that name to this program takes Kafka's flags.

use std::ffi::OsString;
use std::path::Path;

/// Kafka's tool, and the verb that stands for it.
const ALIASES: &[(&str, &[&str])] = &[("kafka-dump-log", &["storage", "dump"]), ("kafka-topics", &["topic"])];
/// A tool that says by a flag what to do; here the word comes first.
const DEEDS: &[(&str, &[&str])] = &[("kafka-topics", &["create", "list", "describe", "alter", "delete"])];

/// The command line with the verb that `argv[0]` stands for, if it is a tool's name, with or without `.sh`.
pub(crate) fn expand(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let program = arguments.first().map(Path::new).and_then(Path::file_name).and_then(|name| name.to_str());
    let tool = program.map(|name| name.strip_suffix(".sh").unwrap_or(name));
    if let Some((name, verb)) = ALIASES.iter().find(|(alias, _)| Some(*alias) == tool) {
        arguments.splice(1..1, verb.iter().map(OsString::from));
        let deeds = DEEDS.iter().find(|(alias, _)| alias == name).map_or(&[][..], |(_, deeds)| deeds);
        deed_first(&mut arguments, 1 + verb.len(), deeds);
    }
    arguments
}

/// `--create` anywhere becomes the word `create` at `place`.
fn deed_first(arguments: &mut Vec<OsString>, place: usize, deeds: &[&str]) {
    let deed = |argument: &OsString| {
        let word = argument.to_str()?.strip_prefix("--")?;
        deeds.iter().copied().find(|deed| *deed == word)
    };
    let found = arguments.iter().enumerate().find_map(|(at, argument)| Some((at, deed(argument)?)));
    if let Some((at, word)) = found {
        arguments.remove(at);
        arguments.insert(place, word.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(arguments: &[&str]) -> Vec<String> {
        let expanded = expand(arguments.iter().map(OsString::from));
        expanded.into_iter().filter_map(|argument| argument.into_string().ok()).collect()
    }

    #[test]
    fn a_tools_name_becomes_its_verb() {
        for name in ["kafka-dump-log", "/opt/bin/kafka-dump-log.sh"] {
            assert_eq!(expanded(&[name, "--files", "x"]), [name, "storage", "dump", "--files", "x"]);
        }
        let made = ["kafka-topics.sh", "--bootstrap-server", "h:1", "--create", "--topic", "t"];
        let words = ["kafka-topics.sh", "topic", "create", "--bootstrap-server", "h:1", "--topic", "t"];
        assert_eq!(expanded(&made), words);
        assert_eq!(expanded(&["kafka-topics"]), ["kafka-topics", "topic"]);
        assert_eq!(expanded(&["plimsoll", "quick"]), ["plimsoll", "quick"]);
        assert_eq!(expanded(&["kafka-dump-logs"]), ["kafka-dump-logs"]);
        assert_eq!(expanded(&[]), [""; 0]);
    }
}
