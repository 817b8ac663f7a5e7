//! The functions that statements may call: those that look at what is stored. Functions that make much of little (`repeat`,
//! `range`, `lpad`, arrays) are not among them; those that may grow a text are charged ([`super::charged`]). One is our own:
//! [`hex`].

use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::functions;
use datafusion::functions_aggregate::planner::AggregateFunctionPlanner;
use datafusion::functions_nested::planner::FieldAccessPlanner;
use datafusion::functions_window::planner::WindowFunctionPlanner;
use datafusion::logical_expr::planner::ExprPlanner;

use super::charged::{Charge, Charged, Growth, JoinPlanner};
use super::hex;

/// Their results are not larger than their arguments, or have a fixed size.
#[rustfmt::skip]
const SCALAR: &[&str] = &[
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "cos", "cosh", "cot", "degrees",
    "exp", "factorial", "floor", "gcd", "isnan", "iszero", "lcm", "ln", "log", "log10", "log2", "nanvl", "pi", "power",
    "radians", "random", "round", "signum", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
    "ascii", "bit_length", "btrim", "character_length", "chr", "contains", "ends_with", "find_in_set", "left",
    "levenshtein", "ltrim", "octet_length", "reverse", "right", "rtrim", "split_part", "starts_with", "strpos", "substr",
    "substr_index", "to_hex", "uuid", "regexp_count", "regexp_instr", "regexp_like",
    "current_date", "current_time", "date_bin", "date_part", "date_trunc", "from_unixtime", "make_date", "now", "to_date",
    "to_local_time", "to_timestamp", "to_timestamp_micros", "to_timestamp_millis", "to_timestamp_nanos",
    "to_timestamp_seconds", "to_unixtime",
    "arrow_cast", "arrow_try_cast", "arrow_typeof", "coalesce", "get_field", "greatest", "least", "nullif", "nvl", "nvl2",
    "array_element", "array_has", "array_has_all", "array_has_any", "array_length", "array_position", "cardinality",
    "map_extract", "map_keys", "map_values",
];

/// Their results may be larger than their arguments, so they are charged.
const CHARGED: &[(&str, Growth)] = &[
    ("concat", Growth::Sum),
    ("concat_ws", Growth::Separated),
    ("initcap", Growth::Times(4)),
    ("lower", Growth::Times(4)),
    ("upper", Growth::Times(4)),
    ("translate", Growth::Times(4)),
    ("replace", Growth::Replaced),
    ("regexp_replace", Growth::PatternReplaced),
    ("regexp_match", Growth::Groups),
    ("to_char", Growth::Formatted),
];

/// What they hold is charged by the operators that call them.
#[rustfmt::skip]
const AGGREGATE: &[&str] = &[
    "any_value", "approx_distinct", "approx_median", "approx_percentile_cont", "approx_percentile_cont_with_weight",
    "array_agg", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "corr", "count", "covar_pop", "covar_samp",
    "first_value", "grouping", "last_value", "max", "median", "min", "percentile_cont", "regr_avgx", "regr_avgy",
    "regr_count", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "stddev", "stddev_pop",
    "string_agg", "sum", "var", "var_pop",
];

/// A session's functions: none but those above.
pub(in super::super) fn install(
    builder: SessionStateBuilder,
    charge: &Arc<Charge>,
) -> SessionStateBuilder {
    let mut scalar = Vec::new();
    for function in SessionStateDefaults::default_scalar_functions() {
        if SCALAR.contains(&function.name()) {
            scalar.push(function);
        } else if let Some((_, growth)) = CHARGED.iter().find(|(name, _)| *name == function.name())
        {
            scalar.push(Charged::function(function, *growth, charge));
        }
    }
    scalar.push(Charged::function(hex::function(), Growth::Times(2), charge));
    let aggregate = SessionStateDefaults::default_aggregate_functions();
    let aggregate = aggregate
        .into_iter()
        .filter(|it| AGGREGATE.contains(&it.name()));
    let planners: Vec<Arc<dyn ExprPlanner>> = vec![
        Arc::new(JoinPlanner::new(charge)),
        Arc::new(FieldAccessPlanner),
        Arc::new(functions::datetime::planner::DatetimeFunctionPlanner),
        Arc::new(functions::unicode::planner::UnicodeFunctionPlanner),
        Arc::new(AggregateFunctionPlanner),
        Arc::new(WindowFunctionPlanner),
    ];
    builder
        .with_expr_planners(planners)
        .with_scalar_functions(scalar)
        .with_aggregate_functions(aggregate.collect())
        .with_window_functions(SessionStateDefaults::default_window_functions())
}
