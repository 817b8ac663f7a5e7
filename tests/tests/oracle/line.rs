//! The lines that are written: numbered, and with a checksum over all of their text, so that one that was torn,
//! joined with another or changed is not taken for a line.
//!
//! ```text
//! oracle w=<writer> g=<generation> n=<number> c=<CRC-32C, 8 hex digits> <filler>
//! ```
//! The checksum covers the text without its own word. The filler follows from writer and number: mostly up to
//! 160 bytes, of every 211th line up to 40 KiB, with characters of one to four bytes.

/// First word of every line.
const MARK: &str = "oracle";
/// First word of the line that begins every generation of a file when the scenario wants equal beginnings.
const HEADER: &str = "oracle-header";
const HEADER_BYTES: usize = 3_000;
const FILLER_BYTES_MAX: u64 = 160;
const LONG_EVERY: u64 = 211;
const LONG_BYTES_MAX: u64 = 40_000;
const ALPHABET: [&str; 16] = [
    "a", "e", "n", "r", "7", " ", "t", "-", "ü", "ß", "é", "漢", "字", "…", "🐒", "𝄞",
];

/// Which line a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) writer: usize,
    /// Counts the files that a name has stood for.
    pub(crate) generation: u32,
    /// From 0, without gaps, over all generations.
    pub(crate) number: u64,
}

/// What a text turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    Line(Line),
    /// The header of a writer's file.
    Header(usize),
    /// Nothing that was written.
    Foreign,
}

impl Line {
    pub(crate) fn text(&self) -> String {
        let Self {
            writer,
            generation,
            number,
        } = self;
        let head = format!("{MARK} w={writer} g={generation} n={number}");
        let filler = filler(*writer, *number);
        let sum = checksum(&head, &filler);
        format!("{head} c={sum:08x} {filler}")
    }
}

/// A line of 3,000 bytes that is the same in every generation.
pub(crate) fn header(writer: usize) -> String {
    format!("{HEADER} w={writer} {}", "=".repeat(HEADER_BYTES))
}

pub(crate) fn read(text: &str) -> Text {
    if text.starts_with(HEADER) {
        let writer = text
            .split_once(" w=")
            .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        return match writer {
            Some(writer) if header(writer) == text => Text::Header(writer),
            _ => Text::Foreign,
        };
    }
    read_line(text).map_or(Text::Foreign, Text::Line)
}

fn read_line(text: &str) -> Option<Line> {
    let (head, rest) = text.split_once(" c=")?;
    let (sum, filler) = rest.split_once(' ')?;
    if u32::from_str_radix(sum, 16).ok()? != checksum(head, filler) {
        return None;
    }
    let mut words = head.split(' ');
    if words.next()? != MARK {
        return None;
    }
    let mut value = |key: &str| words.next()?.strip_prefix(key);
    Some(Line {
        writer: value("w=")?.parse().ok()?,
        generation: value("g=")?.parse().ok()?,
        number: value("n=")?.parse().ok()?,
    })
}

fn checksum(head: &str, filler: &str) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(head.as_bytes()), filler.as_bytes())
}

fn filler(writer: usize, number: u64) -> String {
    let mut state = mix(number ^ ((writer as u64) << 48));
    let is_long = number > 0 && number.is_multiple_of(LONG_EVERY);
    let bytes_max = if is_long {
        LONG_BYTES_MAX
    } else {
        FILLER_BYTES_MAX
    };
    let bytes = usize::try_from(state % bytes_max).unwrap();
    let mut filler = String::with_capacity(bytes + 4);
    while filler.len() < bytes {
        state = mix(state);
        // Sixteen characters out of one number.
        for nibble in 0..16 {
            filler.push_str(ALPHABET[usize::try_from(state >> (4 * nibble) & 15).unwrap()]);
        }
    }
    // Blanks at the end of a line are not text.
    filler.push('.');
    filler
}

/// splitmix64
fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[test]
fn only_whole_lines_are_lines() {
    for number in 0..2_000 {
        let line = Line {
            writer: 3,
            generation: 2,
            number,
        };
        let text = line.text();
        assert_eq!(read(&text), Text::Line(line));
        let middle = (text.len() / 2..)
            .find(|at| text.is_char_boundary(*at))
            .unwrap();
        for torn in [&text[..middle], &text[middle..], &format!("{text}{text}")] {
            assert_eq!(read(torn), Text::Foreign, "{torn}");
        }
    }
    assert_eq!(read(&header(5)), Text::Header(5));
    assert_eq!(read(&header(5)[1..]), Text::Foreign);
    assert_eq!(read(&header(5)[..2_000]), Text::Foreign);
}
