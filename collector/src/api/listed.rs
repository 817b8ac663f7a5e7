//! Lists of label names, label values and series: as long as the parameter `limit` says, as in Prometheus, and never longer
//! than [`ITEMS_MAX`] or [`BYTES_MAX`]. What is cut says so in its warnings, in Prometheus's words.

use vervet_model::Labels;

use super::params::{InvalidParam, Params};

/// Entries of an answer.
const ITEMS_MAX: usize = 100_000;
/// Texts in them (bytes).
const BYTES_MAX: usize = 16 << 20;
const CUT: &str = "results truncated due to limit";

/// How long a list may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListLimit {
    items: usize,
}

/// A list and what is to be said of it.
#[derive(Debug)]
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    pub(super) warnings: Vec<String>,
}

impl ListLimit {
    /// What a request asks for; 0 and nothing are as many as there may be.
    ///
    /// # Errors
    /// `limit` is no number.
    pub(super) fn of(params: &Params) -> Result<Self, InvalidParam> {
        let asked = params.parse("limit", |text| text.parse::<usize>().ok())?;
        let asked = asked.filter(|asked| *asked > 0).unwrap_or(ITEMS_MAX);
        Ok(Self {
            items: asked.min(ITEMS_MAX),
        })
    }

    /// The first of `items`; `bytes` is how much text is in one. `warnings` are those of the answer so far.
    pub(super) fn cut<T>(
        self,
        mut items: Vec<T>,
        bytes: impl Fn(&T) -> usize,
        mut warnings: Vec<String>,
    ) -> Listed<T> {
        let mut room = BYTES_MAX;
        let fits = |item: &&T| match room.checked_sub(bytes(item)) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        };
        let fitting = items.iter().take(self.items).take_while(fits).count();
        if fitting < items.len() {
            items.truncate(fitting);
            warnings.push(CUT.to_owned());
        }
        Listed { items, warnings }
    }
}

/// The text of labels.
pub(super) fn labels_bytes(labels: &Labels) -> usize {
    let labels = labels.iter();
    labels
        .map(|label| label.name.len() + label.value.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(limit: usize, items: Vec<String>) -> (usize, Vec<String>) {
        let limit = ListLimit { items: limit };
        let listed = limit.cut(items, String::len, vec!["before".to_owned()]);
        (listed.items.len(), listed.warnings)
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let letters = |count: usize, bytes: usize| vec!["x".repeat(bytes); count];
        let whole = vec!["before".to_owned()];
        let cut_short = vec!["before".to_owned(), CUT.to_owned()];
        assert_eq!(cut(3, letters(3, 1)), (3, whole.clone()));
        assert_eq!(cut(3, letters(4, 1)), (3, cut_short.clone()));
        assert_eq!(cut(100, letters(16, 1 << 20)), (16, whole));
        assert_eq!(cut(100, letters(17, 1 << 20)), (16, cut_short));
    }
}
