//! What happened during a trial: events and faults as instants, phases and outages as spans.

use plimsoll_results::{Event, Fault, Phase};

use crate::chart::{Band, Mark};
use crate::data::{ReportData, TrialData};

/// More labels than this lie on top of one another.
const LABELS_MAX: usize = 8;
const ALWAYS_LABELLED: [&str; 3] = ["fault", "recovered", "election"];

/// Events, and faults that left none.
pub(super) fn marks(run: &ReportData, end_s: f64) -> Vec<Mark> {
    // Phases are shaded; a rule at their border would say it twice.
    let events = run.events.iter().filter(|event| event.kind != "phase").cloned();
    let known = |fault: &&Fault| !run.events.iter().any(|event| is_of(event, fault));
    let faults = run.document.faults.iter().filter(known).map(as_event);
    let inside: Vec<_> =
        events.chain(faults).filter(|event| (0.0..=end_s * 1e3).contains(&event.at_ms)).collect();
    let all_fit = inside.len() <= LABELS_MAX;
    let marks = inside.into_iter().map(|event| Mark {
        at: event.at_ms / 1e3,
        labelled: all_fit || ALWAYS_LABELLED.contains(&event.kind.as_str()),
        label: event.message,
    });
    marks.collect()
}

fn is_of(event: &Event, fault: &Fault) -> bool {
    const SAME_MS: f64 = 1000.0;
    event.kind == "fault" && (event.at_ms - fault.at_ms).abs() < SAME_MS
}

fn as_event(fault: &Fault) -> Event {
    let message = format!("{} {}", fault.kind, fault.target);
    Event { at_ms: fault.at_ms, kind: "fault".to_owned(), message, ..Event::default() }
}

/// Spans of intervals outside the measured phase, and those in which nothing was acknowledged after a fault.
pub(super) fn bands(run: &ReportData, trial: &TrialData, end_s: f64) -> Vec<Band> {
    let mut bands: Vec<(Phase, Band)> = Vec::new();
    for row in trial.intervals.iter().filter(|row| row.phase != Phase::Measure) {
        let (from, to) = (row.at_ms / 1e3, (row.at_ms + row.len_ms) / 1e3);
        match bands.last_mut() {
            Some((phase, band)) if *phase == row.phase => band.to = to,
            _ => bands.push((row.phase, Band { from, to, label: phase_name(row.phase).to_owned() })),
        }
    }
    let unavailable = run.document.faults.iter().map(|fault| Band {
        from: fault.at_ms / 1e3,
        to: (fault.at_ms + fault.unavailable_ms) / 1e3,
        label: "unavailable".to_owned(),
    });
    let all = bands.into_iter().map(|(_, band)| band).chain(unavailable);
    all.map(|band| Band { to: band.to.min(end_s), ..band }).filter(|band| band.from < band.to).collect()
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Warmup => "warm-up",
        Phase::Measure => "measured",
        Phase::Drain => "drain",
    }
}
