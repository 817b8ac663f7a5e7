//! How many evaluations of each of Prometheus's scripts must pass. Raise a floor with the work that earns it;
//! never lower one.

const FLOORS: [(&str, usize); 21] = [
    ("aggregators.test", 116),
    ("at_modifier.test", 60),
    ("collision.test", 1),
    ("duration_expression.test", 43),
    ("extended_vectors.test", 66),
    ("fill-modifier.test", 27),
    ("functions.test", 270),
    ("histograms.test", 179),
    ("info.test", 35),
    ("limit.test", 37),
    ("literals.test", 25),
    ("name_label_dropping.test", 23),
    ("native_histograms.test", 213),
    ("operators.test", 105),
    ("range_queries.test", 5),
    ("selectors.test", 29),
    ("staleness.test", 13),
    ("start_timestamps.test", 14),
    ("subquery.test", 26),
    ("trig_functions.test", 18),
    ("type_and_unit.test", 29),
];

/// The floor of a file; unknown files have none.
pub(crate) fn floor(name: &str) -> usize {
    FLOORS
        .iter()
        .find(|(file, _)| *file == name)
        .map_or(0, |(_, floor)| *floor)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FLOORS.iter().map(|(name, _)| *name)
}
