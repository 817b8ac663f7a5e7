//! Replaces the values in a message by placeholders.
