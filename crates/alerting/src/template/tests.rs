use super::*;

/// The labels are `instance="db-1.eu.example.org:9100"`, `job="node"`, `app_name="check out"`.
fn check(value: f64, cases: &[(&str, &str)]) {
    let labels = Labels::from_pairs([
        ("instance", "db-1.eu.example.org:9100"),
        ("job", "node"),
        ("app_name", "check out"),
    ]);
    let series = |job: &str, value| (Labels::from_pairs([("job", job)]), value);
    let answers = Answers::from([
        (
            "up".to_owned(),
            Ok(vec![series("web", 1.0), series("api", 0.5)]),
        ),
        ("none".to_owned(), Ok(Vec::new())),
        ("bad".to_owned(), Err("no such metric".to_owned())),
    ]);
    let data = TemplateData {
        labels: &labels,
        value,
        external_url: "http://vervet/base",
        external_labels: &Labels::from_pairs([("cluster", "eu")]),
        seconds: 60.5,
        answers: &answers,
    };
    for (template, expected) in cases {
        assert_eq!(
            expand_or_explain(template, &data),
            *expected,
            "{template} of {value}"
        );
    }
}

#[test]
fn labels_values_and_pipes() {
    check(
        0.256,
        &[
            ("plain } text", "plain } text"),
            (
                "{{ $labels.job }}/{{.Labels.instance}}",
                "node/db-1.eu.example.org:9100",
            ),
            ("[{{ $labels.absent }}]", "[]"),
            ("{{ $value }} {{ .Value }}", "0.256 0.256"),
            ("{{ $value | printf \"%.2f\" }}", "0.26"),
            (
                "{{ printf \"%s is %5.1f%%\" $labels.job (humanizePercentage $value) }}",
                "<error expanding template: printf: cannot print 25.6% with %f>",
            ),
            (
                "{{ index $labels \"job\" | toUpper | printf \"%-6s|\" }}",
                "NODE  |",
            ),
            ("{{ $labels.app_name | title }}", "Check Out"),
            ("{{ $externalURL }}/x", "http://vervet/base/x"),
            ("a {{- /* note */ -}} b", "ab"),
            ("a {{- \" }} \" -}} b", "a }} b"),
            (
                "{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }}",
                "db-1.eu.example.org db-1:9100",
            ),
            (
                "{{ reReplaceAll \"(.*)-(\\\\d).*\" \"$2-$1\" $labels.instance }}",
                "1-db",
            ),
        ],
    );
}

#[test]
fn humanize_functions() {
    check(
        1_234_567.0,
        &[
            ("{{ $value }}", "1.234567e+06"),
            ("{{ humanize $value }}", "1.235M"),
            ("{{ humanize1024 $value }}", "1.177Mi"),
            ("{{ humanizeDuration $value }}", "14d 6h 56m 7s"),
            ("{{ humanizePercentage 0.12345 }}", "12.35%"),
            (
                "{{ humanizeTimestamp 1257894000.5 }}",
                "2009-11-10 23:00:00.5 +0000 UTC",
            ),
            (
                "{{ humanizeTimestamp 1257894000 }}",
                "2009-11-10 23:00:00 +0000 UTC",
            ),
            (
                "{{ humanizeDuration 0.0015 }} {{ humanizeDuration 12.3456 }} {{ humanizeDuration -90 }}",
                "1.5ms 12.35s -1m 30s",
            ),
            (
                "{{ humanize 0.00025 }} {{ humanize 0 }} {{ humanize 999 }}",
                "250u 0 999",
            ),
            (
                "{{ printf \"%d %x %05d %+v %e %g\" 7 255 42 1.5 12.5 0.00001 }}",
                "7 ff 00042 1.5 1.250000e+01 1e-05",
            ),
        ],
    );
    check(
        f64::NAN,
        &[("{{ humanize $value }} {{ $value }}", "NaN NaN")],
    );
    check(1e5, &[("{{ $value }}", "100000")]);
    check(1e6, &[("{{ $value }}", "1e+06")]);
}

#[test]
fn queries_and_loops() {
    check(
        2.0,
        &[
            (
                "{{ range query \"up\" }}{{ .Labels.job }}={{ .Value }} {{ end }}",
                "web=1 api=0.5 ",
            ),
            (
                "{{ range $i, $s := query \"up\" | sortByLabel \"job\" }}{{ if $i }}, {{ end }}{{ label \"job\" $s }}{{ end }}",
                "api, web",
            ),
            (
                "{{ query \"up\" | first | value | humanizePercentage }}",
                "100%",
            ),
            ("{{ (query \"up\" | first).Labels.job }}", "web"),
            (
                "{{ range query \"none\" }}x{{ else }}nothing{{ end }}",
                "nothing",
            ),
            (
                "{{ range 5 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ if eq . 3 }}{{ break }}{{ end }}{{ . }}{{ end }}",
                "02",
            ),
            (
                "{{ range $name, $value := $externalLabels }}{{ $name }}:{{ $value }}{{ end }}",
                "cluster:eu",
            ),
            (
                "{{ len (query \"up\") }} {{ (index (query \"up\") 1).Value }}",
                "2 0.5",
            ),
        ],
    );
}

#[test]
fn own_variables_and_with() {
    check(
        2.0,
        &[
            (
                "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}",
                "2",
            ),
            (
                "{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}",
                "1",
            ),
            ("{{ with $labels.job }}on {{ . }}{{ end }}", "on node"),
            (
                "{{ with $labels.absent }}on {{ . }}{{ else }}alone{{ end }}",
                "alone",
            ),
            ("{{ with $x := $labels.job }}{{ $x }}{{ end }}", "node"),
            (
                "{{ with $labels.absent }}a{{ else with $labels.job }}b {{ . }}{{ end }}",
                "b node",
            ),
            (
                "{{ with args 1 \"b\" }}{{ .arg1 }}{{ $.Value }}{{ end }}",
                "b2",
            ),
            (
                "{{ $s := \"\" }}{{ range query \"up\" }}{{ $s = print $s .Labels.job }}{{ end }}{{ $s }}",
                "webapi",
            ),
        ],
    );
}

#[test]
fn functions_for_texts_and_times() {
    check(
        2.0,
        &[
            ("{{ print $labels.job .Value 3 }}", "node2 3"),
            ("{{ .ExternalLabels.cluster }} {{ pathPrefix }}", "eu /base"),
            (
                "{{ graphLink \"up > 1\" }}",
                "/graph?g0.expr=up+%3E+1&g0.tab=0",
            ),
            ("{{ html \"<a>\" }} {{ urlquery \"a b\" }}", "&lt;a&gt; a+b"),
            (
                "{{ now }} {{ toDuration 3661.5 }} {{ toDuration 0.02 }}",
                "60.5 1h1m1.5s 20ms",
            ),
            ("{{ slice \"abcd\" 1 3 }}{{ println 1 \"a\" }}", "bc1 a\n"),
            ("{{/* it's \" }} */}}x{{- /* y */ -}} z", "xz"),
        ],
    );
}

#[test]
fn conditions() {
    check(
        5.0,
        &[
            ("{{ if gt $value 3.0 }}high{{ else }}low{{ end }}", "high"),
            (
                "{{ if eq $labels.job \"a\" }}a{{ else if match \"^no\" $labels.job }}n{{ else }}x{{ end }}!",
                "n!",
            ),
            (
                "{{ if and $labels.job (not $labels.absent) }}{{ if lt $value 6.0 }}in{{ end }}{{ end }}",
                "in",
            ),
        ],
    );
}

#[test]
fn what_is_not_supported_is_named() {
    check(
        1.0,
        &[
            (
                "{{ template \"x\" }}",
                "<error expanding template: template is not supported>",
            ),
            (
                "{{ nosuch \"up\" }}",
                "<error expanding template: the function nosuch is not supported>",
            ),
            (
                "{{ $x }}",
                "<error expanding template: the variable $x is not supported>",
            ),
            (
                "{{ query \"other\" }}",
                "<error expanding template: the query \"other\" was not answered>",
            ),
            (
                "{{ query \"bad\" }}",
                "<error expanding template: query: no such metric>",
            ),
            (
                "{{ query \"none\" | first | value }}",
                "<error expanding template: first: the query gave nothing>",
            ),
            (
                "{{ range 2000000 }}{{ end }}",
                "<error expanding template: it takes more than 1000000 steps>",
            ),
            (
                "{{ $labels.job ",
                "<error expanding template: an action is not closed with }}>",
            ),
            (
                "{{ if $value }}x",
                "<error expanding template: {{if}} without {{end}}>",
            ),
            (
                "{{ humanize $labels.job }}",
                "<error expanding template: humanize: \"node\" is not a number>",
            ),
        ],
    );
    check(
        1.0,
        &[(
            &format!("{{{{ {}1{} }}}}", "(".repeat(40), ")".repeat(40)),
            "<error expanding template: nested too deeply>",
        )],
    );
}

#[test]
fn only_what_no_data_could_expand_is_refused() {
    for text in [
        "{{ with .Foo }}{{ end }}",
        "{{ range 1 }}{{ $x }}{{ end }}",
        "{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}",
        "{{ range $x := 1 }}{{ end }}{{ $x }}",
        "{{ $x = 1 }}",
        "{{ break }}",
        "{{ end }}",
        "{{ with 1 }}",
        "{{ range 1 }}{{ else if 1 }}{{ end }}",
        "{{ $value | 3 }}",
        "{{ $value | }}",
        "{{ }}",
        "{{ (humanize 1 }}",
        "{{ $a, $b := 1 }}",
        "{{ first (nosuch 1) }}",
    ] {
        assert!(super::check(text).is_err(), "{text}");
    }
    for text in [
        "{{ with query \"up\" }}{{ . | first | value }}{{ .Anything.below }}{{ end }}",
        "{{ range $i, $e := query \"up\" }}{{ $i }}{{ $e.Labels.x }}{{ .Foo }}{{ end }}",
        "{{- $x := 1 -}}{{ if $x }}{{ $x }}{{ else if 2 }}{{ end }}",
        "{{ .Value | printf \"%.2f\" }}",
    ] {
        assert_eq!(super::check(text), Ok(()), "{text}");
    }
}
