//! The samples of a generation, each series compressed by itself.
//!
//! In: samples of known series, by their slot in the series index, so that nothing is hashed. Out: the samples of a
//! series in the order they came, or by time. Memory is counted to the byte that was allocated.

mod chunk;

pub(crate) use chunk::Chunk;

/// The samples of one series.
#[derive(Debug, Clone)]
pub(crate) struct HeadSeries {
    pub(crate) id: u64,
    pub(crate) chunk: Chunk,
}

/// All series of a generation.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeadSamples {
    /// By slot: where the series is in `series`, plus one; 0 for those without samples.
    places: Vec<u32>,
    series: Vec<HeadSeries>,
    chunk_bytes: usize,
}

impl HeadSamples {
    /// Appends a sample of the series in `slot`, whose id is `id`.
    pub(crate) fn push(&mut self, slot: u32, id: u64, time_ms: i64, value: f64) {
        let place = match self.place(slot) {
            Some(place) => place,
            None => self.add(slot, id),
        };
        if let Some(series) = self.series.get_mut(place) {
            self.chunk_bytes += series.chunk.push(time_ms, value);
        }
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Chunk> {
        self.series
            .get(self.place(slot)?)
            .map(|series| &series.chunk)
    }

    /// The series that have samples, in no order.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, HeadSeries> {
        self.series.iter()
    }

    /// Allocated memory.
    pub(crate) fn bytes(&self) -> usize {
        self.chunk_bytes
            + self.places.capacity() * size_of::<u32>()
            + self.series.capacity() * size_of::<HeadSeries>()
    }

    fn place(&self, slot: u32) -> Option<usize> {
        let place = self.places.get(usize::try_from(slot).ok()?)?;
        usize::try_from(place.checked_sub(1)?).ok()
    }

    fn add(&mut self, slot: u32, id: u64) -> usize {
        let slot = usize::try_from(slot).unwrap_or(usize::MAX);
        if slot >= self.places.len() {
            self.places.resize(slot + 1, 0);
        }
        let place = self.series.len();
        self.series.push(HeadSeries {
            id,
            chunk: Chunk::default(),
        });
        // There are no more series than slots, which are 32 bits.
        if let Some(known) = self.places.get_mut(slot) {
            *known = u32::try_from(place + 1).unwrap_or(u32::MAX);
        }
        place
    }
}
