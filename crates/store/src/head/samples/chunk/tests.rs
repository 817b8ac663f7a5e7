use proptest::prelude::*;

use super::*;

fn chunk(samples: &[(i64, f64)]) -> Chunk {
    let mut chunk = Chunk::default();
    for (time_ms, value) in samples {
        chunk.push(*time_ms, *value);
    }
    chunk
}

fn bits(samples: impl IntoIterator<Item = (i64, f64)>) -> Vec<(i64, u64)> {
    let samples = samples.into_iter();
    samples
        .map(|(time, value)| (time, value.to_bits()))
        .collect()
}

#[test]
fn a_scraped_series_takes_a_fraction_of_sixteen_bytes() {
    let jitter = [0, 3, 1, 4, 2, 2, 0, 1];
    let counter: Vec<(i64, f64)> = (0_i32..120)
        .zip(jitter.iter().cycle())
        .map(|(n, late)| {
            let due = 1_728_000_000_000 + i64::from(n) * 15_000;
            (due + late, f64::from(n * 37))
        })
        .collect();
    let still: Vec<(i64, f64)> = (0..120).map(|n| (n * 15_000, 4096.0)).collect();
    let bytes = |samples: &[(i64, f64)]| {
        let mut chunk = Chunk::default();
        samples
            .iter()
            .map(|(time, value)| chunk.push(*time, *value))
            .sum::<usize>()
    };
    assert!(bytes(&counter) < 120 * 6, "{}", bytes(&counter));
    assert!(bytes(&still) < 120, "{}", bytes(&still));
}

#[test]
fn of_samples_with_one_time_the_first_stays() {
    let chunk = chunk(&[(30, 1.0), (10, 2.0), (30, 3.0), (20, 4.0), (10, 5.0)]);
    assert_eq!(chunk.sorted(), [(10, 2.0), (20, 4.0), (30, 1.0)]);
    assert_eq!(chunk.time_range(), (10, 30));
    assert!(Chunk::default().sorted().is_empty());
}

fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let time = prop_oneof![
        any::<i64>(),
        (0..100_i64).prop_map(|n| n * 15_000),
        (0..100_i64, -3000..3000_i64).prop_map(|(n, late)| n * 15_000 + late),
    ];
    let value = prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        any::<i16>().prop_map(f64::from),
        (any::<i16>(), 0..3).prop_map(|(n, digits)| f64::from(n) / 10_f64.powi(digits)),
        Just(0.0),
    ];
    prop::collection::vec((time, value), 0..300)
}

proptest! {
    #[test]
    fn samples_are_those_of_a_plain_vector(samples in samples()) {
        let mut chunk = Chunk::default();
        let mut bytes = 0;
        for (n, (time, value)) in samples.iter().enumerate() {
            bytes += chunk.push(*time, *value);
            if n % 50 == 0 {
                prop_assert_eq!(bits(chunk.iter()), bits(samples[..=n].iter().copied()));
            }
        }
        prop_assert_eq!(bits(chunk.iter()), bits(samples.iter().copied()));
        prop_assert_eq!(bytes, chunk.words.capacity() * 8);

        let mut expect = samples.clone();
        expect.sort_by_key(|(time, _)| *time);
        expect.dedup_by_key(|(time, _)| *time);
        prop_assert_eq!(bits(chunk.sorted()), bits(expect.iter().copied()));
        if let (Some(first), Some(last)) = (expect.first(), expect.last()) {
            prop_assert_eq!(chunk.time_range(), (first.0, last.0));
        }
    }

    #[test]
    fn every_distance_of_times_is_kept(start in any::<i64>(), changes in prop::collection::vec(prop_oneof![
        -70..70_i64, -2100..2100_i64, -530_000..530_000_i64, any::<i64>()
    ], 1..50)) {
        let (mut time, mut delta) = (start, 0_i64);
        let samples: Vec<(i64, f64)> = changes.iter().map(|change| {
            delta = delta.wrapping_add(*change);
            time = time.wrapping_add(delta);
            (time, 1.0)
        }).collect();
        prop_assert_eq!(bits(chunk(&samples).iter()), bits(samples.iter().copied()));
    }
}
