//! `codecs --through-broker`: the same choice with everything around the codec.

mod document;
mod ranking;
mod table;

use std::path::Path;

use anyhow::Context;
use plimsoll_codecs::BatchLimit;
use plimsoll_load::corpus::find;
use plimsoll_log::records::Codec;
use plimsoll_report::{FiguresPage, figures_page};
use plimsoll_results::{Exit, Status};

use super::bundle::save;
use super::options::CodecsOptions;
use super::page::facts;
use crate::exit::UsageError;
use crate::measure::by_codec::{ByCodec, CODEC_KEY, by_codec, plan};
use crate::measure::preflight::Policy;
use crate::options::{CommonOptions, MeasureOptions};
use document::Document;

/// Those that people choose between; each one more costs a trial per block.
const CODECS: [Codec; 6] =
    [Codec::None, Codec::GZIP, Codec::Snappy, Codec::Lz4, Codec::Zstd { level: 1 }, Codec::ZSTD];

/// Runs it.
pub(super) fn run(options: &CodecsOptions) -> anyhow::Result<Exit> {
    let (measure, codecs) = (measure_options(options)?, options.codecs_or(&CODECS));
    let first = codecs.first().copied().unwrap_or(Codec::None);
    let plan = plan(&measure, first)?;
    if options.dry_run {
        let names: Vec<String> = codecs.iter().map(ToString::to_string).collect();
        return dry_run(options, &names, plan.to_text());
    }
    let batch_bytes = plan.workload.produce.batch_bytes.0;
    let measured = by_codec(&measure, &codecs, options.blocks)?;
    let mut document = document::of(&measured, batch_bytes);
    let report = measured.dir.join("report.html");
    document.report = Some(report.display().to_string());
    save(&report, &figures_page(&page(&document, &measured), &[])?)?;
    let json = serde_json::to_string_pretty(&document)?;
    save(&measured.dir.join("codecs.json"), &json)?;
    save(&measured.dir.join("env.json"), &serde_json::to_string_pretty(&measured.machine)?)?;
    if options.json {
        println!("{json}");
    } else {
        println!("{}report: {}", table::text(&document), report.display());
    }
    Ok(document.status.exit())
}

/// The options of `run` that mean the same: what is measured is a workload.
fn measure_options(options: &CodecsOptions) -> anyhow::Result<MeasureOptions> {
    let mut assignments = Vec::new();
    let mut payload_file = None;
    match options.inputs.as_slice() {
        [] => {}
        [input] if input.is_file() => payload_file = Some(input.clone()),
        [input] => assignments.push(corpus(input)?),
        _ => anyhow::bail!(UsageError("--through-broker measures one file or corpus at a time".to_owned())),
    }
    match options.batch.as_slice() {
        [] => {}
        [BatchLimit::Bytes(bytes)] => assignments.push(format!("produce.batch_bytes={bytes}B")),
        _ => anyhow::bail!(UsageError(
            "--through-broker measures one batch size at a time, such as --batch 16KiB".to_owned()
        )),
    }
    if options.assignments.iter().any(|assignment| assignment.starts_with(CODEC_KEY)) {
        anyhow::bail!(UsageError(format!(
            "`--set {CODEC_KEY}=…` is what is compared here: name codecs with --codec"
        )));
    }
    assignments.extend(options.assignments.iter().cloned());
    let common = CommonOptions {
        backend: options.backend,
        assignments,
        driver: None,
        seed: Some(options.seed),
        payload_file,
        payload_framing: options.framing.to_string(),
        output: options.output.clone(),
        data_dir: options.data_dir.clone(),
        preflight: Policy::Warn,
        json: options.json,
        dry_run: false,
    };
    Ok(MeasureOptions { common, target: None, bootstrap: None, against: None, pairs: 1, no_ceiling: true })
}

fn corpus(input: &Path) -> anyhow::Result<String> {
    let name = input.display().to_string();
    find(&name).map_err(|error| UsageError(format!("there is no file `{name}`, and {error}")))?;
    Ok(format!("payload.corpus={name}"))
}

fn dry_run(options: &CodecsOptions, codecs: &[String], plan: String) -> anyhow::Result<Exit> {
    let trials = codecs.len() * options.blocks as usize;
    if options.json {
        let document = serde_json::json!({
            "status": "ok", "status_reasons": ["dry run: nothing was measured"],
            "codecs": codecs, "blocks": options.blocks, "trials": trials, "workload": plan,
        });
        println!("{}", serde_json::to_string_pretty(&document).context("the plan")?);
    } else {
        println!(
            "{plan}\n# {} blocks of {}: {trials} trials like this one",
            options.blocks,
            codecs.join(", ")
        );
    }
    Ok(Exit::Pass)
}

fn page(document: &Document, measured: &ByCodec) -> FiguresPage {
    let (table, notes) = table::figures(document);
    FiguresPage {
        title: "Codecs through the broker".to_owned(),
        status: (document.status.to_string(), document.status == Status::Ok),
        sentences: vec![
            table::basis(document) + ".",
            "Every record was read back and verified in every trial. Each codec has a run bundle of its own beside this \
             page."
                .to_owned(),
        ],
        durability: document.durability.to_string(),
        remarks: document.status_reasons.clone(),
        tables: vec![table],
        details: Vec::new(),
        notes,
        machine: facts(&measured.machine, measured.seed),
    }
}
