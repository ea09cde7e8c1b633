//! From text and command line to a [`Workload`], and back to the lock file.

use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::error::WorkloadError;
use super::model::Workload;
use super::suggest::suggestion;

/// Workloads that need no file: name and text.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("hello", include_str!("../../../../workloads/hello.toml")),
    ("small-records", include_str!("../../../../workloads/small-records.toml")),
    ("large-batches", include_str!("../../../../workloads/large-batches.toml")),
    ("acks-all", include_str!("../../../../workloads/acks-all.toml")),
    ("rf3-acks-all", include_str!("../../../../workloads/rf3-acks-all.toml")),
    ("failover", include_str!("../../../../workloads/failover.toml")),
    ("rolling-restart", include_str!("../../../../workloads/rolling-restart.toml")),
    ("slow-follower", include_str!("../../../../workloads/slow-follower.toml")),
    ("add-broker", include_str!("../../../../workloads/add-broker.toml")),
    ("catch-up", include_str!("../../../../workloads/catch-up.toml")),
    ("codecs", include_str!("../../../../workloads/codecs.toml")),
    ("ceiling", include_str!("../../../../workloads/ceiling.toml")),
];

const LOCK_HEAD: &str = "\
# Every value of this run, defaults included. This file alone repeats it:
#   plimsoll run workload.lock.toml

";

impl Workload {
    /// Reads `path`, or the built-in workload of that name when there is no such file, and applies
    /// `assignments` (`load.rate=50_000/s`) in order.
    ///
    /// # Errors
    /// [`WorkloadError`] names file, line and what to write instead.
    pub fn load(path: &Path, assignments: &[String]) -> Result<Workload, WorkloadError> {
        let name = path.to_string_lossy();
        if !path.exists()
            && let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| *known == name)
        {
            return Workload::parse(&format!("{name}.toml"), text, assignments);
        }
        match std::fs::read_to_string(path) {
            Ok(text) => Workload::parse(&name, &text, assignments),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound && path.extension().is_none() => {
                let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                Err(WorkloadError::NoSuchWorkload { name: name.into_owned(), known: known.join(", ") })
            }
            Err(source) => Err(WorkloadError::Read { path: path.to_owned(), source }),
        }
    }

    /// Reads workload text; `file` is only for messages.
    ///
    /// # Errors
    /// As [`Workload::load`].
    pub fn parse(file: &str, text: &str, assignments: &[String]) -> Result<Workload, WorkloadError> {
        let mut workload: Workload = toml::from_str(text).map_err(|error| in_file(file, text, &error))?;
        if !assignments.is_empty() {
            let mut table: Table = toml::from_str(text).map_err(|error| in_file(file, text, &error))?;
            for assignment in assignments {
                workload = assign(&mut table, assignment)?;
            }
        }
        workload.phases.resolve();
        workload.check().map_err(|fault| {
            let line = line_of_key(text, fault.key());
            WorkloadError::Invalid { file: file.to_owned(), line, fault }
        })?;
        workload.choose_only_system();
        Ok(workload)
    }

    /// Every value as TOML, defaults included.
    pub fn to_lock(&self) -> String {
        match toml::to_string(self) {
            Ok(body) => format!("{LOCK_HEAD}{body}"),
            // The model holds strings, numbers and string-keyed maps only; TOML can hold them all.
            Err(error) => format!("{LOCK_HEAD}# not written: {error}\n"),
        }
    }
}

fn in_file(file: &str, text: &str, error: &toml::de::Error) -> WorkloadError {
    let at = error.span().map_or(0, |span| span.start);
    WorkloadError::File {
        file: file.to_owned(),
        line: line_of_offset(text, at),
        message: error.message().to_owned(),
        suggestion: suggestion(error.message(), &known_keys()),
    }
}

/// Line, from 1, of a byte offset.
fn line_of_offset(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// All dotted keys of the format, from the defaults.
fn known_keys() -> Vec<String> {
    let mut keys = Vec::new();
    if let Ok(workload) = toml::from_str::<Workload>("schema = \"workload/1\"")
        && let Ok(table) = Table::try_from(&workload)
    {
        collect_keys("", &table, &mut keys);
    }
    keys
}

fn collect_keys(prefix: &str, table: &Table, keys: &mut Vec<String>) {
    for (key, value) in table {
        let dotted = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => collect_keys(&dotted, inner, keys),
            _ => keys.push(dotted),
        }
    }
}

/// The line that sets a dotted key, for faults found after reading.
fn line_of_key(text: &str, dotted: &str) -> Option<usize> {
    let table = toml::de::DeTable::parse(text).ok()?;
    let mut here = table.get_ref();
    let mut parts = dotted.split('.').peekable();
    while let Some(part) = parts.next() {
        let (key, value) = here.iter().find(|(key, _)| key.get_ref() == part)?;
        match (parts.peek(), value.get_ref()) {
            (Some(_), toml::de::DeValue::Table(inner)) => here = inner,
            _ => return Some(line_of_offset(text, key.span().start)),
        }
    }
    None
}

/// Applies one `key=value` to `table` and reads the workload again, so that the error names it.
/// A value that TOML does not know (`50_000/s`, `lz4`) is a string; so is one that only fits as one.
fn assign(table: &mut Table, assignment: &str) -> Result<Workload, WorkloadError> {
    let fail = |message: String, suggestion| WorkloadError::Set {
        assignment: assignment.to_owned(),
        message,
        suggestion,
    };
    let (key, value) = assignment
        .split_once('=')
        .ok_or_else(|| fail("no `=`; write key=value, for example load.rate=50_000/s".into(), None))?;
    let path =
        key_path(long(key.trim())).ok_or_else(|| fail(format!("{key:?} is not a dotted key"), None))?;
    let text = Value::String(value.to_owned());
    let parsed = toml::from_str::<Table>(&format!("v = {value}")).ok().and_then(|mut t| t.remove("v"));
    let mut first_refusal = None;
    for candidate in parsed.into_iter().chain([text]) {
        let mut trial = table.clone();
        insert(&mut trial, &path, candidate).map_err(|message| fail(message, None))?;
        match Workload::deserialize(trial.clone()) {
            Ok(workload) => {
                *table = trial;
                return Ok(workload);
            }
            Err(error) => first_refusal = first_refusal.or(Some(error)),
        }
    }
    let message = first_refusal.map_or_else(String::new, |error| error.message().to_owned());
    let near = suggestion(&message, &known_keys());
    Err(fail(message, near))
}

/// The key that a short or second name stands for. A file's own key is thus replaced and not given twice.
fn long(key: &str) -> &str {
    match key {
        "rf" | "topic.rf" | "topic.replication_factor" => "topic.replication",
        "min_isr" => "topic.min_insync",
        "acks" => "produce.acks",
        key => key,
    }
}

/// `systems.ours.config."log.dirs"` as its parts, by TOML's own rules for quoting.
fn key_path(key: &str) -> Option<Vec<String>> {
    let mut here: Table = toml::from_str(&format!("{key} = 0")).ok()?;
    let mut path = Vec::new();
    loop {
        let (part, value) = here.into_iter().next()?;
        path.push(part);
        match value {
            Value::Table(inner) => here = inner,
            _ => return Some(path),
        }
    }
}

fn insert(table: &mut Table, path: &[String], value: Value) -> Result<(), String> {
    let Some((last, parents)) = path.split_last() else {
        return Err("the key is empty".into());
    };
    let mut here = table;
    for part in parents {
        let next = here.entry(part.clone()).or_insert_with(|| Value::Table(Table::new()));
        here = next.as_table_mut().ok_or_else(|| format!("`{part}` is a value, not a section"))?;
    }
    here.insert(last.clone(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;
    use plimsoll_results::config_hash;

    const HEAD: &str = "schema = \"workload/1\"\n";

    fn parse(body: &str) -> Result<Workload, WorkloadError> {
        Workload::parse("w.toml", &format!("{HEAD}{body}"), &[])
    }

    #[test]
    fn built_in_workloads_read_and_check() {
        for (name, text) in BUILT_IN {
            let workload = Workload::parse(name, text, &[]).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(&workload.name, name);
            assert!(!workload.about.is_empty(), "{name} says what it is about");
        }
    }

    #[test]
    fn every_file_in_workloads_is_built_in() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads");
        let files = dir.read_dir().unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> =
            files.filter_map(|file| file.strip_suffix(".toml").map(str::to_owned)).collect();
        let mut built_in: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        names.sort();
        built_in.sort_unstable();
        assert_eq!(names, built_in);
    }

    #[test]
    fn the_lock_file_alone_repeats_the_run() {
        for (name, text) in BUILT_IN {
            let sets = ["load.rate=1234.5/s".to_owned(), "systems.other.config.\"a.b\"=7".to_owned()];
            let sets = [&sets[..1], if text.contains("[systems") { &[] } else { &sets[1..] }].concat();
            let Ok(workload) = Workload::parse(name, text, &sets) else { panic!("{name} {sets:?}") };
            let lock = workload.to_lock();
            assert!(!lock.contains("not written"), "{name}: {lock}");
            let again =
                Workload::parse("workload.lock.toml", &lock, &[]).unwrap_or_else(|e| panic!("{e}\n{lock}"));
            assert_eq!(again, workload);
            assert_eq!(again.to_lock(), lock);
            let identity =
                |workload: &Workload| serde_json::to_value(workload).map(|json| config_hash(&json)).ok();
            assert_eq!(identity(&again), identity(&workload));
        }
    }

    #[test]
    fn every_default_is_in_the_lock() {
        let lock = parse("").unwrap().to_lock();
        for key in
            ["linger = \"1ms\"", "tick = \"50us\"", "system = \"ours\"", "acks = \"1\"", "theta = 0.99"]
        {
            assert!(lock.contains(key), "{key} is not in\n{lock}");
        }
    }

    #[test]
    fn an_unknown_key_names_file_line_and_the_near_key() {
        let error = parse("\n[load]\nmode = \"open\"\nrat = \"1/s\"\n").unwrap_err().to_string();
        assert!(error.starts_with("w.toml:5: ") && error.contains("did you mean `rate`?"), "{error}");
        let error = parse("[produce]\nacks = \"al\"\n").unwrap_err().to_string();
        assert!(error.starts_with("w.toml:3: ") && error.contains("did you mean `all`?"), "{error}");
        let error = parse("[load]\nlinger = \"1ms\"\n").unwrap_err().to_string();
        assert!(error.contains("did you mean `produce.linger`?"), "{error}");
    }

    #[test]
    fn a_number_without_unit_is_refused_with_its_line() {
        let error = parse("[produce]\nbatch_bytes = 65536\n").unwrap_err().to_string();
        assert!(error.starts_with("w.toml:3: ") && error.contains("no unit"), "{error}");
    }

    #[test]
    fn a_broken_rule_names_the_line_of_its_key() {
        let error = parse("[produce]\n\nmax_in_flight = 6\n").unwrap_err();
        let WorkloadError::Invalid { line, fault, .. } = &error else { panic!("{error}") };
        assert_eq!((*line, fault), (Some(4), &Invalid::IdempotentWindow(6)));
    }

    #[test]
    fn set_overrides_and_names_itself_when_it_fails() {
        let sets = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
            Workload::parse("w.toml", HEAD, &sets)
        };
        let workload =
            sets(&["load.rate=50_000/s", "produce.acks=0", "produce.idempotent=false", "name=7"]).unwrap();
        assert_eq!((workload.load.rate, workload.produce.acks), (Rate(50_000.0), Acks::None));
        assert_eq!(workload.name, "7");
        let workload = sets(&["systems.ours.config.\"plimsoll.storage.backend\"=mmap"]).unwrap();
        assert_eq!(workload.systems["ours"].config["plimsoll.storage.backend"], "mmap");
        let error = sets(&["load.rte=1/s"]).unwrap_err().to_string();
        assert!(error.starts_with("--set load.rte=1/s: ") && error.contains("`rate`"), "{error}");
        assert!(sets(&["load.rate"]).unwrap_err().to_string().contains("key=value"));
        assert!(sets(&["name.x=1"]).is_err());
    }

    #[test]
    fn several_systems_need_a_choice() {
        let body = "[systems.a]\nkind = \"null\"\n[systems.b]\nkind = \"floor\"\n";
        let error = parse(body).unwrap_err().to_string();
        assert!(error.contains("a, b"), "{error}");
        assert_eq!(parse(&format!("system = \"b\"\n{body}")).unwrap().chosen().1.kind, SystemKind::Floor);
        assert!(parse(&format!("system = \"c\"\n{body}")).is_err());
    }
}
