//! From what was done and seen to the faults and events of a result.

use plimsoll_load::run::Outcome;
use plimsoll_results::{Event, Fault};

use super::inject::{Done, Injector, Planned};
use super::watch::{Change, Seen};

/// What a trial's faults came to.
#[derive(Debug, Default)]
pub(crate) struct Aftermath {
    pub(crate) faults: Vec<Fault>,
    pub(crate) events: Vec<Event>,
    /// What could not be done.
    pub(crate) remarks: Vec<String>,
}

/// Ends the injector and judges each of its faults by the run's outcome.
pub(crate) fn aftermath(injector: Injector<'_>, outcome: &Outcome) -> Aftermath {
    let (planned, done, seen, remarks) = injector.finish();
    let zero_ns = outcome.timeline.start;
    let mut injected: Vec<&Planned> = planned.iter().filter(|planned| planned.at_ns.is_some()).collect();
    injected.sort_by_key(|planned| planned.at_ns);
    let times: Vec<u64> = injected.iter().filter_map(|planned| planned.at_ns).collect();
    let next = |at: u64| times.iter().copied().find(|time| *time > at).unwrap_or(u64::MAX);
    let faults = injected.iter().filter_map(|planned| {
        let at_ns = planned.at_ns?;
        Some(judged(planned, at_ns, next(at_ns), outcome, &seen))
    });
    Aftermath { faults: faults.collect(), events: events(&done, &seen, zero_ns), remarks }
}

fn judged(planned: &Planned, at_ns: u64, until_ns: u64, outcome: &Outcome, seen: &Seen) -> Fault {
    let fault = &planned.fault;
    let wanted = |id| planned.partitions.contains(&id);
    let longest = outcome.silences.longest(wanted, at_ns, until_ns);
    let recovered = longest.is_none_or(|(_, recovered)| recovered);
    let unavailable_ns = match longest {
        Some((length, true)) => length,
        // To the end of the run, and not only of the load.
        Some((length, false)) => length + outcome.produce_ended.saturating_sub(outcome.timeline.end),
        None => 0,
    };
    Fault {
        kind: fault.kind.as_str().to_owned(),
        target: format!("broker:{}", planned.node),
        at_ms: millis(at_ns.saturating_sub(outcome.timeline.start)),
        recovered,
        unavailable_ms: millis(unavailable_ns),
        lost: outcome.verify_document.counts.lost,
        asked: Some(fault.target.to_string()).filter(|_| fault.kind.as_str() != "add-broker"),
        for_ms: fault.lasts.map(|lasts| millis(lasts.0)),
        partitions: u32::try_from(planned.partitions.len()).ok(),
        isr_full_ms: in_sync_again(seen, at_ns).map(millis),
    }
}

/// How long after `at_ns` every replica was in sync: zero if none left before somebody else was hit, `None` if that was not
/// seen.
fn in_sync_again(seen: &Seen, at_ns: u64) -> Option<u64> {
    let under = seen.changes.iter().filter_map(|(time, change)| match change {
        Change::UnderReplicated(count) => Some((*time, *count)),
        _ => None,
    });
    let mut lacking = false;
    for (time, count) in under {
        if time <= at_ns {
            lacking = count > 0;
        } else if count == 0 {
            return Some(time - at_ns);
        } else {
            lacking = true;
        }
    }
    (!lacking).then_some(0)
}

fn events(done: &[Done], seen: &Seen, zero_ns: u64) -> Vec<Event> {
    let at_ms = |at_ns: u64| millis(at_ns.saturating_sub(zero_ns));
    let deeds = done.iter().map(|done| Event {
        at_ms: at_ms(done.at_ns),
        kind: done.kind.to_owned(),
        target: Some(format!("broker:{}", done.node)),
        for_ms: None,
        message: done.message.clone(),
    });
    let first = done.iter().map(|done| done.at_ns).min().unwrap_or(u64::MAX);
    let changes = seen.changes.iter().filter(|(at_ns, _)| *at_ns >= first);
    let seen = changes.map(|(at_ns, change)| {
        let (kind, message) = match change {
            Change::Leaders(1) => ("election", "1 partition has another leader".to_owned()),
            Change::Leaders(count) => ("election", format!("{count} partitions have another leader")),
            Change::UnderReplicated(0) => ("recovered", "all replicas are in sync".to_owned()),
            Change::UnderReplicated(count) => ("isr", format!("{count} under-replicated")),
            Change::Brokers(count) => ("brokers", format!("{count} brokers registered")),
        };
        Event { at_ms: at_ms(*at_ns), kind: kind.to_owned(), message, ..Event::default() }
    });
    let mut all: Vec<Event> = deeds.chain(seen).collect();
    all.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
    all
}

fn millis(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(changes: &[(u64, usize)]) -> Seen {
        let changes = changes.iter().map(|(at, count)| (*at, Change::UnderReplicated(*count)));
        Seen { changes: changes.collect(), ..Seen::default() }
    }

    #[test]
    fn recovery_counts_until_every_replica_is_in_sync() {
        assert_eq!(in_sync_again(&seen(&[(5, 4), (6, 2), (9, 0)]), 3), Some(6));
        assert_eq!(in_sync_again(&seen(&[]), 3), Some(0), "none ever left");
        assert_eq!(in_sync_again(&seen(&[(5, 4)]), 3), None, "not while somebody looked");
        assert_eq!(in_sync_again(&seen(&[(1, 4), (2, 0)]), 3), Some(0), "an older matter");
        assert_eq!(in_sync_again(&seen(&[(1, 4), (5, 0)]), 3), Some(2), "still lacking when it was hit");
    }

    #[test]
    fn what_was_done_and_what_followed_stand_on_one_axis() {
        let done = Done { at_ns: 3_000_000, kind: "fault", node: 2, message: "kill leader (node 2)".into() };
        let told = events(&[done], &seen(&[(1_000_000, 1), (5_000_000, 4), (9_000_000, 0)]), 1_000_000);
        let kinds: Vec<_> = told.iter().map(|event| (event.at_ms, event.kind.as_str())).collect();
        assert_eq!(kinds, [(2.0, "fault"), (4.0, "isr"), (8.0, "recovered")]);
        assert_eq!(told[0].target.as_deref(), Some("broker:2"));
    }
}
