//! How often `OnFull::DropOldest` may take segments for a volume that is full.
//!
//! What a segment frees may go to other programs, or stay taken while one of them has the file open or linked. So after appends that took
//! segments and found no room all the same, 1, 2, 4 ... [`PAUSE_MAX`] appends fail without taking any.

/// Appends that fail between two that take segments in vain.
const PAUSE_MAX: u32 = 512;

#[derive(Debug, Default)]
pub(crate) struct VolumeEvictions {
    /// Whether something was taken for the append under way.
    has_evicted: bool,
    pause: u32,
    left: u32,
}

impl VolumeEvictions {
    /// Asked once an append.
    pub(crate) fn may_evict(&mut self) -> bool {
        if std::mem::take(&mut self.has_evicted) {
            self.pause = (self.pause * 2).clamp(1, PAUSE_MAX);
            self.left = self.pause;
        }
        let may_evict = self.left == 0;
        self.left = self.left.saturating_sub(1);
        may_evict
    }

    pub(crate) fn evicted(&mut self) {
        self.has_evicted = true;
    }

    /// An append has found room.
    pub(crate) fn fitted(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_taken_in_vain_are_taken_ever_more_seldom() {
        let mut evictions = VolumeEvictions::default();
        let mut tries = |count: usize| -> Vec<bool> {
            let tries = (0..count).map(|_| {
                let may_evict = evictions.may_evict();
                if may_evict {
                    evictions.evicted();
                }
                may_evict
            });
            tries.collect()
        };
        let (y, n) = (true, false);
        assert_eq!(tries(9), [y, n, y, n, n, y, n, n, n]);
        let most = tries(10_000).split(|may| *may).map(<[bool]>::len).max();
        assert_eq!(most, Some(PAUSE_MAX as usize));
        evictions.fitted();
        assert!(evictions.may_evict());
    }
}
