//! Reading and writing the protobuf wire format, field by field.
//!
//! The reader borrows from the message and never allocates; the writer appends to one buffer.

mod reader;
mod rewriter;
mod writer;

pub use reader::{DecodeError, Field, Reader, seconds_and_nanos};
pub use rewriter::Rewriter;
pub(crate) use writer::Open;
pub use writer::{Writer, varint_width};

#[cfg(test)]
mod tests;
