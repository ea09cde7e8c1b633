//! `calibrate`: a workload against itself, to learn what this machine resolves.

use anyhow::Context;
use jiff::Timestamp;
use plimsoll_results::stats::MetricRule;
use plimsoll_results::{Calibration, ComparisonDocument, Exit, MachineProfile, Status};

use crate::compare::arms::{AS_IS, Arm};
use crate::compare::options::CalibrateOptions;
use crate::compare::{Request, execute, profile};

pub(crate) fn run(options: &CalibrateOptions) -> anyhow::Result<Exit> {
    let path = profile::path(options.profile.as_deref())?;
    let arm = |name: &str| -> anyhow::Result<Arm> {
        Ok(Arm { name: name.to_owned(), ..Arm::measured(&options.workload, AS_IS, &options.common)? })
    };
    let mut request = Request::plain(vec![arm("one")?, arm("the same")?], &options.common);
    request.runs = Some(options.runs);
    if options.common.dry_run {
        return request.print(options.common.json);
    }
    let workload = request.workload().unwrap_or_default();
    let document = execute(&request)?;
    if document.status != Status::Ok {
        anyhow::bail!("nothing is kept: {}", document.status_reasons.join("; "));
    }
    let calibration = calibration(&document)?;
    let fingerprint =
        document.machine.as_ref().map(|machine| machine.fingerprint.clone()).unwrap_or_default();
    let known = profile::read(&path)?.filter(|profile| profile.fingerprint == fingerprint);
    let mut profile = known.unwrap_or_else(|| MachineProfile::new(fingerprint));
    let usable = calibration.unusable.is_empty();
    if !options.common.json {
        print!("{}", table(&workload, &calibration));
    }
    if usable {
        profile.workloads.insert(workload, calibration);
        profile::write(&path, &profile)?;
    }
    if options.common.json {
        println!("{}", serde_json::to_string_pretty(&profile)?);
    } else if usable {
        println!("kept in {}", path.display());
    }
    Ok(if usable { Exit::Pass } else { Exit::Invalid })
}

fn calibration(document: &ComparisonDocument) -> anyhow::Result<Calibration> {
    let found = document.comparisons.first().context("nothing was compared")?;
    Ok(Calibration::of(found, document.design.pairs, Timestamp::now().to_string()))
}

fn table(workload: &str, calibration: &Calibration) -> String {
    let mut text = format!(
        "{workload} against itself, {} pairs: the smallest change this machine resolves\n\n  {:31}{:>10}{:>10}{:>10}{:>10}{:>12}{:>10}\n",
        calibration.pairs, "", "pair SD", "8 pairs", "16", "24", "difference", "matters"
    );
    for noise in &calibration.metrics {
        let title = MetricRule::named(&noise.metric).map_or(noise.metric.as_str(), |rule| rule.title);
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let resolves = ["8", "16", "24"].map(|pairs| noise.resolves.get(pairs).copied().unwrap_or_default());
        text += &format!(
            "  {title:31}{:>10}{:>10}{:>10}{:>10}{:>12}{:>10}\n",
            percent(noise.sd),
            percent(resolves[0]),
            percent(resolves[1]),
            percent(resolves[2]),
            format!("{:+.1} %", 100.0 * noise.effect),
            percent(noise.min_effect)
        );
    }
    if !calibration.unusable.is_empty() {
        text += &format!(
            "\nUNUSABLE: the same thing differed from itself by more than what matters: {}. Something else runs here.\nNothing is kept.\n",
            calibration.unusable.join(", ")
        );
    }
    text
}
