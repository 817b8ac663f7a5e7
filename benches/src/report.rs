//! Figures and the table they end in.

use std::fmt::Write as _;

/// One measured number.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    pub name: String,
    /// The median where it was measured several times.
    pub value: f64,
    pub unit: &'static str,
    /// The least and the most of several measurements.
    pub spread: Option<(f64, f64)>,
    pub goal: Option<Goal>,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

impl Figure {
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            spread: None,
            goal: None,
        }
    }

    /// The median of several measurements, with their spread.
    pub fn median(name: impl Into<String>, values: &[f64], unit: &'static str) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let ends = sorted.first().zip(sorted.last());
        Self {
            spread: ends
                .map(|(least, most)| (*least, *most))
                .filter(|_| sorted.len() > 1),
            ..Self::new(name, median(&sorted), unit)
        }
    }

    /// What 99 of 100 measurements were not above (nearest rank).
    pub fn p99(name: impl Into<String>, values: &[f64], unit: &'static str) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * 99).div_ceil(100);
        let value = rank.checked_sub(1).and_then(|index| sorted.get(index));
        Self::new(name, value.copied().unwrap_or(0.0), unit)
    }

    #[must_use]
    pub fn with_goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }
}

/// Of sorted values; 0 of none.
fn median(sorted: &[f64]) -> f64 {
    let at = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => at(odd / 2),
        even => (at(even / 2 - 1) + at(even / 2)) / 2.0,
    }
}

impl Goal {
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
            Self::Below(bound) => value < bound,
        }
    }

    fn shown(self, value: f64) -> String {
        let (sign, bound) = match self {
            Self::AtLeast(bound) => (">=", bound),
            Self::AtMost(bound) => ("<=", bound),
            Self::Below(bound) => ("<", bound),
        };
        let verdict = if self.is_met(value) { "met" } else { "not met" };
        format!("{sign} {bound}: {verdict}")
    }
}

const HEAD: [&str; 6] = ["name", "figure", "least", "most", "unit", "goal"];
/// Columns of numbers stand to the right.
const IS_NUMBER: [bool; 6] = [false, true, true, true, false, false];

/// The figures in columns, one line each.
pub fn table(figures: &[Figure]) -> String {
    let rows: Vec<[String; 6]> = std::iter::once(HEAD.map(str::to_owned))
        .chain(figures.iter().map(row))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for ((cell, width), is_number) in row.iter().zip(widths).zip(IS_NUMBER) {
            // Writing to a String cannot fail.
            let _ = match is_number {
                true => write!(line, "{cell:>width$}  "),
                false => write!(line, "{cell:width$}  "),
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn row(figure: &Figure) -> [String; 6] {
    let (least, most) = figure.spread.unzip();
    let optional = |value: Option<f64>| value.map(shown).unwrap_or_default();
    [
        figure.name.clone(),
        shown(figure.value),
        optional(least),
        optional(most),
        figure.unit.to_owned(),
        figure
            .goal
            .map(|goal| goal.shown(figure.value))
            .unwrap_or_default(),
    ]
}

/// Three significant digits or more; thousands apart.
fn shown(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let plain = format!("{value:.digits$}");
    let (whole, fraction) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_what_matters() {
        for (value, expect) in [
            (0.0, "0"),
            (1.234, "1.23"),
            (45.67, "45.7"),
            (999.4, "999"),
            (1_234_567.8, "1,234,568"),
        ] {
            assert_eq!(shown(value), expect);
        }
    }

    #[test]
    fn medians_are_in_the_middle() {
        for (values, expect, spread) in [
            (&[][..], 0.0, None),
            (&[3.0], 3.0, None),
            (&[4.0, 1.0], 2.5, Some((1.0, 4.0))),
            (&[9.0, 1.0, 2.0], 2.0, Some((1.0, 9.0))),
        ] {
            let figure = Figure::median("x", values, "s");
            assert_eq!(
                (figure.value, figure.spread),
                (expect, spread),
                "{values:?}"
            );
        }
    }

    #[test]
    fn columns_line_up_and_goals_are_judged() {
        let figures = [
            Figure::new("short", 1.0, "s"),
            Figure::median("a longer name", &[1000.0, 1500.0, 900.0], "B")
                .with_goal(Goal::AtLeast(1200.0)),
            Figure::new("idle", 1.0, "%").with_goal(Goal::Below(1.0)),
            Figure::new("peak", 40.0, "MiB").with_goal(Goal::AtMost(40.0)),
        ];
        let expect = "\
name           figure  least   most  unit  goal
short            1.00                s
a longer name   1,000    900  1,500  B     >= 1200: not met
idle             1.00                %     < 1: not met
peak             40.0                MiB   <= 40: met
";
        assert_eq!(table(&figures), expect);
    }
}
