//! The cache by itself, and what a series takes.

use super::*;

/// Adds a line of a series of its own, as a scrape does.
fn add(cache: &mut SeriesCache, line: &str) -> u32 {
    let mut labels = Vec::new();
    Shape::Number.write_label("line", line, &mut labels);
    let series = cache.intern("m", &labels, Shape::Number);
    let id = cache.add_line(line.as_bytes(), Way::Series(series));
    cache.see(id);
    series
}

/// A scrape of these lines; returns how many markers it brings.
fn scrape(cache: &mut SeriesCache, time_ms: i64, lines: &[&str]) -> usize {
    for line in lines {
        let series = match cache.line(line.as_bytes()) {
            Some(id) => match cache.see(id) {
                Way::Series(series) => series,
                Way::Dropped => continue,
            },
            None => add(cache, line),
        };
        cache.sample(series, time_ms, false, true).expect("kept");
    }
    let mut ended = 0;
    cache.commit(time_ms, |_, _| ended += 1);
    cache.next(true);
    ended
}

#[test]
fn the_line_that_came_next_is_expected_next() {
    let mut cache = SeriesCache::default();
    scrape(&mut cache, 1, &["a", "b", "c"]);
    let first = cache.expected(b"a 1").expect("the first");
    assert_eq!(first.1, 1);
    cache.see(first.0);
    assert!(cache.expected(b"c 1").is_none());
    // Out of its turn it is found all the same, and what came after it is expected again.
    let b = cache.line(b"b").expect("known");
    cache.see(b);
    assert!(cache.expected(b"c 1").is_some());
}

#[test]
fn series_end_once_and_are_forgotten() {
    let mut cache = SeriesCache::default();
    assert_eq!(scrape(&mut cache, 1, &["a", "b"]), 0);
    let bytes = cache.text_bytes();
    assert_eq!(scrape(&mut cache, 2, &["b", "c"]), 1);
    assert_eq!((cache.len(), cache.text_bytes()), (2, bytes));
    assert_eq!(scrape(&mut cache, 3, &["b", "c"]), 0);
    let mut ended = 0;
    for time in [4, 5] {
        cache.fail(time, |_, _| ended += 1);
        cache.next(false);
    }
    assert_eq!((ended, cache.len()), (2, 2));
    assert_eq!(scrape(&mut cache, 6, &[]), 0, "they have ended before");
    assert_eq!((cache.len(), cache.text_bytes()), (0, 0));
}

#[test]
fn what_a_failed_scrape_brought_is_as_if_it_had_not_been() {
    let mut cache = SeriesCache::default();
    scrape(&mut cache, 10, &["a"]);
    let series = add(&mut cache, "b");
    cache.sample(series, 20, false, true).expect("kept");
    let mut ended = Vec::new();
    cache.fail(20, |series, _| ended.push(series.last_ms));
    cache.next(false);
    assert_eq!(ended, [20], "only what was there before");
    // The same times again are no repetition.
    let line = cache.line(b"b").expect("known");
    assert_eq!(cache.see(line), Way::Series(series));
    assert_eq!(cache.sample(series, 15, true, true), Ok(()));
    assert_eq!(
        cache.sample(series, 15, true, true),
        Err(LeftOut::Duplicate)
    );
    assert_eq!(
        cache.sample(series, 14, true, true),
        Err(LeftOut::OutOfOrder)
    );
    assert_eq!(
        cache.sample(series, 30, false, true),
        Err(LeftOut::Duplicate)
    );
    cache.commit(30, |_, _| {});
    cache.next(true);
    cache.see(line);
    assert_eq!(cache.sample(series, 15, true, true), Err(LeftOut::Repeated));
}

#[test]
fn lines_of_failed_scrapes_do_not_pile_up() {
    let mut cache = SeriesCache::default();
    for scrape in 0..20 {
        for line in 0..500 {
            add(&mut cache, &format!("{scrape}-{line}"));
        }
        cache.fail(scrape, |_, _| {});
        cache.next(false);
        assert!(cache.len() <= LEFT_OVER_LINES_MAX + 500, "{}", cache.len());
    }
}

#[test]
fn names_know_their_families() {
    let mut cache = SeriesCache::default();
    let id = |cache: &mut SeriesCache, name: &str| {
        let series = cache.intern(name, b"", Shape::Number);
        cache.series.get(series).expect("there").name
    };
    let (total, created) = (id(&mut cache, "a_total"), id(&mut cache, "a_created"));
    assert!(!cache.names.about(total).counts);
    cache.tell("a", Metadata::Kind(vervet_exposition::Kind::Counter), 10);
    cache.tell("a", Metadata::Help(&"é".repeat(1_000)), 10);
    let about = cache.names.about(total);
    assert!(about.counts && about.help.len() == 1_024);
    assert!(!cache.names.about(created).counts);
    // Whatever else is said, there is room for so many.
    cache.tell("b", Metadata::Kind(vervet_exposition::Kind::Counter), 1);
    let b = id(&mut cache, "b");
    assert!(!cache.names.about(b).counts);
    // A family is forgotten when it was not told of for long.
    for time in 0..12 {
        cache.commit(time, |_, _| {});
        cache.next(true);
    }
    assert_eq!(cache.names.about(total).help, "");
}

#[test]
fn a_series_takes_less_than_a_kibibyte_and_a_half() {
    let mut cache = SeriesCache::default();
    let count = 10_000_usize;
    for at in 0..count {
        let line = format!(
            "http_request_duration_seconds_bucket{{method=\"GET\",path=\"/api/v1/orders/{at}\",status=\"200\",le=\"0.25\"}}"
        );
        let mut labels = Vec::new();
        for (name, value) in [
            ("instance", "10.244.13.7:9090"),
            ("job", "kubernetes-pods"),
            ("le", "0.25"),
            ("method", "GET"),
            ("namespace", "production"),
            ("path", line.as_str()),
            ("pod", "orders-7d4b9c6f5d-x2x8q"),
            ("status", "200"),
        ] {
            Shape::Number.write_label(name, value, &mut labels);
        }
        let series = cache.intern(
            "http_request_duration_seconds_bucket",
            &labels,
            Shape::Number,
        );
        cache.add_line(line.as_bytes(), Way::Series(series));
    }
    // Tables that are just over half full, and what the allocator adds to two pieces.
    let around =
        size_of::<Option<Line>>() * 2 + size_of::<Option<Series>>() * 2 + 2 * 2 * 17 + 2 * 16;
    let bytes = cache.text_bytes() / count + around;
    assert!(bytes < 1_536 / 2, "{bytes}");
}
