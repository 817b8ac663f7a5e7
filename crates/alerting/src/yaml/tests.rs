use super::*;

fn shown(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar { text, .. } => text.clone(),
        Kind::List(items) => {
            let items: Vec<_> = items.iter().map(shown).collect();
            format!("[{}]", items.join(" "))
        }
        Kind::Map(entries) => {
            let pair = |(key, value): &(Node, Node)| format!("{}={}", shown(key), shown(value));
            let entries: Vec<_> = entries.iter().map(pair).collect();
            format!("{{{}}}", entries.join(" "))
        }
    }
}

fn check(text: &str, expected: &str) {
    let root = parse(text).expect("YAML").expect("a document");
    assert_eq!(shown(&root), expected, "{text}");
}

#[test]
fn aliases_and_merge_keys_are_resolved() {
    check("a: &x [1, 2]\nb: *x\n", "{a=[1 2] b=[1 2]}");
    check(
        "a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}\nc: {<<: [*x, {m: 4}]}\n",
        "{a={k=1 l=2} b={l=3 k=1} c={k=1 l=2 m=4}}",
    );
    check("a: 010\n---\nb: 1\n", "{a=010}");
    let error = parse("a: {<<: 1}\n").expect_err("no map");
    assert_eq!(error.message, "`<<` needs a map or a list of maps");
}

#[test]
fn places_are_those_of_the_first_character() {
    let root = parse("a:\n  - b: |\n      text\n").expect("YAML");
    let Some(Kind::Map(entries)) = root.map(|root| root.kind) else {
        panic!("no map")
    };
    let Kind::List(items) = &entries[0].1.kind else {
        panic!("no list")
    };
    let at = |place: Place| (place.line, place.column);
    assert_eq!(at(items[0].place), (2, 5));
    let Kind::Map(inner) = &items[0].kind else {
        panic!("no map")
    };
    assert_eq!(at(inner[0].1.place), (2, 8));
    let root = parse("a: >-  # a | b\n\n\n  text\n").expect("YAML");
    let Some(Kind::Map(entries)) = root.map(|root| root.kind) else {
        panic!("no map")
    };
    assert_eq!(at(entries[0].1.place), (1, 4));
    let error = parse("a: [1\nb: 2\n").expect_err("not closed");
    assert_eq!(error.place.line, 2);
}

#[test]
fn a_file_cannot_grow_without_bound() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..8 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let error = parse(&bomb).expect_err("too much");
    assert_eq!(error.message, "the file holds too much");
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let error = parse(&deep).expect_err("too deep");
    assert_eq!(error.message, "nested too deeply");
}
