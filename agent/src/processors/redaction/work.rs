//! Counts the bytes that finders read, in tests alone: that the work for a text grows no faster than the text.

#[cfg(test)]
thread_local! {
    static BYTES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// So many bytes were read. Whatever may read far tells it.
#[inline]
pub(super) fn read(_bytes: usize) {
    #[cfg(test)]
    BYTES.with(|bytes| bytes.set(bytes.get() + _bytes));
}

/// The bytes that were read in this thread so far.
#[cfg(test)]
pub(super) fn bytes_read() -> usize {
    BYTES.with(std::cell::Cell::get)
}
