//! A container's log that is rotated between the pieces of a line.

use super::*;

const STAMP: &str = "2024-01-02T03:04:05.1Z";

/// A container's log, the name it is rotated to, and how it is read.
fn container(rotated: &str) -> (tempfile::TempDir, PathBuf, FilelogSpec) {
    let (directory, _) = directory();
    let pods = directory.path().join("pods");
    let path = pods.join("shop_web_uid-1/next/0.log");
    fs::create_dir_all(path.parent().expect("parent")).expect("created");
    let roots = vec![pods.to_string_lossy().into_owned()];
    let spec = FilelogSpec {
        pod_roots: PodRoots::try_from(roots).expect("valid"),
        ..spec(&pods.join(format!("*/*/{rotated}")))
    };
    (directory, path, spec)
}

fn write_to(path: &Path, lines: &[&str]) {
    let lines: String = lines
        .iter()
        .map(|line| format!("{STAMP} {line}\n"))
        .collect();
    append(path, lines);
}

fn rotate(path: &Path) {
    fs::rename(path, beside(path, "0.log.20261128-203000")).expect("renamed");
}

#[tokio::test]
async fn a_line_in_pieces_is_joined_across_a_rotation() {
    // The globs name the rotated file, or not.
    for glob in ["*.log", "*.log*"] {
        let (_directory, path, spec) = container(glob);
        write_to(
            &path,
            &["stdout F before", "stdout P 4111 1111 ", "stderr F between"],
        );
        let mut running = start(spec.clone(), Vec::new());
        running.until_count(1).await;
        rotate(&path);
        write_to(
            &path,
            &[
                "stderr F other",
                "stdout P 1111 ",
                "stdout F 1111",
                "stdout F next",
            ],
        );
        running.until_count(5).await;
        let expected = ["before", "4111 1111 1111 1111", "between", "other", "next"];
        assert_eq!(running.bodies(), expected, "{glob}");
        assert_eq!(running.seen[1].stream, "stdout");
        let (_, positions) = running.stop().await;
        // Both are read to their ends.
        write_to(&path, &["stdout F after"]);
        let mut running = start(spec, positions);
        running.until_count(1).await;
        assert_eq!(running.bodies(), ["after"], "{glob}");
        running.stop().await;
    }
}

#[tokio::test]
async fn a_line_in_pieces_is_joined_across_a_rotation_while_the_agent_is_down() {
    for glob in ["*.log", "*.log*"] {
        let (_directory, path, spec) = container(glob);
        write_to(&path, &["stdout F before", "stdout P the first half, "]);
        let mut running = start(spec.clone(), Vec::new());
        running.until_count(1).await;
        let (_, positions) = running.stop().await;
        write_to(&path, &["stdout P in two pieces, "]);
        rotate(&path);
        write_to(&path, &["stdout F the second", "stdout F next"]);
        let mut running = start(spec, positions);
        running.until_count(2).await;
        let expected = ["the first half, in two pieces, the second", "next"];
        assert_eq!(running.bodies(), expected, "{glob}");
        running.stop().await;
    }
}

/// The agent dies when both files have been read and nothing of the joined line is stored.
#[tokio::test]
async fn a_crash_between_the_pieces_of_two_files_neither_loses_nor_doubles() {
    let (_directory, path, spec) = container("*.log");
    write_to(&path, &["stdout F before", "stdout P the first half, "]);
    let mut running = start(spec.clone(), Vec::new());
    running.until_count(1).await;
    let positions = running.positions.clone();
    rotate(&path);
    write_to(&path, &["stderr F other", "stdout P the second, "]);
    let bytes = fs::metadata(&path).expect("metadata").len();
    let known = fs::metadata(beside(&path, "0.log.20261128-203000")).expect("metadata");
    let all = format!(
        "vervet_agent_filelog_bytes_total{{receiver=\"files\"}} {}",
        bytes + known.len()
    );
    running.until_metric(&all).await;
    running.shutdown.cancel();
    drop(running);
    write_to(&path, &["stdout F the third", "stdout F next"]);
    let mut running = start(spec.clone(), positions);
    running.until_count(3).await;
    let expected = ["the first half, the second, the third", "other", "next"];
    assert_eq!(running.bodies(), expected);
    // Once they are stored, neither is read again.
    let (_, positions) = running.stop().await;
    write_to(&path, &["stdout F after"]);
    let mut running = start(spec, positions);
    running.until_count(1).await;
    assert_eq!(running.bodies(), ["after"]);
    running.stop().await;
}

/// The runtime writes to the old file until it opens the new one.
#[tokio::test]
async fn a_rest_that_is_still_in_the_renamed_file_is_joined_there() {
    let (_directory, path, spec) = container("*.log");
    write_to(&path, &["stdout F before", "stdout P the first half, "]);
    let mut running = start(spec, Vec::new());
    running.until_count(1).await;
    let file = OpenOptions::new().append(true).open(&path);
    let mut file = file.expect("opened");
    rotate(&path);
    append(&path, "");
    running
        .until_metric("vervet_agent_filelog_files{receiver=\"files\"} 2")
        .await;
    writeln!(file, "{STAMP} stdout F the second").expect("written");
    write_to(&path, &["stdout F next"]);
    running.until_count(3).await;
    let expected = ["before", "the first half, the second", "next"];
    assert_eq!(running.bodies(), expected);
    running.stop().await;
}

/// What comes next is another line: with the pieces it had, the first one goes after its time.
#[tokio::test]
async fn pieces_whose_rest_does_not_come_are_read_once() {
    let (_directory, path, spec) = container("*.log");
    write_to(&path, &["stdout F before", "stdout P no more"]);
    let mut running = start(spec, Vec::new());
    running.until_count(1).await;
    rotate(&path);
    write_to(&path, &["stderr F other"]);
    running.until_count(3).await;
    assert_eq!(running.bodies(), ["before", "no more", "other"]);
    write_to(&path, &["stdout F next"]);
    running.until_count(4).await;
    assert_eq!(running.bodies()[3], "next");
    running.stop().await;
}

/// The agent is killed or stopped again and again, before and after it has read what stands on both sides of a rotation.
#[tokio::test]
async fn lines_in_pieces_come_once_whatever_is_rotated_and_killed() {
    const ROUNDS: usize = 12;
    for glob in ["*.log", "*.log*"] {
        let (_directory, path, spec) = container(glob);
        let (mut seen, mut positions, mut written) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let mut running = start(spec.clone(), std::mem::take(&mut positions));
            let body = |what: &str| format!("{what} {round}");
            let (first, torn, last) = (body("first"), body("torn, its rest"), body("last"));
            let (between, after) = (body("between"), body("after"));
            // So that the file has been read under its own name.
            write_to(&path, &[&format!("stdout F {first}")]);
            running
                .until(|seen| seen.iter().any(|seen| seen.body == first))
                .await;
            write_to(&path, &["stdout P torn, ", &format!("stderr F {between}")]);
            if round % 4 == 1 {
                running.shutdown.cancel();
            }
            fs::rename(&path, beside(&path, &format!("0.log.{round}"))).expect("renamed");
            write_to(&path, &[&format!("stderr F {after}"), "stdout P its "]);
            if round % 4 == 2 {
                running
                    .until_metric("vervet_agent_filelog_behind_bytes{receiver=\"files\"} 0")
                    .await;
                running.shutdown.cancel();
            }
            write_to(
                &path,
                &[
                    &format!("stdout F rest {round}"),
                    &format!("stdout F {last}"),
                ],
            );
            if round % 4 == 0 {
                running
                    .until(|seen| seen.iter().any(|seen| seen.body == last))
                    .await;
            }
            written.extend([first, torn, last, between, after]);
            match round % 3 {
                // What has not been taken was not stored.
                0 => {
                    seen.append(&mut running.seen);
                    positions.append(&mut running.positions);
                    running.shutdown.cancel();
                }
                _ => {
                    let (more, at) = running.stop().await;
                    seen.extend(more);
                    positions = at;
                }
            }
        }
        write_to(&path, &["stdout F the end"]);
        written.push("the end".to_owned());
        let mut running = start(spec, positions);
        running.until_count(written.len() - seen.len()).await;
        let (more, _) = running.stop().await;
        seen.extend(more);
        let mut seen: Vec<_> = seen.into_iter().map(|seen| seen.body).collect();
        seen.sort();
        written.sort();
        assert_eq!(seen, written, "{glob}");
    }
}
