use super::*;

fn position(inode: u64, offset: u64) -> FilePosition {
    FilePosition {
        path: format!("/var/log/{inode}"),
        device: 1,
        inode,
        prefix_hash: 7,
        prefix_len: 64,
        offset,
        ..FilePosition::default()
    }
}

fn inodes(checkpoints: &Checkpoints, receiver: &str) -> Vec<u64> {
    let own = checkpoints.of(receiver).into_iter();
    let mut inodes: Vec<u64> = own.map(|position| position.inode).collect();
    inodes.sort_unstable();
    inodes
}

/// One that knows a receiver `a`.
fn claimed() -> Checkpoints {
    let mut checkpoints = Checkpoints::default();
    checkpoints.apply("a", &[position(0, 1)]);
    checkpoints.claim("a");
    checkpoints
}

#[test]
fn the_last_position_of_a_file_survives_encoding() {
    let mut checkpoints = Checkpoints::default();
    checkpoints.apply("a", &[position(1, 10), position(2, 20)]);
    checkpoints.apply("b", &[position(1, 5)]);
    checkpoints.apply("a", &[position(1, 30)]);
    let read = Checkpoints::decode(checkpoints.encode()).expect("valid");
    assert_eq!(read.of("a"), [position(2, 20), position(1, 30)]);
    assert_eq!(read.of("b"), [position(1, 5)]);
    assert_eq!(read.size(), checkpoints.size());
}

#[test]
fn a_state_seldom_changes_its_size() {
    let mut checkpoints = Checkpoints::default();
    let sizes = (0..2_000).map(|inode| {
        checkpoints.apply("a", &[position(inode, 1)]);
        let state = checkpoints.encode();
        assert!(state.len() >= checkpoints.size().1 && state.len().is_multiple_of(STEP_BYTES_MIN));
        state.len()
    });
    let mut sizes: Vec<usize> = sizes.collect();
    sizes.dedup();
    assert!(sizes.len() < 50, "{sizes:?}");
}

#[test]
fn of_followed_files_the_one_moved_longest_ago_is_forgotten_first_and_counted() {
    let mut checkpoints = claimed();
    for inode in 0..=POSITIONS_MAX as u64 {
        checkpoints.apply("a", &[position(inode, 1)]);
    }
    let kept = inodes(&checkpoints, "a");
    let forgotten = POSITIONS_MAX as u64 + 1 - kept.len() as u64;
    assert_eq!(kept.first(), Some(&forgotten));
    assert_eq!(checkpoints.forgotten(), forgotten);
    assert!(forgotten > 0);
}

#[test]
fn a_followed_file_outlives_any_number_of_rotations_of_another() {
    let mut checkpoints = claimed();
    let now = Instant::now();
    for inode in 1..=2 * POSITIONS_MAX as u64 {
        checkpoints.apply("a", &[position(inode, 1)]);
        let state = if inode % 2 == 0 {
            FileState::Over
        } else {
            FileState::Left
        };
        checkpoints.told("a", &[((1, inode), state)], now);
    }
    let kept = inodes(&checkpoints, "a");
    assert!(kept.len() <= POSITIONS_MAX && kept.first() == Some(&0));
    assert_eq!(checkpoints.forgotten(), 0);
    // Those that are over went before those that are left.
    let left = kept.iter().filter(|inode| *inode % 2 == 1).count();
    assert!(left * 3 > kept.len() * 2, "{left} of {}", kept.len());
}

#[test]
fn positions_of_a_receiver_that_is_gone_do_not_push_out_followed_files() {
    let mut checkpoints = claimed();
    for inode in 0..=POSITIONS_MAX as u64 {
        checkpoints.apply("gone", &[position(inode, 1)]);
    }
    assert_eq!(inodes(&checkpoints, "a"), [0]);
    assert!(inodes(&checkpoints, "gone").len() < POSITIONS_MAX);
    assert_eq!(checkpoints.forgotten(), 0);
}

#[test]
fn many_long_paths_are_bounded_by_their_bytes() {
    let mut checkpoints = claimed();
    for inode in 0..20_000 {
        let path = format!("/var/log/{}{inode}", "long/".repeat(800));
        checkpoints.apply(
            "a",
            &[FilePosition {
                path,
                ..position(inode, 1)
            }],
        );
        assert!(checkpoints.size().1 <= POSITIONS_BYTES_MAX);
    }
    let state = checkpoints.encode();
    assert!(state.len() < vervet_journal::CURSOR_STATE_BYTES_MAX as usize);
    let kept = inodes(&checkpoints, "a");
    assert!(kept.len() > 5_000 && kept.last() == Some(&19_999));
}

#[test]
fn what_is_over_is_dropped_after_a_while_unless_it_comes_back() {
    let mut checkpoints = Checkpoints::default();
    let inodes_told: Vec<u64> = (1..=4).collect();
    for inode in &inodes_told {
        checkpoints.apply("a", &[position(*inode, 1)]);
    }
    let now = Instant::now();
    let over = |inode| ((1, inode), FileState::Over);
    checkpoints.told(
        "a",
        &[over(1), over(2), over(3), ((1, 4), FileState::Left)],
        now,
    );
    checkpoints.forget_over(now + OVER_KEPT / 2);
    assert_eq!(inodes(&checkpoints, "a"), inodes_told);
    // One is followed again, one is read on; told again it is not over for a shorter time.
    let later = now + OVER_KEPT / 2;
    checkpoints.told("a", &[((1, 2), FileState::Followed), over(1)], later);
    checkpoints.apply("a", &[position(3, 2)]);
    checkpoints.forget_over(now + OVER_KEPT);
    assert_eq!(inodes(&checkpoints, "a"), [2, 3, 4]);
    let read = Checkpoints::decode(checkpoints.encode()).expect("valid");
    assert_eq!(read.size(), checkpoints.size());
}

#[test]
fn a_receiver_that_starts_again_follows_its_files_until_it_tells_otherwise() {
    let mut checkpoints = Checkpoints::default();
    checkpoints.apply("a", &[position(1, 1)]);
    let now = Instant::now();
    checkpoints.told("a", &[((1, 1), FileState::Over)], now);
    assert_eq!(checkpoints.claim("a"), [position(1, 1)]);
    checkpoints.forget_over(now + OVER_KEPT);
    assert_eq!(inodes(&checkpoints, "a"), [1]);
}
