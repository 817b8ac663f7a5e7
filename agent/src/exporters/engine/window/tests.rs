use super::*;

fn contents(records: u64) -> Contents {
    Contents {
        signal: Signal::Logs,
        amount: Amount {
            records,
            bytes: records * 10,
        },
        before: Totals::default(),
    }
}

fn window(states: &[(u64, State)]) -> Window {
    let mut window = Window::default();
    for (sequence, state) in states {
        window.push(Slot {
            sequence: *sequence,
            contents: Some(contents(1)),
            packed_bytes: 100,
            state: *state,
        });
    }
    window
}

fn settled(window: &mut Window, booked: u64) -> Vec<u64> {
    std::iter::from_fn(|| window.pop_settled(booked))
        .map(|slot| slot.sequence)
        .collect()
}

fn answer(window: &mut Window, sequence: u64) {
    window.answered(Settlement {
        sequence,
        fate: Fate::default(),
    });
}

#[test]
fn only_what_has_nothing_open_before_it_is_settled() {
    let open = State::UnderWay;
    let mut window = window(&[(3, open), (4, State::Skipped), (7, open), (8, open)]);
    assert!(settled(&mut window, 99).is_empty());
    answer(&mut window, 8);
    assert!(settled(&mut window, 99).is_empty());
    answer(&mut window, 3);
    assert_eq!(settled(&mut window, 99), [3, 4]);
    answer(&mut window, 5);
    answer(&mut window, 7);
    assert_eq!(settled(&mut window, 7), [7], "the books do not know 8 yet");
    assert_eq!(settled(&mut window, 8), [8]);
    assert!(window.is_empty());
}

#[test]
fn bodies_that_were_answered_count_no_more() {
    let mut window = window(&[(1, State::UnderWay), (2, State::UnderWay)]);
    assert!(!window.has_room(9, 200) && window.has_room(9, 201) && !window.has_room(2, 201));
    answer(&mut window, 2);
    answer(&mut window, 2);
    assert!(window.has_room(9, 101));
    answer(&mut window, 1);
    assert!(window.has_room(9, 1));
}

#[test]
fn a_share_and_the_rest_are_the_whole() {
    let whole = Amount {
        records: 7,
        bytes: 1_001,
    };
    for records in [0, 1, 3, 6, 7, 8, u64::MAX] {
        let part = share(whole, Part::Records(records));
        let mut sum = whole.minus(part);
        sum.add(part);
        assert_eq!(sum, whole);
        assert_eq!(part.records, records.min(7));
    }
    assert_eq!(share(whole, Part::Records(7)), whole);
    assert_eq!(share(whole, Part::All), whole);
}
