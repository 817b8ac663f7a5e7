//! A native histogram as a text, as Prometheus writes it into labels.

use std::fmt;

use crate::format::format_message;
use crate::native::NativeHistogram;

/// A bucket of which each end is inside or not.
struct Bucket {
    lower: f64,
    upper: f64,
    with_lower: bool,
    with_upper: bool,
    count: f64,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            ", {}{},{}{}:{}",
            if self.with_lower { '[' } else { '(' },
            format_message(self.lower),
            format_message(self.upper),
            if self.with_upper { ']' } else { ')' },
            format_message(self.count)
        )
    }
}

/// `{count:3, sum:7.5, [-2,-1):1, [-0.1,0.1]:1, (1,2]:1}`: empty buckets are left out.
impl fmt::Display for NativeHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, sum) = (format_message(self.count), format_message(self.sum));
        write!(f, "{{count:{count}, sum:{sum}")?;
        let filled = |(_, count): &&(i32, f64)| *count != 0.0;
        for (index, count) in self.negative.iter().rev().filter(filled) {
            let bucket = Bucket {
                lower: -self.bound(*index),
                upper: -self.bound(*index - 1),
                with_lower: true,
                with_upper: false,
                count: *count,
            };
            write!(f, "{bucket}")?;
        }
        if self.zero_count != 0.0 {
            let bucket = Bucket {
                lower: -self.zero_threshold,
                upper: self.zero_threshold,
                with_lower: true,
                with_upper: true,
                count: self.zero_count,
            };
            write!(f, "{bucket}")?;
        }
        for (index, count) in self.positive.iter().filter(filled) {
            let bucket = Bucket {
                lower: self.bound(*index - 1),
                upper: self.bound(*index),
                // The lowest of custom buckets has no end below.
                with_lower: self.has_custom_bounds() && *index == 0,
                with_upper: true,
                count: *count,
            };
            write!(f, "{bucket}")?;
        }
        write!(f, "}}")
    }
}
