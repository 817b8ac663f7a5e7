//! Which labels the sum around a range aggregation keeps: the store then counts by no more than these, which it can
//! do from its own counts of segments, without reading records.

use vervet_store::GroupBy;

/// The labels that matter of an aggregation which stands between these two parts of a query.
pub(super) fn around(before: &str, after: &str) -> GroupBy {
    found(before, after).unwrap_or(GroupBy::All)
}

/// `None` unless the aggregation is all that a `sum` sums up.
fn found(before: &str, after: &str) -> Option<GroupBy> {
    let head = before.trim_end().strip_suffix('(')?.trim_end();
    let tail = after.trim_start().strip_prefix(')')?.trim_start();
    if let Some(list) = head.strip_suffix(')') {
        let (head, list) = list.rsplit_once('(')?;
        let head = strip_word_end(head, "by")?;
        strip_word_end(head, "sum")?;
        return labels(list);
    }
    strip_word_end(head, "sum")?;
    let word_length = tail
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(tail.len());
    let (word, rest) = tail.split_at_checked(word_length)?;
    match word.to_ascii_lowercase().as_str() {
        "by" => {
            let list = rest.trim_start().strip_prefix('(')?;
            labels(list.split_once(')')?.0)
        }
        "without" => None,
        _ => Some(GroupBy::Some(Vec::new())),
    }
}

/// `text` without the word it ends with, in any case.
fn strip_word_end<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let text = text.trim_end();
    let (rest, end) = text.split_at_checked(text.len().checked_sub(word.len())?)?;
    let is_whole =
        !rest.ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.'));
    (end.eq_ignore_ascii_case(word) && is_whole).then_some(rest)
}

/// `None` for anything but plain names.
fn labels(list: &str) -> Option<GroupBy> {
    let is_name = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let names: Vec<String> = list
        .split(',')
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    names
        .iter()
        .all(|name| is_name(name))
        .then_some(GroupBy::Some(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_says_which_labels_matter() {
        let check = |before: &str, after: &str, expect: Option<&[&str]>| {
            let expect = match expect {
                None => GroupBy::All,
                Some(names) => GroupBy::Some(names.iter().map(|name| (*name).to_owned()).collect()),
            };
            assert_eq!(around(before, after), expect, "{before}...{after}");
        };
        check("sum by (level) (", ")", Some(&["level"]));
        check(
            "1 + SUM BY(level, service_name)( ",
            " ) > 3",
            Some(&["level", "service_name"]),
        );
        check("sum(", ") by (level)", Some(&["level"]));
        check("sum (", ")", Some(&[]));
        check("sum(", ") / 2", Some(&[]));
        check("sum by () (", ")", Some(&[]));
        check("sum(", ") without (level)", None);
        check("sum without (level) (", ")", None);
        check("sum(2 * ", ")", None);
        check("sum(", " * 2)", None);
        check("sum(abs(", "))", None);
        check("max by (level) (", ")", None);
        check("checksum(", ")", None);
        check("", "", None);
        check("(", ")", None);
        check("topk by (level) (3, ", ")", None);
    }
}
