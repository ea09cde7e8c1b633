//! An arm while its trials run: what it needs, and what they left so far.

use jiff::Timestamp;
use plimsoll_load::CancelToken;
use plimsoll_load::corpus::CorpusCache;
use plimsoll_load::payload::Payload;
use plimsoll_load::run::prepare_payload;
use plimsoll_load::workload::Workload;
use plimsoll_results::{Bundle, BundleWriter, Machine, PayloadSummary, RunDocument, Status, TrialSummary};

use super::measured::Trial;
use super::pairs::Measured;
use super::plan::Plan;
use super::progress::Watch;
use super::{codecs, document, preflight, trial, write_report};

/// An arm of which each block holds one trial. Every arm has a run bundle of its own.
pub(crate) struct LiveArm<'a> {
    pub(crate) name: String,
    pub(crate) plan: &'a Plan,
    records: Records,
    bundle: BundleWriter,
    document: RunDocument,
    /// By block, without their histograms.
    pub(crate) trials: Vec<Trial>,
    /// By block; `None` where it did not end well.
    pub(crate) summaries: Vec<Option<TrialSummary>>,
    /// Why it is no longer measured.
    pub(super) lost: Option<(Status, String)>,
}

/// The values that are sent, and how they compress by this arm's settings.
#[derive(Clone)]
struct Records {
    payload: Payload,
    summary: PayloadSummary,
}

impl Records {
    /// Prepares them, or takes those of an arm that sends the same.
    fn of(plan: &Plan, others: &[LiveArm<'_>], watch: &mut Watch) -> anyhow::Result<Self> {
        let same = |same: fn(&Workload, &Workload) -> bool| {
            others.iter().find(|other| same(&other.plan.workload, &plan.workload)).map(|other| &other.records)
        };
        if let Some(records) = same(same_batches) {
            return Ok(records.clone());
        }
        let payload = match same(same_values) {
            Some(records) => records.payload.clone(),
            None => prepare_payload(&plan.workload, &CorpusCache::from_env()?)?,
        };
        plan.check_corpus(&payload)?;
        let summary = codecs::summary(plan, &payload, watch)?;
        Ok(Self { payload, summary })
    }
}

fn same_values(a: &Workload, b: &Workload) -> bool {
    (&a.payload, &a.keys, a.seed) == (&b.payload, &b.keys, b.seed)
}

fn same_batches(a: &Workload, b: &Workload) -> bool {
    let batches =
        |workload: &Workload| (workload.produce.batch_bytes.bytes(), workload.produce.codec.clone());
    same_values(a, b) && batches(a) == batches(b) && a.topic == b.topic && a.load == b.load
}

impl<'a> LiveArm<'a> {
    pub(super) fn begin(
        name: &str,
        plan: &'a Plan,
        bundle: BundleWriter,
        machine: &Machine,
        others: &[LiveArm<'_>],
        watch: &mut Watch,
    ) -> anyhow::Result<Self> {
        let records = Records::of(plan, others, watch)?;
        bundle.write_lock(&plan.workload.to_lock())?;
        bundle.write_env(machine)?;
        let mut document = document::begin(plan, machine);
        // Once, before anything of ours runs.
        document.preflight = match others.first() {
            Some(first) => first.document.preflight.clone(),
            None => preflight::preflight(plan, machine)?,
        };
        let (trials, summaries, lost) = Default::default();
        Ok(Self { name: name.to_owned(), plan, records, bundle, document, trials, summaries, lost })
    }

    /// Takes in the trials of an earlier session, up to the first that is not whole.
    pub(super) fn go_on_from(&mut self, earlier: &Bundle) -> anyhow::Result<()> {
        for (stored, number) in earlier.trials()?.iter().zip(1..) {
            let whole = stored.measured::<Trial>()?.filter(|trial| trial.status != Status::Aborted);
            let (Some(trial), Some(summary), true) = (whole, stored.summary()?, stored.number == number)
            else {
                break;
            };
            self.summaries.push((summary.status == Status::Ok).then_some(summary));
            self.trials.push(trial);
        }
        let kept = u32::try_from(self.trials.len())?;
        self.bundle = BundleWriter::reopen(earlier, kept);
        Ok(())
    }

    /// Runs the trial of a block. Each block has arrivals and keys of its own, the same ones for all its arms.
    pub(super) fn trial(
        &mut self,
        block: usize,
        watch: &mut Watch,
        cancel: &CancelToken,
    ) -> anyhow::Result<TrialSummary> {
        let mut workload = self.plan.workload.clone();
        workload.seed = workload.seed.wrapping_add(block as u64);
        let folder = self.bundle.begin_trial()?;
        let mut trial = trial::measure(self.plan, &workload, &self.records.payload, folder, watch, cancel)?;
        let summary = trial.summary();
        // They are in the bundle, and would be a gigabyte in memory while later trials are measured.
        trial.series = Default::default();
        self.trials.push(trial);
        self.summaries.push((summary.status == Status::Ok).then(|| summary.clone()));
        Ok(summary)
    }

    /// The values that it sends.
    pub(super) fn payload(&self) -> &Payload {
        &self.records.payload
    }

    /// Runs a trial that leaves nothing.
    pub(super) fn warm_up(&self, watch: &mut Watch, cancel: &CancelToken) -> anyhow::Result<()> {
        let scratch = tempfile::tempdir()?;
        let mut nowhere = BundleWriter::create(scratch.path(), "warm-up", Timestamp::now())?;
        let (plan, folder) = (self.plan, nowhere.begin_trial()?);
        trial::measure(plan, &plan.workload, &self.records.payload, folder, watch, cancel).map(drop)
    }

    /// Closes its bundle; with a page, if that is wanted.
    pub(crate) fn end(self, with_page: bool) -> anyhow::Result<RunDocument> {
        let Self { plan, records, bundle, mut document, trials, lost, .. } = self;
        if trials.is_empty() {
            let (status, reason) = lost.unwrap_or((Status::Aborted, "no trial ended".to_owned()));
            (document.status, document.status_reasons) = (status, vec![reason]);
        } else {
            let trials = with_latencies(&bundle, trials)?;
            for event in trials.first().iter().flat_map(|trial| &trial.events) {
                bundle.event(event)?;
            }
            let measured = Measured { beside: lost.into_iter().collect(), ..Measured::of_trials(trials) };
            document::fill(&mut document, plan, &measured, records.summary, None);
        }
        let unfit = preflight::remarks(&document.preflight);
        document.status_reasons.extend(unfit);
        bundle.checkpoint(&mut document)?;
        if with_page {
            write_report(&bundle)?;
        }
        bundle.finish(&mut document, Timestamp::now())?;
        Ok(document)
    }
}

/// Brings back the histograms that were let go of after each trial.
fn with_latencies(bundle: &BundleWriter, mut trials: Vec<Trial>) -> anyhow::Result<Vec<Trial>> {
    let stored = Bundle::open(bundle.path())?.trials()?;
    for (trial, stored) in trials.iter_mut().zip(stored) {
        trial.series = stored.latency()?;
    }
    Ok(trials)
}
