//! The latencies of an acknowledged batch, and the stages that they are made of.

use super::batch::{Run, Sealed};
use crate::clock::Nanos;
use crate::recorder::{Kind, Recorder};

/// When a request began to go out and when its answer was there.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnTheWire {
    pub(super) sent: Nanos,
    pub(super) acked: Nanos,
}

impl OnTheWire {
    /// Records a batch; the delay of its schedule only when it had one.
    pub(super) fn record(&self, sealed: &Sealed, scheduled: bool, recorder: &mut Recorder) {
        let (closing, closed) = sealed.closed;
        // Nothing goes out before it was closed; two readings of two clocks may differ by nanoseconds.
        let sent = self.sent.max(closed);
        let mut measured = 0;
        for run in &sealed.runs {
            self.latencies(run, sent, scheduled, recorder);
            if recorder.is_measured(run.due) {
                let count = u64::from(run.count);
                let handed = run.handed.max(run.due);
                recorder.stage(Kind::Enqueue, handed - run.due, count);
                recorder.stage(Kind::Linger, closing.saturating_sub(handed), count);
                measured += count;
            }
        }
        if measured > 0 {
            recorder.stage(Kind::Compress, closed.saturating_sub(closing), measured);
            recorder.stage(Kind::SendQueue, sent - closed, measured);
        }
    }

    fn latencies(&self, run: &Run, sent: Nanos, scheduled: bool, recorder: &mut Recorder) {
        let count = u64::from(run.count);
        recorder.span(Kind::Response, run.due, run.due, self.acked, count);
        recorder.span(Kind::Service, run.due, sent, self.acked.max(sent), count);
        if scheduled {
            recorder.span(Kind::Schedule, run.due, run.due, sent, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_client::records::{BatchBuilder, Codec, Compressor};
    use plimsoll_results::{Metric, Phase, Stages};

    use super::super::batch::Standing;
    use super::*;
    use crate::clock::SECOND;
    use crate::recorder::{Ledger, results};
    use crate::timeline::Timeline;

    fn sealed(runs: Vec<Run>, closed: (Nanos, Nanos)) -> Sealed {
        let mut builder = BatchBuilder::new(Codec::None);
        builder.push(0, None, Some(b"x"), &[]).unwrap();
        Sealed {
            batch: builder.finish(&mut Compressor::new()).unwrap(),
            first_sequence: 0,
            records: runs.iter().map(|run| run.count).sum(),
            payload_bytes: 0,
            held_bytes: 0,
            opened: 0,
            closed,
            runs,
            attempts: 1,
            leads: true,
            standing: Standing::InFlight,
        }
    }

    #[test]
    fn the_clients_stages_and_the_service_make_up_the_response_of_measured_records() {
        let line = Timeline::new(0, SECOND, SECOND);
        let ledger = Ledger::default();
        let mut recorder = Recorder::new(line, ledger.clone());
        let due = SECOND + 100;
        let runs = vec![
            Run { due: SECOND - 1, handed: SECOND, count: 7 },
            Run { due, handed: due + 10, count: 2 },
            Run { due: due + 5, handed: due + 5, count: 1 },
        ];
        let wire = OnTheWire { sent: due + 900, acked: due + 1_700 };
        wire.record(&sealed(runs, (due + 310, due + 350)), true, &mut recorder);
        recorder.finish();
        let (_, series) = results(&line, &ledger.intervals(&line), line.end);
        let stages = Stages::of(&series).unwrap();
        let total_ns = |stage: Option<plimsoll_results::StageTime>| (stage.unwrap().total_us * 1e3).round();
        assert_eq!(stages.linger.unwrap().n, 3, "those due in the warm-up are left out");
        assert_eq!(total_ns(stages.enqueue), 20.0);
        assert_eq!(total_ns(stages.linger), (2 * 300 + 305) as f64);
        assert_eq!((total_ns(stages.compress), total_ns(stages.send_queue)), (120.0, 1_650.0));
        let service = series.pooled(&Metric::Service, Phase::Measure).total().mean_ns().unwrap();
        assert!((stages.unaccounted_mean_us.unwrap() * 1e3 - service).abs() < 1e-6);
    }
}
