//! Lines as they stand in log files, each of a size that other agents have been measured with.
//!
//! [`Shape::Cri`]: what a container runtime writes of a plain line, [`CRI_LINE_BYTES`] each. [`Shape::Json`]: objects
//! of 12 fields, about [`JSON_LINE_BYTES`] each. [`Shape::CriJson`]: the same objects behind the runtime's prefix.
//! [`Shape::Secrets`]: the same objects, of which one in [`SECRET_EVERY`] has an e-mail address or a card number in its message.

use std::io::Write as _;

use super::logs::{Event, Logs};

/// One line of [`Shape::Cri`], the line feed included.
pub const CRI_LINE_BYTES: usize = 126;
/// The mean of [`Shape::Json`], line feeds included.
pub const JSON_LINE_BYTES: usize = 356;
/// One line in so many of [`Shape::Secrets`] has something to redact.
pub const SECRET_EVERY: u64 = 20;
/// Messages of objects are cut there (bytes), for the sake of the mean.
const MESSAGE_BYTES_MAX: usize = 64;
/// Bytes that the runtime puts before a line.
const CRI_PREFIX_BYTES: usize = 40;

/// What the lines of a file look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Cri,
    Json,
    CriJson,
    Secrets,
}

/// Writes lines of one shape without end.
#[derive(Debug, Clone)]
pub struct Lines {
    logs: Logs,
    shape: Shape,
    count: u64,
    /// The text of a plain line.
    text: Vec<u8>,
}

impl Lines {
    pub fn new(shape: Shape, seed: u64) -> Self {
        Self {
            logs: Logs::new(seed),
            shape,
            count: 0,
            text: Vec::with_capacity(256),
        }
    }

    /// Appends one line, the line feed included.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        let event = self.logs.event();
        self.count += 1;
        if matches!(self.shape, Shape::Cri | Shape::CriJson) {
            write_prefix(event.time_unix_nano, out);
        }
        match self.shape {
            Shape::Cri => self.write_plain(&event, out),
            Shape::Json | Shape::CriJson => self.write_object(&event, "", out),
            Shape::Secrets => {
                let secret = self.secret();
                self.write_object(&event, &secret, out);
            }
        }
    }

    /// A level, a component and a message, filled up or cut to the size of the line.
    fn write_plain(&mut self, event: &Event, out: &mut Vec<u8>) {
        let text_bytes = CRI_LINE_BYTES - CRI_PREFIX_BYTES - 1;
        let text = &mut self.text;
        text.clear();
        // Writing to a Vec cannot fail.
        let _ = write!(
            text,
            "{:5} {} {} {} took {} us",
            event.level.text.to_ascii_uppercase(),
            event.method,
            event.message,
            event.status,
            event.duration_us
        );
        text.resize(text_bytes, b'.');
        out.extend_from_slice(text);
        out.push(b'\n');
    }

    fn write_object(&self, event: &Event, secret: &str, out: &mut Vec<u8>) {
        let pod = self.logs.pod();
        let message = event
            .message
            .get(..MESSAGE_BYTES_MAX)
            .unwrap_or(&event.message);
        let _ = write!(out, "{{\"time\":\"");
        write_time(event.time_unix_nano, out);
        let _ = writeln!(
            out,
            r#"","level":"{}","service":"{}","pid":{},"trace_id":"{:032x}","span_id":"{:016x}","method":"{}","path":"{}","status":{},"duration_ms":{}.{:03},"cached":{},"msg":"{}{}"}}"#,
            event.level.text,
            pod.service,
            pod.pid,
            u128::from_be_bytes(event.trace_id),
            u64::from_be_bytes(event.span_id),
            event.method,
            event.path,
            event.status,
            event.duration_us / 1000,
            event.duration_us % 1000,
            event.status == 304,
            message,
            secret,
        );
    }

    fn secret(&self) -> String {
        if !self.count.is_multiple_of(SECRET_EVERY) {
            return String::new();
        }
        match self.count / SECRET_EVERY % 2 {
            0 => format!(" for customer{}@example.com", self.count),
            // A number that passes the check of the last digit, from the range kept for tests.
            _ => " paid with 4111 1111 1111 1111".to_owned(),
        }
    }
}

/// `<time> stdout F `
fn write_prefix(time_unix_nano: u64, out: &mut Vec<u8>) {
    write_time(time_unix_nano, out);
    out.extend_from_slice(b" stdout F ");
}

/// RFC 3339 with nine digits of a second. The generated times stay within the day they begin in.
fn write_time(time_unix_nano: u64, out: &mut Vec<u8>) {
    const DAY_NANO: u64 = 86_400_000_000_000;
    let of_day = time_unix_nano % DAY_NANO;
    let seconds = of_day / 1_000_000_000;
    let _ = write!(
        out,
        "2026-01-15T{:02}:{:02}:{:02}.{:09}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        of_day % 1_000_000_000
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 20_000;

    fn lines(shape: Shape) -> Vec<String> {
        let mut lines = Lines::new(shape, 7);
        let mut out = Vec::new();
        (0..COUNT).for_each(|_| lines.write(&mut out));
        let text = String::from_utf8(out).expect("UTF-8");
        text.split_inclusive('\n').map(str::to_owned).collect()
    }

    #[test]
    fn plain_lines_have_one_size() {
        for line in lines(Shape::Cri) {
            assert_eq!(line.len(), CRI_LINE_BYTES, "{line}");
            assert_eq!(&line[29..CRI_PREFIX_BYTES], "Z stdout F ", "{line}");
        }
    }

    #[test]
    fn objects_have_twelve_fields_and_a_mean_size() {
        let lines = lines(Shape::Json);
        for line in &lines {
            let fields: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(fields.as_object().expect("an object").len(), 12, "{line}");
        }
        let mean = lines.iter().map(String::len).sum::<usize>() as f64 / COUNT as f64;
        assert!(
            (mean - JSON_LINE_BYTES as f64).abs() < 2.0,
            "{mean} bytes a line"
        );
    }

    #[test]
    fn one_line_in_twenty_has_a_secret() {
        let lines = lines(Shape::Secrets);
        let with = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
        assert_eq!(
            with("@example.com") + with("4111 1111 1111 1111"),
            COUNT / 20
        );
    }

    #[test]
    fn wrapped_objects_are_the_same_objects() {
        for (wrapped, bare) in lines(Shape::CriJson).iter().zip(lines(Shape::Json)) {
            assert_eq!(wrapped[CRI_PREFIX_BYTES..], bare);
        }
    }
}
