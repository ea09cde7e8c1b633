//! The storage engine measured against the device, in pairs with floor programs of the same technique.
