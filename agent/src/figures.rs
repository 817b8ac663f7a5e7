//! Figures and tables for people, in the commands of both programs.

/// `1.5 MiB`
pub fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut amount, mut unit) = (bytes, "B");
    for larger in UNITS.into_iter().skip(1) {
        if amount.abs() < 1024.0 {
            break;
        }
        (amount, unit) = (amount / 1024.0, larger);
    }
    match unit {
        "B" => format!("{amount:.0} B"),
        _ => format!("{amount:.1} {unit}"),
    }
}

/// `2h 5m`: the two largest units.
pub fn seconds(seconds: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m"), (1.0, "s")];
    if seconds.abs() < 10.0 {
        return format!("{seconds:.1}s");
    }
    let (mut rest, mut parts) = (seconds.round(), Vec::new());
    for (unit, name) in UNITS {
        let whole = (rest / unit).floor();
        if whole > 0.0 {
            parts.push(format!("{whole:.0}{name}"));
            rest -= whole * unit;
        }
    }
    parts.truncate(2);
    parts.join(" ")
}

/// `1,234,567`
pub fn count(digits: &str) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let mut grouped = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Columns as wide as their widest cell, two blanks between them; the first `left` ones begin at the left edge.
/// `indent` stands before each row.
pub fn table(rows: &[Vec<String>], left: usize, indent: &str) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let blanks = " ".repeat(width.saturating_sub(cell.chars().count()));
            let (before, after) = match column < left {
                true => ("", blanks.as_str()),
                false => (blanks.as_str(), ""),
            };
            line.extend([if column > 0 { "  " } else { "" }, before, cell, after]);
        }
        out.push_str(indent);
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        for (given, expected) in [
            (0.0, "0 B"),
            (1023.0, "1023 B"),
            (1536.0, "1.5 KiB"),
            (4e9, "3.7 GiB"),
            (5.5e12, "5.0 TiB"),
        ] {
            assert_eq!(bytes(given), expected);
        }
        for (given, expected) in [
            (0.25, "0.2s"),
            (59.6, "1m"),
            (7_384.0, "2h 3m"),
            (90_061.0, "1d 1h"),
        ] {
            assert_eq!(seconds(given), expected);
        }
        for (given, expected) in [("7", "7"), ("1234", "1,234"), ("-100000", "-100,000")] {
            assert_eq!(count(given), expected);
        }
    }

    #[test]
    fn columns_line_up() {
        let rows = [["a", "10"], ["bcd", "5"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows, 1, ""), "a    10\nbcd   5\n");
        assert_eq!(table(&rows, 2, "  "), "  a    10\n  bcd  5\n");
    }
}
