use proptest::prelude::*;

use super::*;

fn spec(action: Action) -> RuleSpec {
    RuleSpec {
        action,
        ..RuleSpec::default()
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn sources(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

fn rule(spec: RuleSpec) -> Rule {
    Rule::try_from(spec).expect("valid")
}

/// Labels as `name=value` texts; `None` when they are dropped.
fn applied(spec: RuleSpec, labels: &[(&'static str, &'static str)]) -> Option<Vec<String>> {
    let mut labels: Labels<'_> = labels.iter().copied().collect();
    let kept = apply(&[rule(spec)], &mut labels);
    let shown = labels.iter().map(|(name, value)| format!("{name}={value}"));
    kept.then(|| shown.collect())
}

#[track_caller]
fn check(spec: RuleSpec, labels: &[(&'static str, &'static str)], expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
    assert_eq!(applied(spec, labels), Some(expected));
}

#[test]
fn replace_joins_matches_and_fills_in() {
    let port = RuleSpec {
        source_labels: sources(&["addr", "port"]),
        regex: some(r"([^:]+)(?::\d+)?;(\d+)"),
        replacement: some("$1:$2"),
        target_label: some("addr"),
        ..RuleSpec::default()
    };
    check(
        port.clone(),
        &[("addr", "10.0.0.1:80"), ("port", "9100")],
        &["addr=10.0.0.1:9100", "port=9100"],
    );
    check(
        port.clone(),
        &[("addr", "10.0.0.1"), ("port", "9100")],
        &["addr=10.0.0.1:9100", "port=9100"],
    );
    // Without a match nothing is replaced, and a match is one of the whole.
    check(
        port,
        &[("addr", "10.0.0.1"), ("port", "http 1")],
        &["addr=10.0.0.1", "port=http 1"],
    );
    let copied = RuleSpec {
        source_labels: sources(&["a"]),
        target_label: some("b"),
        ..RuleSpec::default()
    };
    check(copied.clone(), &[("a", "x")], &["a=x", "b=x"]);
    // An absent label is empty, and an empty label is none.
    check(copied, &[("b", "old")], &[]);
}

#[test]
fn replace_sets_constants_and_removes_what_becomes_empty() {
    let constant = |text: &str| RuleSpec {
        target_label: some("env"),
        replacement: some(text),
        ..RuleSpec::default()
    };
    check(constant("live"), &[("a", "1")], &["a=1", "env=live"]);
    check(constant(""), &[("env", "x")], &[]);
    check(constant("100$$"), &[], &["env=100$"]);
    check(constant("a$ b$"), &[], &["env=a$ b$"]);
}

#[test]
fn replace_builds_the_targets_name_too() {
    let named = RuleSpec {
        source_labels: sources(&["pair"]),
        regex: some("(?P<key>[a-z.]*)=(.*)"),
        target_label: some("got_${key}"),
        replacement: some("${2}s"),
        ..RuleSpec::default()
    };
    check(
        named.clone(),
        &[("pair", "col.our=red")],
        &["got_col.our=reds", "pair=col.our=red"],
    );
    check(named, &[("pair", "=red")], &["got_=reds", "pair==red"]);
    let nameless = RuleSpec {
        source_labels: sources(&["pair"]),
        regex: some("(x?).*"),
        target_label: some("${1}"),
        replacement: some("v"),
        ..RuleSpec::default()
    };
    check(nameless, &[("pair", "y")], &["pair=y"]);
}

#[test]
fn references_take_the_longest_name() {
    let filled = |replacement: &str| RuleSpec {
        source_labels: sources(&["a"]),
        regex: some("(.)(.)"),
        replacement: some(replacement),
        target_label: some("t"),
        ..RuleSpec::default()
    };
    for (replacement, expected) in [
        ("$1$2", "a=xy;t=xy"),
        ("${1}b", "a=xy;t=xb"),
        ("$1b", "a=xy"),
        ("$3-${9}", "a=xy;t=-"),
        ("${1", "a=xy;t=${1"),
        ("${}", "a=xy;t=${}"),
        ("$0", "a=xy;t=xy"),
        ("$01!", "a=xy;t=!"),
    ] {
        let shown = applied(filled(replacement), &[("a", "xy")]).expect("kept");
        assert_eq!(shown.join(";"), expected, "{replacement}");
    }
}

#[test]
fn keep_and_drop_look_at_the_whole_value() {
    let by = |action, regex: &str| RuleSpec {
        source_labels: sources(&["a", "b"]),
        regex: some(regex),
        ..spec(action)
    };
    let labels = [("a", "x"), ("b", "y")];
    assert!(applied(by(Action::Keep, "x;y"), &labels).is_some());
    assert!(applied(by(Action::Keep, "x"), &labels).is_none());
    assert!(applied(by(Action::Drop, "x"), &labels).is_some());
    assert!(applied(by(Action::Drop, "x;.+"), &labels).is_none());
    assert!(applied(by(Action::Drop, "x|;y"), &labels).is_some());
    assert!(applied(by(Action::Keep, ";"), &[]).is_some());
    // A dot stands for a line break, too.
    assert!(applied(by(Action::Keep, "x.z;"), &[("a", "x\nz")]).is_some());
}

#[test]
fn equality_is_with_the_target_label() {
    let by = |action| RuleSpec {
        source_labels: sources(&["a"]),
        target_label: some("b"),
        ..spec(action)
    };
    for (labels, is_equal) in [
        (vec![("a", "1"), ("b", "1")], true),
        (vec![("a", "1"), ("b", "2")], false),
        (vec![("a", "1")], false),
        (vec![], true),
    ] {
        assert_eq!(applied(by(Action::KeepEqual), &labels).is_some(), is_equal);
        assert_eq!(applied(by(Action::DropEqual), &labels).is_none(), is_equal);
    }
}

#[test]
fn hashmod_is_the_end_of_an_md5() {
    let by = |modulus| RuleSpec {
        source_labels: sources(&["a"]),
        target_label: some("shard"),
        modulus: Some(modulus),
        ..spec(Action::HashMod)
    };
    // MD5 of "abc" ends with d6963f7d28e17f72, that of "" with e9800998ecf8427e.
    check(
        by(u64::MAX),
        &[("a", "abc")],
        &["a=abc", &format!("shard={}", 0xd696_3f7d_28e1_7f72_u64)],
    );
    check(
        by(1_000),
        &[],
        &[&format!("shard={}", 0xe980_0998_ecf8_427e_u64 % 1_000)],
    );
    check(by(1), &[("a", "x")], &["a=x", "shard=0"]);
}

#[test]
fn labelmap_copies_and_leaves_the_old_ones() {
    let map = |regex: &str, replacement: Option<String>| RuleSpec {
        regex: some(regex),
        replacement,
        ..spec(Action::LabelMap)
    };
    let labels = [
        ("__meta_label_app", "web"),
        ("__meta_label_tier", "front"),
        ("x", "1"),
    ];
    check(
        map("__meta_label_(.+)", None),
        &labels,
        &[
            "__meta_label_app=web",
            "__meta_label_tier=front",
            "app=web",
            "tier=front",
            "x=1",
        ],
    );
    check(
        map("(x)", some("my.${1}")),
        &[("x", "1")],
        &["my.x=1", "x=1"],
    );
    check(map("()x", None), &[("x", "1")], &["x=1"]);
}

#[test]
fn labels_are_dropped_and_kept_by_name() {
    let by = |action, regex: &str| RuleSpec {
        regex: some(regex),
        ..spec(action)
    };
    let labels = [("app", "1"), ("application", "2"), ("id", "3")];
    check(by(Action::LabelDrop, "app.*"), &labels, &["id=3"]);
    check(
        by(Action::LabelDrop, "app"),
        &labels,
        &["application=2", "id=3"],
    );
    check(by(Action::LabelKeep, "app|id"), &labels, &["app=1", "id=3"]);
}

#[test]
fn case_is_changed() {
    let by = |action| RuleSpec {
        source_labels: sources(&["a", "b"]),
        target_label: some("a"),
        ..spec(action)
    };
    check(
        by(Action::Lowercase),
        &[("a", "Straße"), ("b", "ÉT")],
        &["a=straße;ét", "b=ÉT"],
    );
    check(
        by(Action::Uppercase),
        &[("a", "x"), ("b", "y")],
        &["a=X;Y", "b=y"],
    );
}

#[test]
fn rules_are_applied_in_order_until_one_drops() {
    let set = rule(RuleSpec {
        target_label: some("a"),
        replacement: some("1"),
        ..RuleSpec::default()
    });
    let drop = rule(RuleSpec {
        source_labels: sources(&["a"]),
        regex: some("1"),
        ..spec(Action::Drop)
    });
    let mut labels = Labels::new();
    assert!(apply(&[drop.clone(), set.clone()], &mut labels));
    assert_eq!(labels.get("a"), "1");
    assert!(!apply(&[set, drop], &mut Labels::new()));
}

#[test]
fn rules_that_make_no_sense_name_the_setting() {
    let refused = |spec: RuleSpec| Rule::try_from(spec).expect_err("refused");
    for action in [
        Action::Replace,
        Action::HashMod,
        Action::Lowercase,
        Action::Uppercase,
        Action::KeepEqual,
        Action::DropEqual,
    ] {
        assert_eq!(refused(spec(action)).key, "target_label", "{action:?}");
    }
    let with_target = |action| RuleSpec {
        target_label: some("t"),
        ..spec(action)
    };
    assert_eq!(refused(with_target(Action::HashMod)).key, "modulus");
    assert_eq!(refused(with_target(Action::LabelDrop)).key, "target_label");
    let cases = [
        (with_target(Action::Lowercase), "replacement"),
        (with_target(Action::KeepEqual), "replacement"),
        (spec(Action::LabelKeep), "replacement"),
        (with_target(Action::DropEqual), "regex"),
        (with_target(Action::DropEqual), "separator"),
        (spec(Action::LabelDrop), "separator"),
        (spec(Action::LabelDrop), "source_labels"),
        (spec(Action::LabelDrop), "modulus"),
    ];
    for (mut spec, key) in cases {
        match key {
            "replacement" => spec.replacement = some("x"),
            "regex" => spec.regex = some("x"),
            "separator" => spec.separator = some("x"),
            "modulus" => spec.modulus = Some(2),
            _ => spec.source_labels = sources(&["a"]),
        }
        assert_eq!(refused(spec).key, key);
    }
    let map = RuleSpec {
        replacement: some(""),
        ..spec(Action::LabelMap)
    };
    assert_eq!(refused(map).key, "replacement");
    for bad in ["(", "a)(b", "*", "[z-a]", "(?<a>x{1000}){1000}"] {
        let error = refused(RuleSpec {
            regex: some(bad),
            ..spec(Action::Keep)
        });
        assert_eq!(error.key, "regex");
        assert!(
            error.message.starts_with(&format!("`{bad}` is no")),
            "{error}"
        );
    }
    // What is the default may be said.
    rule(RuleSpec {
        separator: some(";"),
        regex: some("(.*)"),
        replacement: some("$1"),
        ..with_target(Action::KeepEqual)
    });
}

proptest! {
    #[test]
    fn sets_stay_sorted_without_empty_values(
        changes in prop::collection::vec(("[a-c]{0,2}", "[x-y]{0,1}"), 0..30),
    ) {
        let mut labels = Labels::new();
        let mut model = std::collections::BTreeMap::new();
        for (name, value) in changes {
            if value.is_empty() {
                model.remove(&name);
            } else {
                model.insert(name.clone(), value.clone());
            }
            labels.set(name, value);
        }
        let held: Vec<(String, String)> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        prop_assert_eq!(held, model.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn no_template_panics(text in "[$0-9a-z{}_é]{0,12}", value in "[a-z]{0,4}") {
        let rule = rule(RuleSpec {
            source_labels: sources(&["a"]),
            regex: some("(?P<n>.)(.*)"),
            replacement: Some(text),
            target_label: some("t"),
            ..RuleSpec::default()
        });
        let mut labels = Labels::new();
        labels.set("a", value);
        prop_assert!(rule.apply(&mut labels));
    }
}
