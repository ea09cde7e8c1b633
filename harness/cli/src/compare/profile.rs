//! The machine profile: one file in the user's state directory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use plimsoll_results::{MachineProfile, MinEffects};

use crate::exit::UsageError;

/// `$XDG_STATE_HOME/plimsoll/profile.json`, or the same under `~/.local/state`.
fn default_path() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
    Some(base.join("plimsoll/profile.json"))
}

/// Where the profile is: the file that was named, or the usual one.
pub(crate) fn path(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let usual =
        || default_path().context("neither XDG_STATE_HOME nor HOME is set: name a file with --profile");
    named.map_or_else(usual, |path| Ok(path.to_owned()))
}

/// The profile in a file; `None` when there is no such file.
pub(crate) fn read(path: &Path) -> anyhow::Result<Option<MachineProfile>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => bail!(UsageError(format!("{}: {error}", path.display()))),
    };
    let profile: MachineProfile = serde_json::from_slice(&text)
        .map_err(|error| UsageError(format!("{} is no machine profile: {error}", path.display())))?;
    if !profile.schema.starts_with("profile/1.") {
        bail!(UsageError(format!(
            "{} has schema {}; this version reads profile/1.x",
            path.display(),
            profile.schema
        )));
    }
    Ok(Some(profile))
}

/// Writes the profile, whole or not at all.
pub(crate) fn write(path: &Path, profile: &MachineProfile) -> anyhow::Result<()> {
    let cannot = || format!("{} cannot be written", path.display());
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(cannot)?;
    }
    let fresh = path.with_extension("new");
    fs::write(&fresh, serde_json::to_string_pretty(profile)? + "\n").with_context(cannot)?;
    fs::rename(&fresh, path).with_context(cannot)
}

/// The smallest effects that this machine may claim for a workload, with notices where they are wider than usual or
/// nothing is known.
pub(crate) fn min_effects(
    named: Option<&Path>,
    fingerprint: &str,
    workload: &str,
) -> anyhow::Result<(MinEffects, Vec<String>)> {
    let mut min_effects = MinEffects::default();
    // Without a home there is no usual place, and nothing to be read from it.
    let Some(path) = named.map(Path::to_owned).or_else(default_path) else {
        return Ok((min_effects, Vec::new()));
    };
    let known = match read(&path)? {
        None if named.is_some() => bail!(UsageError(format!("{}: there is no such profile", path.display()))),
        None => None,
        Some(profile) if profile.fingerprint != fingerprint => {
            let notice =
                "the machine profile is another machine's and was not used; run `plimsoll calibrate`";
            return Ok((min_effects, vec![notice.to_owned()]));
        }
        Some(mut profile) => profile.workloads.remove(workload),
    };
    let notices = match known {
        Some(calibration) => calibration.widen(&mut min_effects),
        None => vec![format!(
            "not calibrated: `plimsoll calibrate {workload}` finds out what this machine resolves"
        )],
    };
    Ok((min_effects, notices))
}
