//! startup.
