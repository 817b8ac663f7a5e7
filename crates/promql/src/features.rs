//! The parts of the language that Prometheus calls experimental, each by the name of its flag there.

/// Which experimental parts of the language are understood. What is off is a parse error that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// `promql-experimental-functions`: functions such as `info` and `mad_over_time`, the aggregations
    /// `limitk` and `limit_ratio`. On by default.
    pub experimental_functions: bool,
    /// `promql-binop-fill-modifiers`: `fill`, `fill_left` and `fill_right`. On by default.
    pub fill_modifiers: bool,
    /// `promql-duration-expr`: arithmetic on durations. Off by default.
    pub duration_expressions: bool,
    /// `promql-extended-range-selectors`: `anchored` and `smoothed`. Off by default.
    pub extended_range_selectors: bool,
    /// `type-and-unit-labels`: the label `__type__`, not the name, says what is a counter. Off by default. On or
    /// off, `__type__` and `__unit__` are dropped with the name, and like it do not decide what belongs together.
    pub type_and_unit_labels: bool,
    /// `use-start-timestamps`: `rate` and its like know when a counter began. Off by default.
    pub start_timestamps: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            experimental_functions: true,
            fill_modifiers: true,
            duration_expressions: false,
            extended_range_selectors: false,
            type_and_unit_labels: false,
            start_timestamps: false,
        }
    }
}

impl Features {
    /// Everything.
    pub fn all() -> Self {
        Self {
            experimental_functions: true,
            fill_modifiers: true,
            duration_expressions: true,
            extended_range_selectors: true,
            type_and_unit_labels: true,
            start_timestamps: true,
        }
    }

    /// Switches the part with a flag of Prometheus on; the answer is whether the flag is one of these.
    pub fn enable(&mut self, flag: &str) -> bool {
        let part = match flag {
            "promql-experimental-functions" => &mut self.experimental_functions,
            "promql-binop-fill-modifiers" => &mut self.fill_modifiers,
            "promql-duration-expr" => &mut self.duration_expressions,
            "promql-extended-range-selectors" => &mut self.extended_range_selectors,
            "type-and-unit-labels" => &mut self.type_and_unit_labels,
            "use-start-timestamps" => &mut self.start_timestamps,
            _ => return false,
        };
        *part = true;
        true
    }
}
