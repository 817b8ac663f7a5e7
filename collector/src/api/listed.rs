//! Lists of label names, label values and series: as long as the parameter `limit` says, as in Prometheus, and never longer
//! than [`ITEMS_MAX`] or [`BYTES_MAX`]. What is cut says so in its warnings, in Prometheus's words.

use vervet_model::Labels;
use vervet_promql::Value;

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

/// Leaves so many series of an answer at most; 0 and nothing are all.
pub(super) fn cut_answer(value: &mut Value, warnings: &mut Vec<String>, limit: Option<usize>) {
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let is_cut = match value {
        Value::Vector(samples) => cut_list(samples, limit),
        Value::Matrix(series) => cut_list(series, limit),
        Value::Scalar(_) | Value::String { .. } => false,
    };
    if is_cut {
        warnings.push(CUT.to_owned());
    }
}

/// Whether something was cut.
fn cut_list<T>(items: &mut Vec<T>, limit: usize) -> bool {
    let longer = items.len() > limit;
    items.truncate(limit);
    longer
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
    use vervet_promql::Series;

    use super::*;

    fn cut(limit: usize, items: Vec<String>) -> (usize, Vec<String>) {
        let limit = ListLimit { items: limit };
        let listed = limit.cut(items, String::len, vec!["before".to_owned()]);
        (listed.items.len(), listed.warnings)
    }

    #[test]
    fn answers_have_as_many_series_as_is_asked_for() {
        for (limit, left) in [(None, 3), (Some(0), 3), (Some(3), 3), (Some(2), 2)] {
            let series = Series {
                labels: Labels::empty(),
                samples: Vec::new(),
            };
            let (mut value, mut warnings) = (Value::Matrix(vec![series; 3]), Vec::new());
            cut_answer(&mut value, &mut warnings, limit);
            let Value::Matrix(series) = &value else {
                panic!("a matrix stays one");
            };
            assert_eq!(series.len(), left, "{limit:?}");
            assert_eq!(warnings.len(), usize::from(left < 3));
        }
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
