use bytes::Bytes;
use vervet_wire::compress::Compressor;
use vervet_wire::otlp::{LogRecord, Resource, Scope, Value, write_resource_logs};

use super::*;
use crate::exporters::retry::Verdict;

fn config(dir: &Path, format: FileFormat) -> FileExporterConfig {
    FileExporterConfig {
        path: dir.join("out"),
        format,
        rotate_bytes: 100,
        files_max: 3,
    }
}

fn request(texts: &[&str]) -> Packed {
    let mut body = Vec::new();
    write_resource_logs(&mut body, &Resource::default(), &Scope::default(), |w| {
        for text in texts {
            w.push(&LogRecord {
                body: Value::from(*text),
                ..LogRecord::default()
            });
        }
    });
    Compressor::none().pack(&body.into())
}

fn text(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).expect("readable")
}

#[tokio::test]
async fn files_rotate_at_their_size_and_only_so_many_are_kept() {
    let dir = tempfile::tempdir().expect("folder");
    let config = config(dir.path(), FileFormat::Text);
    let sender = FileSender::new(config.clone());
    let line = |number: usize| format!("{number:059}");
    for number in 0..7 {
        let request = request(&[&line(number)]);
        sender.send(Signal::Logs, &request).await.expect("written");
    }
    for (file, number) in [("out", 6), ("out.1", 5), ("out.2", 4)] {
        assert_eq!(text(dir.path().join(file)), line(number) + "\n");
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("folder").count(), 3);
}

#[tokio::test]
async fn a_line_without_its_end_is_cut_and_a_file_that_was_moved_is_made_again() {
    let dir = tempfile::tempdir().expect("folder");
    let config = config(dir.path(), FileFormat::Text);
    std::fs::write(&config.path, "whole\nhal").expect("written");
    let sender = FileSender::new(config.clone());
    sender
        .send(Signal::Logs, &request(&["a\nb", "c"]))
        .await
        .expect("written");
    assert_eq!(text(&config.path), "whole\na\\nb\nc\n");
    std::fs::rename(&config.path, dir.path().join("moved")).expect("moved");
    sender
        .send(Signal::Logs, &request(&["d"]))
        .await
        .expect("written");
    assert_eq!(text(&config.path), "d\n");
}

#[tokio::test]
async fn json_lines_are_otlp_that_can_be_read_back() {
    let dir = tempfile::tempdir().expect("folder");
    let config = config(dir.path(), FileFormat::OtlpJson);
    let sender = FileSender::new(config.clone());
    let sent = request(&["one", "two"]);
    sender.send(Signal::Logs, &sent).await.expect("written");
    let line = text(&config.path);
    let read: ExportLogsServiceRequest = serde_json::from_str(line.trim_end()).expect("JSON");
    let whole = ExportLogsServiceRequest::decode(&sent.bytes()[..]).expect("valid");
    assert_eq!(read, whole);
}

#[tokio::test]
async fn what_cannot_be_written_is_tried_again_and_what_cannot_be_read_is_refused() {
    let dir = tempfile::tempdir().expect("folder");
    let mut config = config(dir.path(), FileFormat::Text);
    config.path = dir.path().join("none/out");
    let sender = FileSender::new(config);
    let failure = sender
        .send(Signal::Logs, &request(&["a"]))
        .await
        .expect_err("no folder");
    assert_eq!(failure.verdict, Verdict::Retry { after: None });
    std::fs::create_dir(dir.path().join("none")).expect("made");
    sender
        .send(Signal::Logs, &request(&["a"]))
        .await
        .expect("written");
    let broken = Compressor::none().pack(&Bytes::from_static(b"\x0a\xff"));
    let failure = sender
        .send(Signal::Logs, &broken)
        .await
        .expect_err("malformed");
    assert_eq!(failure.verdict, Verdict::Rejected);
    let second = FileSender::new(FileExporterConfig {
        path: dir.path().join("none/out"),
        ..sender.config.clone()
    });
    let failure = second
        .send(Signal::Logs, &request(&["b"]))
        .await
        .expect_err("locked");
    assert_eq!(failure.verdict, Verdict::Retry { after: None });
}
