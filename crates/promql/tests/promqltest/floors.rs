//! How many evaluations of each of Prometheus's scripts must pass. Raise a floor with the work that earns it;
//! never lower one.

const FLOORS: [(&str, usize); 21] = [
    ("aggregators.test", 0),
    ("at_modifier.test", 0),
    ("collision.test", 0),
    ("duration_expression.test", 0),
    ("extended_vectors.test", 0),
    ("fill-modifier.test", 0),
    ("functions.test", 0),
    ("histograms.test", 0),
    ("info.test", 0),
    ("limit.test", 0),
    ("literals.test", 0),
    ("name_label_dropping.test", 0),
    ("native_histograms.test", 0),
    ("operators.test", 0),
    ("range_queries.test", 0),
    ("selectors.test", 0),
    ("staleness.test", 0),
    ("start_timestamps.test", 0),
    ("subquery.test", 0),
    ("trig_functions.test", 0),
    ("type_and_unit.test", 0),
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
