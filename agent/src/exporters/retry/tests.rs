use tonic::metadata::MetadataMap;
use vervet_wire::protobuf::Writer;

use super::*;

const RETRY: Verdict = Verdict::Retry { after: None };

fn after(millis: u64) -> Verdict {
    Verdict::Retry {
        after: Some(Duration::from_millis(millis)),
    }
}

#[test]
fn the_longest_pause_doubles_up_to_the_limit_and_none_is_shorter_than_asked() {
    let millis = Duration::from_millis;
    let mut backoff = Backoff::new(millis(100), millis(300));
    for longest in [100, 200, 300, 300] {
        assert!(backoff.next(None) <= millis(longest));
    }
    assert_eq!(backoff.next(Some(millis(5_000))), millis(5_000));
}

#[test]
fn only_answers_about_the_request_reject_it() {
    let judge = |code| judge_grpc(&Status::new(code, "")).verdict;
    assert_eq!(judge(Code::InvalidArgument), Verdict::Rejected);
    assert_eq!(judge(Code::ResourceExhausted), Verdict::Rejected);
    for code in [
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::Unimplemented,
        Code::Unknown,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
    ] {
        assert_eq!(judge(code), RETRY, "{code:?}");
    }
    let http = |status| {
        let status = StatusCode::from_u16(status).expect("a status");
        judge_http(status, &HeaderMap::new(), "", UnixNanos(0)).verdict
    };
    for status in 300..600 {
        let expected = match [400, 413, 422].contains(&status) {
            true => Verdict::Rejected,
            false => RETRY,
        };
        assert_eq!(http(status), expected, "{status}");
    }
}

#[test]
fn web_pages_and_ports_that_want_tls_do_not_judge_a_request() {
    let judge = |status: u16, kind: Option<&str>, body: &str| {
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert("content-type", kind.parse().expect("a value"));
        }
        let status = StatusCode::from_u16(status).expect("a status");
        judge_http(status, &headers, body, UnixNanos(0)).verdict
    };
    let page =
        "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>";
    for status in [400, 422] {
        assert_eq!(judge(status, Some("text/html; charset=utf-8"), ""), RETRY);
        assert_eq!(judge(status, Some("Text/HTML"), page), RETRY);
        assert_eq!(judge(status, None, page), RETRY);
        assert_eq!(judge(status, None, "\n<!DOCTYPE html>"), RETRY);
        let json = Some("application/json");
        assert_eq!(judge(status, json, "{}"), Verdict::Rejected);
        assert_eq!(judge(status, None, "<htm"), Verdict::Rejected);
    }
    let go = "Client sent an HTTP request to an HTTPS server.\n";
    assert_eq!(judge(400, None, go), RETRY);
    let too_large = "<html><head><title>413 Request Entity Too Large</title></head>";
    assert_eq!(judge(413, Some("text/html"), too_large), Verdict::Rejected);
}

#[test]
fn what_is_too_large_for_a_grpc_destination_is_taken_apart() {
    let judge = |code, message: &str| judge_grpc(&Status::new(code, message)).verdict;
    let tonic =
        "Error, decoded message length too large: found 5242885 bytes, the limit is: 4194304 bytes";
    assert_eq!(judge(Code::OutOfRange, tonic), Verdict::Rejected);
    let go = "grpc: received message larger than max (5242885 vs. 4194304)";
    assert_eq!(judge(Code::ResourceExhausted, go), Verdict::Rejected);
    assert_eq!(judge(Code::OutOfRange, "past the end of the log"), RETRY);
    let proxy = "grpc-status header missing, mapped from HTTP status code 413";
    assert_eq!(judge(Code::Unknown, proxy), Verdict::Rejected);
    let other = "grpc-status header missing, mapped from HTTP status code 502";
    assert_eq!(judge(Code::Unknown, other), RETRY);
    let mut busy = Status::out_of_range(tonic);
    busy.metadata_mut().insert(PUSHBACK_KEY, 1_500.into());
    assert_eq!(judge_grpc(&busy).verdict, after(1_500));
}

#[test]
fn a_grpc_destination_asks_for_a_pause_by_either_way() {
    let mut busy = Status::resource_exhausted("");
    busy.metadata_mut().insert(PUSHBACK_KEY, 1_500.into());
    assert_eq!(judge_grpc(&busy).verdict, after(1_500));
    busy.metadata_mut().insert(PUSHBACK_KEY, 9_000_000.into());
    assert_eq!(judge_grpc(&busy).verdict, after(60_000), "capped");
    busy.metadata_mut().insert(PUSHBACK_KEY, (-1).into());
    assert_eq!(judge_grpc(&busy).verdict, Verdict::Rejected);

    let mut details = Vec::new();
    Writer::new(&mut details).message(3, |any| {
        any.string(1, "type.googleapis.com/google.rpc.DebugInfo");
        any.string(2, "\u{8}");
    });
    Writer::new(&mut details).message(3, |any| {
        any.bytes(1, RETRY_INFO_TYPE);
        any.message(2, |info| {
            info.message(1, |delay| {
                delay.varint(1, 2);
                delay.varint(2, 500_000_000);
            });
        });
    });
    let asked = |details: &[u8]| {
        let details = details.to_vec().into();
        let code = Code::ResourceExhausted;
        judge_grpc(&Status::with_details_and_metadata(
            code,
            "",
            details,
            MetadataMap::new(),
        ))
        .verdict
    };
    assert_eq!(asked(&details), after(2_500));
    for end in 0..details.len() {
        let cut = asked(&details[..end]);
        assert!(
            cut == Verdict::Rejected || cut == after(2_500) || cut == after(2_000),
            "{cut:?}"
        );
    }
}

#[test]
fn an_http_destination_asks_in_seconds_or_by_date() {
    let now = UnixNanos(784_111_777 * 1_000_000_000);
    let asked = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", text.parse().expect("a value"));
        judge_http(StatusCode::TOO_MANY_REQUESTS, &headers, "", now).verdict
    };
    assert_eq!(asked("7"), after(7_000));
    assert_eq!(asked("100000"), after(60_000), "capped");
    assert_eq!(asked("Sun, 06 Nov 1994 08:49:47 GMT"), after(10_000));
    assert_eq!(asked("Sun, 06 Nov 1994 08:49:27 GMT"), after(0), "over");
    for far in [
        "99999999999999999999999",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 01 Jan 2300 00:00:00 GMT",
    ] {
        assert_eq!(asked(far), after(60_000), "{far}");
    }
    for nonsense in ["", "soon", "-1", "+1", "1.5", "9e9"] {
        assert_eq!(asked(nonsense), RETRY, "{nonsense}");
    }
}

#[test]
fn foreign_messages_are_cut_and_cleaned() {
    let message = format!("a\n\u{1b}[31m{}", "ü".repeat(1_000));
    let failure = judge_http(
        StatusCode::BAD_REQUEST,
        &HeaderMap::new(),
        &message,
        UnixNanos(0),
    );
    assert!(
        failure.message.starts_with("a  [31mü"),
        "{}",
        failure.message
    );
    assert!(failure.message.len() <= MESSAGE_BYTES_MAX + 3);
}
