//! Naming a topic on the wire.

use std::fmt;

use plimsoll_wire::{StrBytes, Uuid};

/// A topic by name and, once known, by id. Versions that carry ids are used only if the id is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TopicRef {
    /// Its name; shared, cheap to clone.
    pub name: StrBytes,
    /// Its id, nil if not known.
    pub id: Uuid,
}

impl TopicRef {
    /// A topic whose id is not known.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into().into(), id: Uuid::nil() }
    }

    /// A topic with its id.
    pub fn new(name: impl Into<String>, id: Uuid) -> Self {
        Self { name: name.into().into(), id }
    }

    /// Whether the id is known.
    pub fn has_id(&self) -> bool {
        !self.id.is_nil()
    }

    /// Whether a struct on the wire with this name or id means this topic.
    pub(crate) fn is(&self, name: &str, id: Uuid) -> bool {
        if id.is_nil() { &*self.name == name } else { self.id == id }
    }
}

impl fmt::Display for TopicRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
