//! Log lines from a counter: the same on every machine. Numbers and identifiers differ from line to line.

/// What the lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Plain text behind the prefix of a container runtime, 126 bytes with the line feed.
    Cri,
    /// Objects of 12 fields, about 360 bytes.
    Json,
}

/// `count` lines, without line feeds. The messages of objects end in `tail`.
pub(crate) fn lines(shape: Shape, tail: &str, count: u64) -> Vec<String> {
    (0..count).map(|index| line(shape, tail, index)).collect()
}

fn line(shape: Shape, tail: &str, index: u64) -> String {
    // SplitMix64 of the line's number.
    let mut mixed = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let (small, status) = (mixed % 10_000, 200 + mixed % 4 * 100);
    let time = format!(
        "2026-01-15T12:{:02}:{:02}.{:09}Z",
        index / 60 % 60,
        index % 60,
        mixed % 1_000_000_000
    );
    if shape == Shape::Cri {
        let text = format!(
            "INFO GET request completed, session {mixed:016x} sent {small} bytes to the client, status {status}"
        );
        return format!("{time} stdout F {text:.<85.85}");
    }
    format!(
        r#"{{"time":"{time}","level":"info","service":"checkout","pid":{},"trace_id":"{mixed:016x}{mixed:016x}","span_id":"{mixed:016x}","method":"GET","path":"/api/v2/orders/{}?expand=items&page={}","status":{status},"duration_ms":{}.{:03},"cached":false,"msg":"request completed, session {mixed:010x} sent {small} bytes{tail}"}}"#,
        mixed % 40,
        mixed % 100_000_000,
        mixed % 100,
        small,
        mixed % 1000,
    )
}

/// All bytes of the lines, line feeds included.
pub(crate) fn bytes(lines: &[String]) -> u64 {
    lines.iter().map(|line| line.len() as u64 + 1).sum()
}
