//! Every way in which files are rotated: nothing lost, nothing twice.

use std::os::unix::fs::symlink;

use super::*;
use crate::pipeline::SOURCE_BATCHES_MAX;

mod copies;
mod inodes;
mod pieces;

/// A pattern that names the rotated files, too.
fn all_of(path: &Path) -> PathBuf {
    let mut pattern = path.as_os_str().to_owned();
    pattern.push("*");
    PathBuf::from(pattern)
}

fn sorted(seen: &[Seen]) -> Vec<usize> {
    let mut got = numbers(seen);
    got.sort_unstable();
    got
}

/// As `logrotate` does with `copytruncate`.
fn copy_and_truncate(path: &Path, copy: &Path) {
    fs::copy(path, copy).expect("copied");
    truncate(path);
}

fn truncate(path: &Path) {
    OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)
        .expect("truncated");
}

fn gzip(from: &Path, to: &Path) {
    write_gzip(from, to);
    keep_time(from, to);
    fs::remove_file(from).expect("removed");
}

fn zstd(from: &Path, to: &Path) {
    let bytes = zstd::encode_all(&fs::read(from).expect("read")[..], 1).expect("compressed");
    fs::write(to, bytes).expect("written");
    keep_time(from, to);
    fs::remove_file(from).expect("removed");
}

fn keep_time(from: &Path, to: &Path) {
    let modified = fs::metadata(from)
        .expect("metadata")
        .modified()
        .expect("time");
    File::options()
        .write(true)
        .open(to)
        .expect("opened")
        .set_modified(modified)
        .expect("set");
}

fn beside(path: &Path, name: &str) -> PathBuf {
    path.with_file_name(name)
}

#[tokio::test]
async fn a_copy_that_the_globs_name_is_not_read_again() {
    let (_directory, path) = directory();
    append(&path, numbered(0..500));
    let mut running = start(spec(&all_of(&path)), Vec::new());
    running.until_count(500).await;
    copy_and_truncate(&path, &beside(&path, "app.log.1"));
    append(&path, numbered(500..600));
    running.until_count(600).await;
    // Once more, with a restart behind it.
    fs::rename(beside(&path, "app.log.1"), beside(&path, "app.log.2")).expect("renamed");
    copy_and_truncate(&path, &beside(&path, "app.log.1"));
    append(&path, numbered(600..700));
    running.until_count(700).await;
    let (mut seen, positions) = running.stop().await;
    append(&path, numbered(700..710));
    let mut running = start(spec(&all_of(&path)), positions);
    running.until_count(10).await;
    seen.extend(running.stop().await.0);
    assert_eq!(sorted(&seen), (0..710).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_copy_gives_what_was_not_read_before_the_cut() {
    let (_directory, path) = directory();
    append(&path, numbered(0..500));
    let mut running = start(spec(&path), Vec::new());
    running.until_count(500).await;
    let (mut seen, positions) = running.stop().await;
    // While nobody reads: more is written, copied to a name no glob knows, and cut; the file grows beyond its
    // former size and its first line is the same.
    append(&path, numbered(500..600));
    copy_and_truncate(&path, &beside(&path, "app.log.1"));
    append(&path, numbered(0..1));
    append(&path, numbered(600..2_000));
    let mut running = start(spec(&path), positions);
    running.until_count(1_501).await;
    seen.extend(running.stop().await.0);
    let mut expected: Vec<_> = (0..2_000).collect();
    expected.insert(0, 0);
    assert_eq!(sorted(&seen), expected);
}

#[tokio::test]
async fn a_copy_that_ends_before_what_was_read_is_not_read_again() {
    for copies_are_named in [true, false] {
        let (_directory, path) = directory();
        let include = match copies_are_named {
            true => all_of(&path),
            false => path.clone(),
        };
        append(&path, numbered(0..500));
        let mut running = start(spec(&include), Vec::new());
        running.until_count(500).await;
        // The copy ends here; what follows is read before the cut, and the agent dies before it sees that.
        fs::copy(&path, beside(&path, "app.copy")).expect("copied");
        append(&path, numbered(500..520));
        running.until_count(520).await;
        let (_, positions) = running.stop().await;
        fs::rename(beside(&path, "app.copy"), beside(&path, "app.log.1")).expect("renamed");
        truncate(&path);
        append(&path, numbered(520..600));
        let mut running = start(spec(&include), positions);
        running.until_count(80).await;
        // Whatever would come of the copy comes before this.
        append(&path, numbered(600..601));
        running.until_count(81).await;
        let seen = running.stop().await.0;
        assert_eq!(sorted(&seen), (520..601).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_cut_is_noticed_although_the_file_has_grown_beyond() {
    let (_directory, path) = directory();
    append(&path, "the same first line\n");
    append(&path, numbered(0..100));
    let mut running = start(spec(&path), Vec::new());
    running.until_count(101).await;
    let longer = format!("the same first line\n{}", numbered(100..400));
    fs::write(&path, longer).expect("written anew");
    running.until_count(402).await;
    let (seen, _) = running.stop().await;
    let rest: Vec<_> = seen
        .into_iter()
        .filter(|seen| seen.body.starts_with("line "))
        .collect();
    assert_eq!(sorted(&rest), (0..400).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_file_compressed_while_it_is_read_continues() {
    for compress in [gzip as fn(&Path, &Path), zstd] {
        let (_directory, path) = directory();
        append(&path, numbered(0..20_000));
        let mut running = start(spec(&all_of(&path)), Vec::new());
        assert!(running.take().await);
        let rotated = beside(&path, "app.log.1");
        fs::rename(&path, &rotated).expect("renamed");
        append(&path, numbered(20_000..20_100));
        compress(&rotated, &beside(&path, "app.log.1.gz"));
        running.until_count(20_100).await;
        let (seen, _) = running.stop().await;
        assert_eq!(sorted(&seen), (0..20_100).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_file_compressed_while_nobody_reads_continues_at_its_place() {
    for (compress, end) in [(gzip as fn(&Path, &Path), "gz"), (zstd, "zst")] {
        for pattern in ["app.log", "app.log*"] {
            let (_directory, path) = directory();
            append(&path, numbered(0..5_000));
            let mut running = start(spec(&beside(&path, pattern)), Vec::new());
            running.until_count(5_000).await;
            let (mut seen, positions) = running.stop().await;
            append(&path, numbered(5_000..9_000));
            compress(&path, &beside(&path, &format!("app.log.1.{end}")));
            append(&path, numbered(9_000..9_100));
            let mut running = start(spec(&beside(&path, pattern)), positions);
            running.until_count(4_100).await;
            let (more, positions) = running.stop().await;
            seen.extend(more);
            // Read to its end, it is left alone after another restart.
            append(&path, numbered(9_100..9_200));
            let mut running = start(spec(&beside(&path, pattern)), positions);
            running.until_count(100).await;
            seen.extend(running.stop().await.0);
            assert_eq!(
                sorted(&seen),
                (0..9_200).collect::<Vec<_>>(),
                "{end} {pattern}"
            );
        }
    }
}

#[tokio::test]
async fn compressed_files_never_seen_before_are_read() {
    let (_directory, path) = directory();
    append(&path, numbered(0..3_000));
    gzip(&path, &beside(&path, "app.log.1.gz"));
    append(&path, numbered(3_000..3_010));
    let mut running = start(spec(&all_of(&path)), Vec::new());
    running.until_count(3_010).await;
    let (seen, _) = running.stop().await;
    assert_eq!(sorted(&seen), (0..3_010).collect::<Vec<_>>());
}

#[tokio::test]
async fn files_with_the_same_content_are_all_read() {
    let (directory, _) = directory();
    let names = ["a/app.log", "b/app.log", "a/worker-1.log", "a/worker-2.log"];
    for name in names {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("created");
        append(&path, numbered(0..300));
    }
    let mut running = start(spec(&directory.path().join("*/*.log")), Vec::new());
    running.until_count(1_200).await;
    // One more, under the name of one that is gone.
    fs::remove_file(directory.path().join(names[0])).expect("removed");
    append(&directory.path().join(names[0]), numbered(0..300));
    running.until_count(1_500).await;
    running.stop().await;
}

#[tokio::test]
async fn deletion_and_renaming_in_quick_succession_lose_nothing() {
    let (_directory, path) = directory();
    append(&path, numbered(0..100));
    let mut running = start(spec(&path), Vec::new());
    running.until_count(100).await;
    fs::rename(&path, beside(&path, "app.log.0")).expect("renamed");
    let writer = tokio::task::spawn_blocking({
        let path = path.clone();
        move || {
            for round in 1..60_usize {
                append(&path, numbered(round * 100..round * 100 + 100));
                fs::rename(&path, beside(&path, &format!("app.log.{round}"))).expect("renamed");
            }
        }
    });
    writer.await.expect("written");
    running.until_count(6_000).await;
    let (seen, _) = running.stop().await;
    assert_eq!(sorted(&seen), (0..6_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_link_that_is_switched_leads_to_the_next_file() {
    let (directory, _) = directory();
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    append(&one, numbered(0..10));
    append(&two, numbered(10..20));
    let links = directory.path().join("links");
    fs::create_dir(&links).expect("created");
    symlink(&one, links.join("app.log")).expect("linked");
    let root = directory.path().to_string_lossy().into_owned();
    let spec = FilelogSpec {
        link_roots: Some(vec![root]),
        ..spec(&links.join("*.log"))
    };
    let mut running = start(spec, Vec::new());
    running.until_count(10).await;
    symlink(&two, links.join("next")).expect("linked");
    fs::rename(links.join("next"), links.join("app.log")).expect("switched");
    running.until_count(20).await;
    let (seen, _) = running.stop().await;
    assert_eq!(sorted(&seen), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_link_out_of_the_watched_folders_is_not_followed() {
    let (directory, _) = directory();
    let logs = directory.path().join("logs");
    fs::create_dir_all(logs.join("inside")).expect("created");
    append(&directory.path().join("shadow"), numbered(50..60));
    append(&logs.join("inside/target"), numbered(10..20));
    symlink(directory.path().join("shadow"), logs.join("evil.log")).expect("linked");
    symlink("../shadow", logs.join("relative.log")).expect("linked");
    symlink(logs.join("inside/target"), logs.join("good.log")).expect("linked");
    append(&logs.join("app.log"), numbered(0..10));
    let mut running = start(spec(&logs.join("*.log")), Vec::new());
    running.until_count(20).await;
    // A link that was good is looked at again when it is switched.
    symlink(directory.path().join("shadow"), logs.join("next")).expect("linked");
    fs::rename(logs.join("next"), logs.join("good.log")).expect("switched");
    let refused = "vervet_agent_filelog_links_refused_total{receiver=\"files\"} 3";
    let waiting = async {
        while !running.metric(refused) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    waited.expect("three links are refused");
    append(&logs.join("app.log"), numbered(20..30));
    running.until_count(30).await;
    let (seen, _) = running.stop().await;
    assert_eq!(sorted(&seen), (0..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_cannot_be_read_harms_nobody() {
    let (directory, path) = directory();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        directory.path().join("pipe.log"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .expect("made");
    symlink("/dev/zero", directory.path().join("zero.log")).expect("linked");
    symlink("nowhere", directory.path().join("broken.log")).expect("linked");
    fs::write(
        directory.path().join("bad.log"),
        b"\x1f\x8b\x08 no gzip at all",
    )
    .expect("written");
    fs::create_dir(directory.path().join("folder.log")).expect("created");
    append(&path, numbered(0..10));
    let mut running = start(spec(&directory.path().join("*.log")), Vec::new());
    running.until_count(10).await;
    append(&path, numbered(10..20));
    running.until_count(20).await;
    assert!(running.metric("vervet_agent_filelog_open_errors_total{receiver=\"files\"} 1"));
    running.stop().await;
}

#[tokio::test]
async fn a_folder_that_vanishes_and_returns_is_followed_again() {
    let (directory, _) = directory();
    let folder = directory.path().join("logs");
    let path = folder.join("app.log");
    fs::create_dir(&folder).expect("created");
    append(&path, numbered(0..10));
    let mut running = start(spec(&folder.join("*.log")), Vec::new());
    running.until_count(10).await;
    fs::remove_dir_all(&folder).expect("removed");
    fs::create_dir(&folder).expect("created");
    append(&path, numbered(10..20));
    running.until_count(20).await;
    let (seen, _) = running.stop().await;
    assert_eq!(sorted(&seen), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn idle_files_give_their_descriptors_back() {
    let (directory, _) = directory();
    for file in 0..200 {
        append(
            &directory.path().join(format!("f{file}.log")),
            numbered(0..1),
        );
    }
    let mut running = start(spec(&directory.path().join("*.log")), Vec::new());
    running.until_count(200).await;
    running
        .until_metric("vervet_agent_filelog_open_files{receiver=\"files\"} 32")
        .await;
    for file in 0..200 {
        append(
            &directory.path().join(format!("f{file}.log")),
            numbered(1..2),
        );
    }
    running.until_count(400).await;
    running.stop().await;
}

#[tokio::test]
async fn a_start_at_the_end_is_remembered() {
    let (_directory, path) = directory();
    append(&path, numbered(0..10));
    let at_end = || FilelogSpec {
        start_at: StartAt::End,
        ..spec(&path)
    };
    let mut running = start(at_end(), Vec::new());
    // The place arrives although no line does.
    assert!(running.take().await);
    let (seen, positions) = running.stop().await;
    assert!(seen.is_empty());
    append(&path, numbered(10..20));
    let mut running = start(at_end(), positions);
    running.until_count(10).await;
    let (seen, _) = running.stop().await;
    assert_eq!(sorted(&seen), (10..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_compressed_copy_beside_its_unread_original_is_not_read_again() {
    let (_directory, path) = directory();
    let rotated = beside(&path, "app.log.1");
    append(&rotated, numbered(0..3_000));
    let kept = fs::read(&rotated).expect("read");
    gzip(&rotated, &beside(&path, "app.log.1.gz"));
    fs::write(&rotated, kept).expect("there again");
    append(&path, numbered(3_000..3_010));
    let mut running = start(spec(&all_of(&path)), Vec::new());
    running.until_count(3_010).await;
    fs::remove_file(&rotated).expect("removed");
    append(&path, numbered(3_010..3_020));
    running.until_count(3_020).await;
    let (seen, _) = running.stop().await;
    assert_eq!(sorted(&seen), (0..3_020).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_line_half_read_before_the_cut_comes_whole_from_the_copy() {
    let (_directory, path) = directory();
    append(&path, numbered(0..100));
    append(&path, "line 1");
    let mut running = start(spec(&all_of(&path)), Vec::new());
    running.until_count(100).await;
    append(&path, "00\n");
    append(&path, numbered(101..110));
    copy_and_truncate(&path, &beside(&path, "app.log.1"));
    append(&path, numbered(110..120));
    running.until_count(120).await;
    let (seen, _) = running.stop().await;
    assert_eq!(sorted(&seen), (0..120).collect::<Vec<_>>());
}

/// The receiver waits to hand over what it has read of another file, and knows that the file holds so much. (Were it
/// read nevertheless, in the moment before the receiver waits, that would be no failure.)
async fn until_known(running: &Running, path: &Path, bytes: usize) {
    let waiting = async {
        let is_known = || {
            let status = running.metrics.filelog.progress.snapshot();
            let mut files = status.files.iter();
            let file = files.find(|file| Path::new(&file.path) == path);
            file.is_some_and(|file| file.behind_bytes == bytes as u64 || file.offset > 0)
        };
        while !is_known() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, waiting).await;
    waited.expect("the bytes that wait are told");
}

async fn until_cuts(running: &Running, cuts: u32) {
    let wanted = format!("vervet_agent_filelog_truncations_total{{receiver=\"files\"}} {cuts}");
    running.until_metric(&wanted).await;
}

/// A receiver that waits to hand over more than is taken of another file.
async fn start_waiting(path: &Path, copies_are_named: bool) -> Running {
    let filler = format!("filler {}\n", "x".repeat(1_000));
    append(&beside(path, "first.txt"), filler.repeat(6_000));
    let mut spec = spec(&beside(path, "*.txt"));
    let named = match copies_are_named {
        true => all_of(path),
        false => path.to_owned(),
    };
    spec.include.push(named.to_string_lossy().into_owned());
    let running = start(spec, Vec::new());
    let waiting = async {
        while running.queue.ordinary.len() < SOURCE_BATCHES_MAX {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, waiting).await;
    waited.expect("the queue fills");
    running
}

/// What has been seen but the filler, once it is so much.
async fn take_lines(mut running: Running, count: usize) -> Vec<usize> {
    let is_line = |seen: &&Seen| seen.body.starts_with("line ");
    running
        .until(|seen| seen.iter().filter(is_line).count() >= count)
        .await;
    let (mut seen, _) = running.stop().await;
    seen.retain(|seen| is_line(&seen));
    sorted(&seen)
}

#[tokio::test]
async fn a_copy_gives_all_of_a_file_that_was_cut_before_it_was_read() {
    for (copies_are_named, is_seen_empty) in
        [(false, true), (false, false), (true, true), (true, false)]
    {
        let (_directory, path) = directory();
        let running = start_waiting(&path, copies_are_named).await;
        let text = numbered(0..4_000);
        append(&path, &text);
        until_known(&running, &path, text.len()).await;
        copy_and_truncate(&path, &beside(&path, "app.log.1"));
        if is_seen_empty {
            until_cuts(&running, 1).await;
        }
        append(&path, numbered(4_000..5_000));
        let got = take_lines(running, 5_000).await;
        let expected: Vec<_> = (0..5_000).collect();
        assert_eq!(got, expected, "{copies_are_named} {is_seen_empty}");
    }
}

#[tokio::test]
async fn cuts_of_unread_files_that_begin_the_same_lose_nothing() {
    let (_directory, path) = directory();
    let running = start_waiting(&path, false).await;
    let header = "line 0\n".repeat(200);
    for round in 0..3_u32 {
        // Of another length each time, so that each is waited for.
        let (first, lines) = (round as usize * 100 + 1, 98 + round as usize);
        let text = format!("{header}{}", numbered(first..first + lines));
        append(&path, &text);
        until_known(&running, &path, text.len()).await;
        copy_and_truncate(&path, &beside(&path, &format!("app.log.{}", 3 - round)));
        until_cuts(&running, round + 1).await;
    }
    append(&path, numbered(301..302));
    let headers = std::iter::repeat_n(0, 600);
    let numbers = (1..99).chain(101..200).chain(201..302);
    let expected: Vec<usize> = headers.chain(numbers).collect();
    assert_eq!(take_lines(running, expected.len()).await, expected);
}

#[tokio::test]
async fn a_stop_tells_what_it_loses_of_a_deleted_file() {
    let (_directory, path) = directory();
    let mut running = start_waiting(&path, false).await;
    let text = numbered(0..1_000);
    append(&path, &text);
    until_known(&running, &path, text.len()).await;
    fs::remove_file(&path).expect("removed");
    let waiting = async {
        let progress = &running.metrics.filelog.progress;
        while progress.warnings()
            != ["receiver files: a stop now would lose 8.7 KiB of deleted files, not read yet"]
        {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, waiting).await;
    waited.expect("the danger is told");
    // The queue stays full, so that nothing more can be handed over.
    running.shutdown.cancel();
    (&mut running.task).await.expect("ended");
    let labels = "receiver=\"files\",reason=\"deleted_at_stop\"";
    let lost = text.len();
    assert!(running.metric(&format!(
        "vervet_agent_filelog_lost_bytes_total{{{labels}}} {lost}"
    )));
}
