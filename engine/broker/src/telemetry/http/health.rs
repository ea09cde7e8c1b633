//! `GET /health`: ready or not, and why not.

use serde_json::json;

use super::{STARTING, Serving, View};
use crate::broker::Broker;

/// What keeps the broker from serving all it should.
#[derive(Debug)]
pub(super) struct Health {
    why_not: Vec<String>,
}

/// Looks at the broker as it is now.
pub(super) fn look(view: &View) -> Health {
    let mut why_not = Vec::new();
    if *view.stopped.borrow() {
        why_not.push("the node stops".to_owned());
    }
    match view.serving() {
        Some(serving) => {
            if serving.quorum().status().leader.is_none() {
                why_not.push("no active controller is known".to_owned());
            }
            if let Serving::Broker(broker) = serving {
                if broker.session.status().borrow().fenced {
                    why_not.push("the active controller has fenced this broker".to_owned());
                }
                why_not.extend(offline(broker));
            }
        }
        None => why_not.push(STARTING.to_owned()),
    }
    Health { why_not }
}

/// Directories whose partitions nobody can use.
fn offline(broker: &Broker) -> Vec<String> {
    let dirs = broker.log_dirs();
    let missing = dirs.missing().iter().map(|path| format!("{} could not be opened", path.display()));
    let failed = dirs
        .opened()
        .filter_map(|dir| dir.fault().map(|fault| format!("{} is offline: {fault}", dir.path().display())));
    missing.chain(failed).collect()
}

impl Health {
    pub(super) fn is_ready(&self) -> bool {
        self.why_not.is_empty()
    }

    pub(super) fn json(&self) -> String {
        json!({ "ready": self.is_ready(), "why_not": self.why_not }).to_string()
    }
}
