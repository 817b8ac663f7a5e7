use super::*;

/// The labels are `instance="db-1.eu.example.org:9100"`, `job="node"`, `app_name="check out"`.
fn check(value: f64, cases: &[(&str, &str)]) {
    let labels = Labels::from_pairs([
        ("instance", "db-1.eu.example.org:9100"),
        ("job", "node"),
        ("app_name", "check out"),
    ]);
    let data = TemplateData {
        labels: &labels,
        value,
        external_url: "http://vervet",
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
            ("{{ $externalURL }}/x", "http://vervet/x"),
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
                "{{ range query \"up\" }}x{{ end }}",
                "<error expanding template: range is not supported>",
            ),
            (
                "{{ query \"up\" }}",
                "<error expanding template: the function query is not supported>",
            ),
            (
                "{{ $x := 1 }}",
                "<error expanding template: an own variable is not supported>",
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
