//! Escape sequences that colour text on a terminal.

const ESCAPE: char = '\u{1b}';

/// Where the first sequence begins.
#[inline]
pub(super) fn find(text: &[u8]) -> Option<usize> {
    memchr::memchr(ESCAPE as u8, text)
}

/// `characters` without the sequences in them, `ESC [ 3 1 m`: each ends in a letter.
#[cold]
pub(super) fn strip(mut characters: impl Iterator<Item = char>) -> String {
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        if character == ESCAPE {
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}
