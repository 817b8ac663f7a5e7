//! Figures and the table they end in.

use std::fmt::Write as _;

/// One measured number.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
}

impl Figure {
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
        }
    }
}

/// The figures in three columns: name, figure, unit.
pub fn table(figures: &[Figure]) -> String {
    let shown: Vec<String> = figures.iter().map(|figure| shown(figure.value)).collect();
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let name_width = widest(&mut figures.iter().map(|figure| figure.name.len())).max("name".len());
    let value_width = widest(&mut shown.iter().map(String::len)).max("figure".len());
    let mut out = format!("{:name_width$}  {:>value_width$}  unit\n", "name", "figure");
    for (figure, value) in figures.iter().zip(&shown) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{:name_width$}  {value:>value_width$}  {}",
            figure.name, figure.unit
        );
    }
    out
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
    fn columns_line_up() {
        let figures = [
            Figure::new("short", 1.0, "s"),
            Figure::new("a longer name", 1000.0, "B"),
        ];
        let text = table(&figures);
        assert_eq!(
            text,
            "name           figure  unit\nshort            1.00  s\na longer name   1,000  B\n"
        );
    }
}
