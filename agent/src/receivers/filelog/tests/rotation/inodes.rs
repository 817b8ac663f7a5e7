//! An inode that is given to other content, or whose content is replaced: what it holds then counts, not what it held.

use super::*;

/// Writes over the file, which keeps its inode, what another one holds, compressed; that one is removed.
fn gzip_over(from: &Path, to: &Path) {
    let inode = inode_of(to);
    gzip(from, to);
    assert_eq!(inode_of(to), inode);
}

fn inode_of(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).expect("metadata").ino()
}

async fn until_continued(running: &Running, count: u32) {
    let wanted = format!("vervet_agent_filelog_continued_total{{receiver=\"files\"}} {count}");
    running.until_metric(&wanted).await;
}

/// The inode of a file that was read and deleted is given to the compressed form of another one, half written when the
/// agent starts.
#[tokio::test]
async fn a_compressed_file_that_is_not_whole_and_has_the_inode_of_another_is_not_read_again() {
    let (_directory, path) = directory();
    let (other, plain) = (beside(&path, "app.log.1"), beside(&path, "app.log.2"));
    append(&other, numbered(0..100));
    append(&plain, numbered(100..600));
    let mut running = start(spec(&all_of(&path)), Vec::new());
    running.until_count(600).await;
    let (_, mut positions) = running.stop().await;
    let bytes = zstd::encode_all(&fs::read(&plain).expect("read")[..], 1).expect("compressed");
    let growing = beside(&path, "app.log.2.zst");
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    append(&growing, first);
    fs::remove_file(&plain).expect("removed");
    let (reused, inode) = (inode_of(&other), inode_of(&growing));
    fs::remove_file(&other).expect("removed");
    for position in positions
        .iter_mut()
        .filter(|position| position.inode == reused)
    {
        position.inode = inode;
    }
    let mut running = start(spec(&all_of(&path)), positions);
    append(&path, numbered(600..601));
    running.until_count(1).await;
    append(&growing, rest);
    append(&path, numbered(601..602));
    running.until(|seen| numbers(seen).contains(&601)).await;
    let mut went_on = tokio::time::interval(std::time::Duration::from_millis(10));
    let waiting = async {
        while !running.metric("vervet_agent_filelog_continued_total{receiver=\"files\"} 1") {
            went_on.tick().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, waiting).await;
    waited.expect("its content is known");
    let (seen, _) = running.stop().await;
    assert_eq!(sorted(&seen), [600, 601]);
}

#[tokio::test]
async fn a_compressed_file_written_over_another_goes_on_where_its_content_was_left() {
    for (is_closed, is_renamed) in [(false, false), (true, false), (true, true)] {
        let (_directory, path) = directory();
        let (first, last) = (beside(&path, "app.log.1.gz"), beside(&path, "app.log.2.gz"));
        append(&beside(&path, "app.log.1"), numbered(0..5));
        gzip(&beside(&path, "app.log.1"), &last);
        append(&path, numbered(5..2_000));
        let mut running = start(spec(&all_of(&path)), Vec::new());
        running.until_count(2_000).await;
        let mut seen = Vec::new();
        if is_closed {
            // What is known and idle is not opened.
            let (first, positions) = running.stop().await;
            seen = first;
            running = start(spec(&all_of(&path)), positions);
            append(&path, numbered(2_000..2_001));
            running.until_count(1).await;
        }
        append(&path, numbered(2_001..2_100));
        let rotated = beside(&path, "app.log.1");
        fs::rename(&path, &rotated).expect("renamed");
        gzip_over(&rotated, &last);
        if is_renamed {
            fs::rename(&last, &first).expect("renamed");
        }
        append(&path, numbered(2_100..2_200));
        running.until(|seen| numbers(seen).contains(&2_199)).await;
        until_continued(&running, 1).await;
        append(&path, numbered(2_200..2_201));
        running.until(|seen| numbers(seen).contains(&2_200)).await;
        let (more, _) = running.stop().await;
        seen.extend(more);
        let mut expected: Vec<_> = (0..2_201).collect();
        if !is_closed {
            expected.remove(2_000);
        }
        assert_eq!(sorted(&seen), expected, "{is_closed} {is_renamed}");
    }
}

#[tokio::test]
async fn a_plain_file_that_has_the_inode_of_a_compressed_one_is_read() {
    for is_closed in [false, true] {
        let (_directory, path) = directory();
        let other = beside(&path, "app.log.1.gz");
        append(&path, numbered(0..100));
        gzip(&path, &other);
        let mut running = start(spec(&all_of(&path)), Vec::new());
        running.until_count(100).await;
        if is_closed {
            let (_, positions) = running.stop().await;
            running = start(spec(&all_of(&path)), positions);
            append(&beside(&path, "app.log.2"), numbered(100..101));
            running.until_count(1).await;
        }
        let before = running.seen.len();
        let inode = inode_of(&other);
        fs::write(&other, numbered(101..400)).expect("written");
        fs::rename(&other, &path).expect("renamed");
        assert_eq!(inode_of(&path), inode);
        running.until_count(before + 299).await;
        append(&path, numbered(400..401));
        running.until_count(before + 300).await;
        let (seen, _) = running.stop().await;
        let got = numbers(&seen[before..]);
        assert_eq!(got, (101..401).collect::<Vec<_>>(), "{is_closed}");
    }
}

/// `cp app.log app.log.1; : > app.log`, again and again: the copy keeps its inode.
#[tokio::test]
async fn a_copy_written_over_the_one_before_is_not_read_again() {
    let (_directory, path) = directory();
    let copy = beside(&path, "app.log.1");
    let mut running = start(spec(&all_of(&path)), Vec::new());
    for round in 0..6_usize {
        // The copy is longer than the one before, or shorter.
        let lines = 200 + 100 * (round % 3);
        append(&path, numbered(round * 1_000..round * 1_000 + lines));
        running
            .until(|seen| numbers(seen).contains(&(round * 1_000 + lines - 1)))
            .await;
        let inode = copy.exists().then(|| inode_of(&copy));
        copy_and_truncate(&path, &copy);
        assert!(inode.is_none_or(|inode| inode == inode_of(&copy)));
    }
    append(&path, numbered(9_000..9_001));
    running.until(|seen| numbers(seen).contains(&9_000)).await;
    until_continued(&running, 6).await;
    let (seen, _) = running.stop().await;
    let rounds = (0..6).flat_map(|round| {
        let first = round * 1_000;
        first..first + 200 + 100 * (round % 3)
    });
    assert_eq!(sorted(&seen), rounds.chain([9_000]).collect::<Vec<_>>());
}

/// A file that is gone and whose inode waits for the next one: the kernel gives it when it likes.
struct Freed(PathBuf);

impl Freed {
    fn of(path: &Path, keep: &Path) -> Self {
        let kept = keep.join("freed");
        fs::hard_link(path, &kept).expect("linked");
        fs::remove_file(path).expect("removed");
        Self(kept)
    }

    fn give_to(self, path: &Path) {
        let inode = inode_of(&self.0);
        fs::rename(self.0, path).expect("renamed");
        assert_eq!(inode_of(path), inode);
    }
}

fn services(seen: &[Seen]) -> Vec<(&str, &str)> {
    seen.iter()
        .map(|seen| (seen.service.as_str(), seen.body.as_str()))
        .collect()
}

const OTHERS: usize = 40;

#[tokio::test]
async fn an_empty_file_gives_its_name_and_pod_to_no_other() {
    for way in ["at once", "later", "after a restart"] {
        let (keep, (directory, _)) = (tempfile::tempdir().expect("folder"), directory());
        let pods = directory.path().join("pods");
        let log = |pod: &str| pods.join(format!("shop_web_uid-{pod}/{pod}/0.log"));
        for pod in ["one", "two"] {
            fs::create_dir_all(log(pod).parent().expect("parent")).expect("created");
        }
        append(&log("one"), "");
        let roots = vec![pods.to_string_lossy().into_owned()];
        let spec = FilelogSpec {
            pod_roots: PodRoots::try_from(roots).expect("valid"),
            ..spec(&pods.join("*/*/*.log"))
        };
        let mut running = start(spec.clone(), Vec::new());
        running
            .until_metric("vervet_agent_filelog_files{receiver=\"files\"} 1")
            .await;
        // So many that it does not keep its descriptor: what has one keeps its inode.
        let others = pods.join("shop_web_uid-others/others");
        fs::create_dir_all(&others).expect("created");
        (0..OTHERS).for_each(|other| append(&others.join(format!("{other}.log")), ""));
        let followed = |files| format!("vervet_agent_filelog_files{{receiver=\"files\"}} {files}");
        running.until_metric(&followed(OTHERS + 1)).await;
        let inode = inode_of(&log("one"));
        let freed = Freed::of(&log("one"), keep.path());
        if way == "later" {
            running.until_metric(&followed(OTHERS)).await;
        }
        if way == "after a restart" {
            let (_, positions) = running.stop().await;
            assert_eq!(positions, []);
            use std::os::unix::fs::MetadataExt;
            let empty = FilePosition {
                path: log("one").to_string_lossy().into_owned(),
                device: fs::metadata(&pods).expect("metadata").dev(),
                inode,
                ..FilePosition::default()
            };
            running = start(spec, vec![empty]);
        }
        freed.give_to(&log("two"));
        append(&log("two"), "of the second\n");
        running.until_count(1).await;
        assert_eq!(services(&running.seen), [("two", "of the second")], "{way}");
        running.stop().await;
    }
}

#[tokio::test]
async fn a_file_that_begins_as_a_short_one_before_it_is_read_under_its_own_name() {
    let (keep, (directory, _)) = (tempfile::tempdir().expect("folder"), directory());
    let (first, second) = (
        directory.path().join("job-a.log"),
        directory.path().join("job-b.log"),
    );
    let all = directory.path().join("*.log");
    append(&first, "start\n");
    let mut running = start(spec(&all), Vec::new());
    running.until_count(1).await;
    let (_, positions) = running.stop().await;
    let freed = Freed::of(&first, keep.path());
    append(&freed.0, "work of b\n");
    freed.give_to(&second);
    let mut running = start(spec(&all), positions);
    running.until_count(2).await;
    let expected = [("job-b", "start"), ("job-b", "work of b")];
    assert_eq!(services(&running.seen), expected);
    let (_, positions) = running.stop().await;
    // Renamed as rotation does it, it is the same one, short as it is.
    append(&second, "more of b\n");
    fs::rename(&second, directory.path().join("job-b.log.1")).expect("renamed");
    let mut running = start(spec(&directory.path().join("*.log*")), positions);
    running.until_count(1).await;
    assert_eq!(services(&running.seen), [("job-b", "more of b")]);
    running.stop().await;
}
