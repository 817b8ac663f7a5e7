//! Texts that every match of a regular expression holds.
//!
//! They narrow down where an expression is tried at all. What is found here is certain; where the pattern is of a
//! kind that is not followed (alternatives, groups, flags), less or nothing is found.

/// The literal runs of a pattern at its top level, none of them empty.
pub(crate) fn required(pattern: &str) -> Vec<String> {
    find(pattern).unwrap_or_default()
}

/// `None` when nothing certain can be said.
fn find(pattern: &str) -> Option<Vec<String>> {
    let mut chars = pattern.chars().peekable();
    let mut runs = vec![String::new()];
    let end_run = |runs: &mut Vec<String>| runs.push(String::new());
    while let Some(c) = chars.next() {
        match c {
            '|' => return None,
            '(' => {
                skip_group(&mut chars)?;
                end_run(&mut runs);
            }
            '[' => {
                skip_class(&mut chars)?;
                end_run(&mut runs);
            }
            '.' | '^' | '$' => end_run(&mut runs),
            // The last character may be absent, or be there more than once.
            '*' | '?' | '{' => {
                if let Some(run) = runs.last_mut() {
                    run.pop();
                }
                if c == '{' {
                    chars.by_ref().find(|c| *c == '}')?;
                }
                end_run(&mut runs);
            }
            '+' => end_run(&mut runs),
            '\\' => {
                let escaped = chars.next()?;
                // `\<` and `\>` are the ends of a word.
                if escaped.is_ascii_punctuation() && !matches!(escaped, '<' | '>') {
                    runs.last_mut()?.push(escaped);
                } else if matches!(escaped, 'p' | 'P' | 'x' | 'u' | 'U') {
                    return None;
                } else {
                    end_run(&mut runs);
                }
            }
            literal => runs.last_mut()?.push(literal),
        }
    }
    runs.retain(|run| !run.is_empty());
    Some(runs)
}

/// Goes behind the end of a group. `None` for groups that change what follows them.
fn skip_group(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<()> {
    if chars.peek() == Some(&'?') {
        chars.next();
        match chars.next()? {
            ':' | 'P' | '<' => {}
            _flags => return None,
        }
    }
    let mut depth = 1;
    while depth > 0 {
        match chars.next()? {
            '\\' => {
                chars.next()?;
            }
            '[' => skip_class(chars)?,
            '(' => {
                // A flag inside of a group ends with it, so it is of no matter here.
                depth += 1;
            }
            ')' => depth -= 1,
            _ => {}
        }
    }
    Some(())
}

/// Goes behind the end of a character class, in which others may be nested.
fn skip_class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<()> {
    if chars.peek() == Some(&'^') {
        chars.next();
    }
    // A bracket that comes first is a member.
    if chars.peek() == Some(&']') {
        chars.next();
    }
    loop {
        match chars.next()? {
            '\\' => {
                chars.next()?;
            }
            '[' => skip_class(chars)?,
            ']' => return Some(()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    #[test]
    fn literal_runs_are_found() {
        let check = |pattern: &str, expect: &[&str]| {
            assert_eq!(required(pattern), expect, "{pattern}");
        };
        check("slow query", &["slow query"]);
        check(r"took \d+ ms", &["took ", " ms"]);
        check("colou?r", &["colo", "r"]);
        check("ab*c{2,3}d+e", &["a", "d", "e"]);
        check(r"a\.b\[c", &["a.b[c"]);
        check("x(a|b)y", &["x", "y"]);
        check("x(?:a[)]|b)y", &["x", "y"]);
        check("[a-z]end", &["end"]);
        check("[]a]end", &["end"]);
        check("a|b", &[]);
        check("(?i)error", &[]);
        check("(?i:e)rror", &[]);
        check(r"\p{Greek}x", &[]);
        check("^a$", &["a"]);
        check(r"\<a\>b", &["a", "b"]);
    }

    proptest! {
        #[test]
        fn every_match_holds_the_literals(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "b", "ab", " ", "é", r"\.", ".", "a*", "b+", "a?", "b{1,2}", "(a|b)", "(?:b)?", "[ab]",
                    "[^]a]", r"\d", "^", "$", r"\b", "(a)*", "x{0}", "(?:(a)b)+", r"\(", r"\<", "(?P<n>a)", "[[:alpha:]]",
                ]),
                0..6,
            ),
            text in "[ab. é(1]{0,12}",
        ) {
            let pattern = pieces.concat();
            let Ok(regex) = Regex::new(&pattern) else {
                return Ok(());
            };
            if regex.is_match(&text) {
                for literal in required(&pattern) {
                    prop_assert!(text.contains(&literal), "{} {} {}", pattern, text, literal);
                }
            }
        }
    }
}
