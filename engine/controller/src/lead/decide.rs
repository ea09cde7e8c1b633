//! Who is fenced, who may serve again, who may stop. Pure.

use super::sessions::Heard;
use crate::command::Command;
use crate::image::{BrokerRecord, BrokerState, Image, NodeId};

/// How patient the active controller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    /// `broker.session.timeout.ms`: a broker that is silent for so long is fenced.
    pub(super) session_timeout_ms: u64,
    /// One whose connection closed, or whose address refuses connections, is fenced after so long.
    pub(super) closed_timeout_ms: u64,
}

/// What the state of each broker is to become, one command a broker at most.
pub(super) fn decide(image: &Image, heard: &Heard, now_ms: u64, patience: Patience) -> Vec<Command> {
    let decided =
        image.brokers().map(|(node_id, broker)| one(image, heard, now_ms, patience, node_id, broker));
    decided.flatten().collect()
}

/// Whether this broker leads nothing: one that wants to stop may.
fn leads_nothing(image: &Image, node_id: NodeId) -> bool {
    image.topics().flat_map(|topic| &topic.partitions).all(|partition| partition.leader != node_id)
}

fn one(
    image: &Image,
    heard: &Heard,
    now_ms: u64,
    patience: Patience,
    node_id: NodeId,
    broker: &BrokerRecord,
) -> Option<Command> {
    let broker_epoch = broker.broker_epoch;
    let fence = Command::FenceBroker { node_id, broker_epoch };
    let (heard_ms, gone_ms) = heard.of(node_id, broker_epoch);
    let silent = now_ms.saturating_sub(heard_ms) >= patience.session_timeout_ms;
    let gone = gone_ms.is_some_and(|since_ms| now_ms.saturating_sub(since_ms) >= patience.closed_timeout_ms);
    if silent || gone {
        return (broker.state != BrokerState::Fenced).then_some(fence);
    }
    let session = heard.sessions.get(&node_id).filter(|session| session.broker_epoch == broker_epoch)?;
    if session.closed_ms.is_some() {
        return None;
    }
    match broker.state {
        BrokerState::Fenced if session.want_fence || session.want_shutdown => None,
        BrokerState::Fenced => Some(Command::UnfenceBroker { node_id, broker_epoch }),
        BrokerState::Active if session.want_shutdown => {
            Some(Command::BeginControlledShutdown { node_id, broker_epoch })
        }
        BrokerState::Active => session.want_fence.then_some(fence),
        BrokerState::ControlledShutdown => leads_nothing(image, node_id).then_some(fence),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sessions::{Session, session};
    use super::*;
    use uuid::Uuid;

    const PATIENCE: Patience = Patience { session_timeout_ms: 3000, closed_timeout_ms: 500 };

    fn image(state: BrokerState) -> Image {
        let mut image = Image::default();
        let register = Command::RegisterBroker {
            node_id: 1,
            incarnation: Uuid::nil(),
            endpoints: Vec::new(),
            rack: None,
            log_dirs: Vec::new(),
            clean_shutdown_epoch: None,
        };
        image.apply(&register).expect("registers");
        let command = match state {
            BrokerState::Fenced => return image,
            BrokerState::Active => Command::UnfenceBroker { node_id: 1, broker_epoch: 1 },
            BrokerState::ControlledShutdown => {
                Command::BeginControlledShutdown { node_id: 1, broker_epoch: 1 }
            }
        };
        image.apply(&command).expect("applies");
        image
    }

    #[test]
    fn what_becomes_of_a_broker() {
        use BrokerState::{Active, ControlledShutdown, Fenced};
        let (fence, unfence, shutdown) = ("fence", "unfence", "shutdown");
        let heard = |at| Some(session(1, at));
        let with = |at, change: fn(&mut Session)| {
            let mut session = session(1, at);
            change(&mut session);
            Some(session)
        };
        // State, session, gone since; now; what follows. This controller is active since 10,000 ms.
        type Case<'a> = (BrokerState, Option<Session>, Option<u64>, u64, &'a str);
        let cases: &[Case<'_>] = &[
            (Active, heard(10_100), None, 10_200, ""),
            (Active, heard(10_100), None, 13_099, ""),
            (Active, heard(10_100), None, 13_100, fence), // silent
            (Active, None, None, 12_999, ""),             // not heard yet: a new controller waits
            (Active, None, None, 13_000, fence),
            (Active, None, Some(10_100), 10_599, ""),
            (Active, None, Some(10_100), 10_600, fence), // nobody is at its address
            (Active, None, Some(9_600), 10_100, fence),  // and that was known from before
            (Active, heard(10_200), Some(10_100), 10_900, ""), // but it was heard since
            (Active, with(10_100, |s| s.closed_ms = Some(10_200)), None, 10_699, ""),
            (Active, with(10_100, |s| s.closed_ms = Some(10_200)), None, 10_700, fence),
            (Active, Some(session(0, 10_100)), None, 13_000, fence), // another registration's session
            (Active, with(10_100, |s| s.want_fence = true), None, 10_200, fence),
            (Active, with(10_100, |s| s.want_shutdown = true), None, 10_200, shutdown),
            (Fenced, heard(10_100), None, 10_200, unfence),
            (Fenced, heard(10_100), None, 13_100, ""), // silent, and fenced already
            (Fenced, None, None, 10_200, ""),
            (Fenced, with(10_100, |s| s.closed_ms = Some(10_200)), None, 10_300, ""),
            (Fenced, with(10_100, |s| s.want_fence = true), None, 10_200, ""),
            (Fenced, with(10_100, |s| s.want_shutdown = true), None, 10_200, ""),
            (ControlledShutdown, heard(10_100), None, 10_200, fence), // it leads nothing
        ];
        for (state, session, gone_ms, now_ms, expected) in cases {
            let mut heard = Heard { since_ms: Some(10_000), ..Heard::default() };
            heard.sessions.extend(session.map(|session| (1, session)));
            heard.gone_ms.extend(gone_ms.map(|gone_ms| (1, gone_ms)));
            let found = match &decide(&image(*state), &heard, *now_ms, PATIENCE)[..] {
                [] => "",
                [Command::FenceBroker { .. }] => fence,
                [Command::UnfenceBroker { .. }] => unfence,
                [Command::BeginControlledShutdown { .. }] => shutdown,
                other => panic!("{other:?}"),
            };
            assert_eq!(found, *expected, "{state:?} {session:?} {gone_ms:?} at {now_ms}");
        }
    }
}
