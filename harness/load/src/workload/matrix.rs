//! The `[matrix]` section: which settings vary, and how they are combined.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::scalar::{Scalar, scalars};

/// How values are combined into points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatrixDesign {
    /// One factor at a time differs from the base, which has the first value of each.
    #[default]
    OneAtATime,
    /// Every combination.
    Full,
}

/// The `[matrix]` section. Beside `design` and `exclude` every key is a factor with the list of its values:
/// `codec = ["lz4", "zstd:3"]`, `"produce.linger" = ["0s", "5ms"]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// How values are combined.
    #[serde(default)]
    pub design: MatrixDesign,
    /// Points that are left out: those with all values of one of these.
    #[serde(default, deserialize_with = "exclusions", skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<BTreeMap<String, String>>,
    /// Values by factor, as text; the first one is the base's.
    #[serde(flatten, deserialize_with = "factors")]
    pub factors: BTreeMap<String, Vec<String>>,
}

/// A table of scalars, each as its text.
#[derive(Deserialize)]
struct Exclusion(#[serde(deserialize_with = "scalars")] BTreeMap<String, String>);

fn exclusions<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<BTreeMap<String, String>>, D::Error> {
    Ok(Vec::<Exclusion>::deserialize(source)?.into_iter().map(|exclusion| exclusion.0).collect())
}

fn factors<'de, D: Deserializer<'de>>(source: D) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    let lists = BTreeMap::<String, Vec<Scalar>>::deserialize(source)?;
    let texts = |list: Vec<Scalar>| list.into_iter().map(|value| value.0).collect();
    Ok(lists.into_iter().map(|(name, list)| (name, texts(list))).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Workload;
    use super::*;

    const HEAD: &str = "schema = \"workload/1\"\n";

    #[test]
    fn every_key_but_two_is_a_factor_and_values_are_text() {
        let body = "[matrix]\ndesign = \"full\"\nexclude = [{ acks = 0, partitions = 6 }]\nacks = [\"all\", 0]\npartitions = [1, 6]\n";
        let workload = Workload::parse("w.toml", &format!("{HEAD}{body}"), &[]).expect("a workload");
        let matrix = workload.matrix.expect("a matrix");
        assert_eq!(matrix.design, MatrixDesign::Full);
        assert_eq!(matrix.factors["acks"], ["all", "0"]);
        assert_eq!(matrix.exclude[0]["partitions"], "6");
        assert_eq!(Workload::parse("w.toml", HEAD, &[]).expect("a workload").matrix, None);
    }

    #[test]
    fn a_factor_without_a_list_is_refused_with_its_line() {
        let error =
            Workload::parse("w.toml", &format!("{HEAD}[matrix]\ncodec = \"lz4\"\n"), &[]).unwrap_err();
        assert!(error.to_string().starts_with("w.toml:"), "{error}");
    }
}
