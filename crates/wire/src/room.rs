//! Room in memory for a request that is being received, asked for before its bytes are held.

use std::any::Any;

use crate::receiver::Refusal;

/// Room for one request. Dropping it gives the room back.
pub trait Room: Any + Send {
    /// Asks for room for `bytes` in all; gives back what is over, and never fails then.
    ///
    /// # Errors
    /// There is none; the sender should come back.
    fn set(&mut self, bytes: usize) -> Result<(), Refusal>;

    /// For the sink that made it.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// As much as anybody wants.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlimited;

impl Room for Unlimited {
    fn set(&mut self, _bytes: usize) -> Result<(), Refusal> {
        Ok(())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

#[cfg(test)]
mod tests;
