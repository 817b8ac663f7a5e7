//! Log line formats.
