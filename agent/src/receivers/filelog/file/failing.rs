//! A file that could not be read.

use std::io;
use std::mem;
use std::time::{Duration, Instant};

use super::TailedFile;

/// The pause before the first new attempt, and the longest: each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What follows from an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Trouble {
    /// Nothing is there under the name.
    Gone,
    /// The system did not give it: no descriptor, no right, a disk that fails. It is tried again.
    Passing,
    /// What it holds makes no sense, and will not before the file changes.
    Damaged,
}

/// How often reading has failed in succession.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Failing {
    times: u32,
    pub(in super::super) retry_at: Instant,
}

impl Trouble {
    /// Every error of the system has a number; those of decoders have none.
    pub(in super::super) fn of(error: &io::Error) -> Self {
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::NotFound, _) => Self::Gone,
            (_, Some(_)) => Self::Passing,
            (_, None) => Self::Damaged,
        }
    }
}

impl TailedFile {
    /// It could not be read for a reason that may pass.
    pub(in super::super) fn failed(&mut self, now: Instant) {
        let times = self.failing.map_or(0, |failing| failing.times);
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(times));
        self.failing = Some(Failing {
            times: times.saturating_add(1),
            retry_at: now + pause.min(LONGEST_PAUSE),
        });
        // Or nobody would look again.
        self.is_watched = false;
    }

    /// Whether it is to be left alone until its next attempt.
    pub(in super::super) fn waits_to_retry(&self, now: Instant) -> bool {
        self.failing.is_some_and(|failing| now < failing.retry_at)
    }

    /// Turns the descriptor it is read by into that of a first look: what was read but not handed on is read again.
    /// Whether it had one.
    pub(in super::super) fn lay_down(&mut self) -> bool {
        let open = mem::take(&mut self.open);
        let had_one = open.is_some();
        if let Some(open) = open {
            self.examined = self.mark.offset;
            self.first_look = Some(open.content.into_file());
        }
        had_one
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_the_system_does_not_give_is_tried_again_and_what_makes_no_sense_is_not() {
        let of = |errno: Errno| Trouble::of(&errno.into());
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::IO,
            Errno::ACCESS,
            Errno::PERM,
            Errno::STALE,
            Errno::NOMEM,
        ] {
            assert_eq!(of(errno), Trouble::Passing, "{errno}");
        }
        assert_eq!(of(Errno::NOENT), Trouble::Gone);
        let garbage: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff];
        let error = zstd::decode_all(garbage).expect_err("no frame");
        assert_eq!(Trouble::of(&error), Trouble::Damaged);
        let ended = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(Trouble::of(&ended), Trouble::Damaged);
    }
}
