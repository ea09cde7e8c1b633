//! A whole run: prepare, warm up, measure, drain, prove.
//!
//! [`execute`] loads the data, creates the topics, starts producer and consumer threads, watches them on the
//! shared timeline, reads everything back, and hands out one [`Outcome`]. Load never stops between warm-up
//! and measurement: the phases are a matter of bookkeeping.

mod error;
mod outcome;
mod prepare;
mod shape;
mod stage;
mod teller;
mod threads;
mod topics;
mod warmup;
mod watch;

pub use error::RunError;
pub use outcome::{Consumed, Outcome};
pub use prepare::prepare_payload;
pub use stage::{RunInput, execute};
pub use topics::{TopicInForce, topic_in_force};
