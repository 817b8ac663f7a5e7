//! The catalog in a SQLite file.

/// The one catalog implementation there is.
pub struct SqliteCatalog {}
