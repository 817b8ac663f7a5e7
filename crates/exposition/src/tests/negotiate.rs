use crate::{ContentTypeError, Escaping, Format, Protocol, accept_header, format_of};

#[test]
fn protocols_are_asked_for_by_weight() {
    assert_eq!(
        accept_header(&Protocol::DEFAULT, Escaping::AllowUtf8),
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
         application/openmetrics-text;version=0.0.1;q=0.5,\
         text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    );
    assert_eq!(
        accept_header(
            &[Protocol::Protobuf, Protocol::Text1_0_0, Protocol::Protobuf],
            Escaping::Underscores
        ),
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
         text/plain;version=1.0.0;escaping=underscores;q=0.5,*/*;q=0.4"
    );
    assert_eq!(accept_header(&[], Escaping::Dots), "*/*;q=0.6");
}

#[test]
fn names_are_those_of_the_configuration() {
    for protocol in Protocol::ALL {
        assert_eq!(protocol.name().parse(), Ok(protocol));
    }
    assert_eq!("PrometheusText".parse::<Protocol>(), Err(()));
    for name in ["allow-utf-8", "underscores", "dots", "values"] {
        let escaping: Escaping = name.parse().expect("known");
        assert_eq!(escaping.to_string(), name);
    }
    assert_eq!("none".parse::<Escaping>(), Err(()));
}

#[test]
fn the_media_type_decides() {
    for (header, format) in [
        ("text/plain", Format::Text),
        ("text/plain; version=0.0.4; charset=utf-8", Format::Text),
        ("TEXT/Plain;", Format::Text),
        (" text/plain ; charset = \"a;\\\"b\" ", Format::Text),
        (
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values",
            Format::OpenMetrics,
        ),
        ("application/openmetrics-text", Format::OpenMetrics),
        (
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
            Format::Protobuf,
        ),
    ] {
        assert_eq!(format_of(header, None), Ok(format), "{header}");
        let fallback = Some(Protocol::OpenMetrics0_0_1);
        assert_eq!(format_of(header, fallback), Ok(format), "{header}");
    }
}

#[test]
fn without_a_usable_type_there_is_the_fallback() {
    let malformed = |text: &str| ContentTypeError::Malformed(text.to_owned());
    let unsupported = |text: &str| ContentTypeError::Unsupported(text.to_owned());
    for (header, error) in [
        ("", ContentTypeError::Blank),
        ("text/html", unsupported("text/html")),
        (
            "application/json; a=b",
            unsupported("application/json; a=b"),
        ),
        ("text/plain; charset", malformed("text/plain; charset")),
        ("text/plain; a=b; a=b", malformed("text/plain; a=b; a=b")),
        ("text/plain; a=\"b", malformed("text/plain; a=\"b")),
        ("text/plain, text/html", malformed("text/plain, text/html")),
        ("/", malformed("/")),
    ] {
        assert_eq!(format_of(header, None), Err(error), "{header}");
        let fallback = Some(Protocol::OpenMetrics1_0_0);
        assert_eq!(
            format_of(header, fallback),
            Ok(Format::OpenMetrics),
            "{header}"
        );
    }
}
