//! Samples of one series as a stream of bits.
//!
//! The first sample stands as it is, 64 bits of time and 64 of value. Of every further one the time is given by the
//! change of the distance to the sample before, the value by the bits in which it differs from the one before (the scheme
//! of Facebook's Gorilla, 2015):
//!
//! ```text
//! time    0                    as far as before
//!         10   7 bits          -64 to 63 ms more
//!         110  12 bits         -2048 to 2047 ms more
//!         1110 20 bits         -524288 to 524287 ms more
//!         1111 64 bits         any
//! value   0                    the same bits
//!         10   n bits          differs within the window given before
//!         11   5 bits, 6 bits, n bits   leading zeros, n - 1, the window
//! ```
//!
//! Any times in any order and any bits of values go in and come out the same.

#[cfg(test)]
mod tests;

/// Words that are allocated at least when there is no room left, 8 bytes each.
const WORDS_GROWTH_MIN: usize = 4;
/// Leading zeros that five bits can tell.
const LEADING_MAX: u32 = 31;

/// The samples of one series in the order they were appended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chunk {
    words: Vec<u64>,
    /// The bits after `words`, from the highest down.
    tail: u64,
    tail_bits: u32,
    len: u32,
    last: Last,
    first_ms: i64,
    last_ms: i64,
}

/// What the next sample is told by.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    time_ms: i64,
    delta_ms: i64,
    bits: u64,
    /// The window of differing bits; none when `width` is 0.
    leading: u32,
    width: u32,
}

impl Last {
    fn trailing(self) -> u32 {
        u64::BITS - self.leading - self.width
    }
}

impl Chunk {
    /// Appends a sample. Returns how many bytes were allocated.
    pub(crate) fn push(&mut self, time_ms: i64, value: f64) -> usize {
        let before = self.words.capacity();
        let bits = value.to_bits();
        if self.len == 0 {
            self.write(time_ms.cast_unsigned(), 64);
            self.write(bits, 64);
            self.last.time_ms = time_ms;
            (self.first_ms, self.last_ms) = (time_ms, time_ms);
        } else {
            self.push_time(time_ms);
            self.push_bits(bits);
            self.first_ms = self.first_ms.min(time_ms);
            self.last_ms = self.last_ms.max(time_ms);
        }
        self.last.bits = bits;
        self.len = self.len.saturating_add(1);
        (self.words.capacity() - before) * size_of::<u64>()
    }

    /// Earliest and latest time, both inclusive.
    pub(crate) fn time_range(&self) -> (i64, i64) {
        (self.first_ms, self.last_ms)
    }

    /// The samples in the order they were appended.
    pub(crate) fn iter(&self) -> Samples<'_> {
        Samples {
            bits: Bits {
                words: self.words.iter(),
                tail: self.tail,
                word: 0,
                left: 0,
            },
            left: self.len,
            is_first: true,
            last: Last::default(),
        }
    }

    /// The samples by time, each time once: of several the first that was appended.
    pub(crate) fn sorted(&self) -> Vec<(i64, f64)> {
        let mut samples: Vec<(i64, f64)> = self.iter().collect();
        if !samples.is_sorted_by(|(earlier, _), (later, _)| earlier < later) {
            samples.sort_by_key(|(time_ms, _value)| *time_ms);
            samples.dedup_by_key(|(time_ms, _value)| *time_ms);
        }
        samples
    }

    fn push_time(&mut self, time_ms: i64) {
        let delta = time_ms.wrapping_sub(self.last.time_ms);
        let change = delta.wrapping_sub(self.last.delta_ms);
        let low = |bits: u32| change.cast_unsigned() & ((1 << bits) - 1);
        match change {
            0 => self.write(0, 1),
            -0x40..0x40 => self.write(0b10 << 7 | low(7), 9),
            -0x800..0x800 => self.write(0b110 << 12 | low(12), 15),
            -0x8_0000..0x8_0000 => self.write(0b1110 << 20 | low(20), 24),
            _ => {
                self.write(0b1111, 4);
                self.write(change.cast_unsigned(), 64);
            }
        }
        self.last.time_ms = time_ms;
        self.last.delta_ms = delta;
    }

    fn push_bits(&mut self, bits: u64) {
        let differing = bits ^ self.last.bits;
        if differing == 0 {
            self.write(0, 1);
            return;
        }
        let leading = differing.leading_zeros().min(LEADING_MAX);
        let trailing = differing.trailing_zeros();
        let last = self.last;
        if last.width > 0 && leading >= last.leading && trailing >= last.trailing() {
            self.write(0b10, 2);
            self.write(differing >> last.trailing(), last.width);
            return;
        }
        let width = u64::BITS - leading - trailing;
        self.write(
            0b11 << 11 | u64::from(leading) << 6 | u64::from(width - 1),
            13,
        );
        self.write(differing >> trailing, width);
        (self.last.leading, self.last.width) = (leading, width);
    }

    /// Appends the lowest `count` bits, 1 to 64; those above must be 0.
    fn write(&mut self, value: u64, count: u32) {
        let room = u64::BITS - self.tail_bits;
        if count < room {
            self.tail |= value << (room - count);
            self.tail_bits += count;
            return;
        }
        let over = count - room;
        if self.words.len() == self.words.capacity() {
            let more = WORDS_GROWTH_MIN.max(self.words.len() / 2);
            self.words.reserve_exact(more);
        }
        self.words.push(self.tail | value >> over);
        self.tail = value.checked_shl(u64::BITS - over).unwrap_or(0);
        self.tail_bits = over;
    }
}

/// Reads a chunk from its beginning.
pub(crate) struct Samples<'c> {
    bits: Bits<'c>,
    left: u32,
    is_first: bool,
    last: Last,
}

impl Iterator for Samples<'_> {
    type Item = (i64, f64);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        if std::mem::take(&mut self.is_first) {
            self.last.time_ms = self.bits.take(64).cast_signed();
            self.last.bits = self.bits.take(64);
        } else {
            let change = self.take_change();
            self.last.delta_ms = self.last.delta_ms.wrapping_add(change);
            self.last.time_ms = self.last.time_ms.wrapping_add(self.last.delta_ms);
            self.last.bits ^= self.take_differing();
        }
        Some((self.last.time_ms, f64::from_bits(self.last.bits)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl Samples<'_> {
    fn take_change(&mut self) -> i64 {
        let classes = [0, 7, 12, 20];
        let ones = classes
            .iter()
            .take_while(|_bits| self.bits.take(1) == 1)
            .count();
        match classes.get(ones) {
            Some(0) => 0,
            Some(bits) => {
                let unused = u64::BITS - bits;
                (self.bits.take(*bits) << unused).cast_signed() >> unused
            }
            None => self.bits.take(64).cast_signed(),
        }
    }

    fn take_differing(&mut self) -> u64 {
        if self.bits.take(1) == 0 {
            return 0;
        }
        if self.bits.take(1) == 1 {
            self.last.leading = self.bits.take_small(5);
            self.last.width = self.bits.take_small(6) + 1;
        }
        self.bits.take(self.last.width) << self.last.trailing()
    }
}

struct Bits<'c> {
    words: std::slice::Iter<'c, u64>,
    tail: u64,
    /// Bits that were not taken yet, from the highest down.
    word: u64,
    left: u32,
}

impl Bits<'_> {
    /// The next bits, 1 to 64, as the lowest of a number.
    fn take(&mut self, count: u32) -> u64 {
        if count <= self.left {
            let value = self.word >> (u64::BITS - count);
            self.word = self.word.checked_shl(count).unwrap_or(0);
            self.left -= count;
            return value;
        }
        let missing = count - self.left;
        let high = self.word.checked_shr(u64::BITS - self.left).unwrap_or(0);
        let next = self.words.next().copied().unwrap_or(self.tail);
        self.word = next.checked_shl(missing).unwrap_or(0);
        self.left = u64::BITS - missing;
        high.checked_shl(missing).unwrap_or(0) | next >> (u64::BITS - missing)
    }

    /// A number of a few bits.
    fn take_small(&mut self, count: u32) -> u32 {
        u32::try_from(self.take(count)).unwrap_or(0)
    }
}
