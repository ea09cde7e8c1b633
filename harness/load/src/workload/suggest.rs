//! "Did you mean": the nearest known key or value to a misspelt one.

/// Splits serde's refusal into the rejected name and the names it would have taken.
fn refused(message: &str) -> Option<(&str, Vec<&str>)> {
    let known = message.contains("unknown field") || message.contains("unknown variant");
    let mut ticked = message.split('`').skip(1).step_by(2);
    let name = ticked.next()?;
    known.then(|| (name, ticked.collect()))
}

/// What was probably meant by the name that serde's `message` refuses; `keys` are all dotted keys of
/// the format, to find a key that stands in the wrong section.
pub(super) fn suggestion(message: &str, keys: &[String]) -> Option<String> {
    let (name, accepted) = refused(message)?;
    if let Some(near) = nearest(name, accepted.iter().copied()) {
        return Some(format!("`{near}`"));
    }
    let elsewhere = keys.iter().find(|key| key.rsplit('.').next() == Some(name))?;
    Some(format!("`{elsewhere}`"))
}

/// The candidate nearest to `name`, if it is near enough to be a slip of the finger.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit || candidate.starts_with(name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_key_and_nonsense_finds_none() {
        let message = "unknown field `partitons`, expected one of `name`, `count`, `partitions`";
        assert_eq!(suggestion(message, &[]), Some("`partitions`".into()));
        let message = "unknown field `xyzzy`, expected one of `name`, `count`";
        assert_eq!(suggestion(message, &[]), None);
    }

    #[test]
    fn a_key_in_the_wrong_section_is_found_in_its_own() {
        let message = "unknown field `linger`, expected one of `mode`, `rate`";
        assert_eq!(suggestion(message, &["produce.linger".into()]), Some("`produce.linger`".into()));
    }
}
