//! The texts that a template stands for, and where in them a searched text may be.
//!
//! A template with a number stands for texts of several lengths, which are looked at one after the other. They differ around the
//! number only, and that only matters to what has decimal digits.

use std::ops::Range;

use crate::segment::index::token::is_word_byte;
use crate::tables::packed::{DIGITS_MAX, LENGTH_BASE, MARK, NUMBER, NUMBER_DIGITS_MAX};

/// Places of a template that a searched text may stand at; with more the texts are put together.
const PLACES_MAX: usize = 256;

/// What a template tells of its texts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    All(bool),
    /// Those whose digits and numbers are as one of these says.
    AnyOf(Vec<Place>),
    /// They have to be put together.
    Each,
}

/// Where a searched text may stand: what has to be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Some digits of a text, by their number, with their values.
    pub(super) digits: Vec<(usize, u8)>,
    pub(super) number: Option<NumberPlace>,
}

/// What the number of a text has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NumberPlace {
    /// Decimal digits that it has.
    pub(super) length: usize,
    /// Some of them with their values, counted from the first.
    pub(super) digits: Vec<(usize, u8)>,
}

/// A byte of a template's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Byte(u8),
    /// Any hexadecimal digit; they are numbered.
    Digit(usize),
    /// Any decimal digit of the number, by its place.
    Number(usize),
}

/// What has to be around a searched text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    Any,
    Word,
    /// Nothing.
    Whole,
}

/// The texts of a template, byte by byte, without their number.
pub(super) struct Form {
    cells: Vec<Cell>,
    /// Where the number belongs.
    number: Option<usize>,
}

impl Form {
    /// `None` when it is no template.
    pub(super) fn new(template: &[u8]) -> Option<Self> {
        let mut cells = Vec::with_capacity(template.len());
        let (mut digits, mut number) = (0, None);
        let mut bytes = template.iter();
        while let Some(byte) = bytes.next() {
            if *byte != MARK as u8 {
                cells.push(Cell::Byte(*byte));
                continue;
            }
            match usize::from(bytes.next()?.checked_sub(LENGTH_BASE)?) {
                NUMBER if number.is_none() => number = Some(cells.len()),
                length @ 1..=DIGITS_MAX => {
                    cells.extend((digits..digits + length).map(Cell::Digit));
                    digits += length;
                }
                _ => return None,
            }
        }
        Some(Self { cells, number })
    }

    /// Digits of each text, those of the number not counted.
    pub(super) fn digits(&self) -> usize {
        let is_digit = |cell: &&Cell| matches!(cell, Cell::Digit(_));
        self.cells.iter().filter(is_digit).count()
    }

    pub(super) fn has_number(&self) -> bool {
        self.number.is_some()
    }

    /// Whether texts hold `needle`.
    pub(super) fn holds(&self, needle: &[u8], ends: Ends) -> Verdict {
        if needle.is_empty() {
            return Verdict::Each;
        }
        let mut places = Vec::new();
        let Some(number) = self.number else {
            let all = 0..self.cells.len();
            let found = find(&self.cells, needle, ends, all, &mut places);
            return found.unwrap_or_else(|| verdict(places));
        };
        // What has no decimal digit is never in a number, however long that is.
        let lengths_max = match needle.iter().any(u8::is_ascii_digit) {
            true => NUMBER_DIGITS_MAX,
            false => 1,
        };
        for length in 1..=lengths_max {
            let (before, after) = self.cells.split_at_checked(number).unwrap_or_default();
            let digits: Vec<Cell> = (0..length).map(Cell::Number).collect();
            let cells = [before, &digits, after].concat();
            // Besides the number all lengths have the same places.
            let windows = match length {
                1 => 0..cells.len(),
                _ => (number + 1).saturating_sub(needle.len())..number + length,
            };
            if let Some(found) = find(&cells, needle, ends, windows, &mut places) {
                return found;
            }
        }
        verdict(places)
    }
}

fn verdict(places: Vec<Place>) -> Verdict {
    match places.is_empty() {
        true => Verdict::All(false),
        false => Verdict::AnyOf(places),
    }
}

/// Adds the places of `needle` that begin in `windows`. Returns the verdict when that is known.
fn find(
    cells: &[Cell],
    needle: &[u8],
    ends: Ends,
    windows: Range<usize>,
    places: &mut Vec<Place>,
) -> Option<Verdict> {
    let in_word = |at: Option<usize>| match at.and_then(|at| cells.get(at)) {
        None => false,
        Some(Cell::Byte(byte)) => is_word_byte(*byte),
        Some(Cell::Digit(_) | Cell::Number(_)) => true,
    };
    for start in windows {
        let end = start + needle.len();
        let Some(window) = cells.get(start..end) else {
            break;
        };
        let is_alone = match ends {
            Ends::Any => true,
            Ends::Word => !in_word(start.checked_sub(1)) && !in_word(Some(end)),
            Ends::Whole => window.len() == cells.len(),
        };
        let place = is_alone.then(|| Place::new(cells, window, needle));
        let Some(place) = place.flatten() else {
            continue;
        };
        if place == Place::default() {
            return Some(Verdict::All(true));
        }
        if places.len() == PLACES_MAX {
            return Some(Verdict::Each);
        }
        places.push(place);
    }
    None
}

impl Place {
    /// What has to be where for some of the cells to be `needle`.
    fn new(cells: &[Cell], window: &[Cell], needle: &[u8]) -> Option<Self> {
        let could_be = |(cell, byte): (&Cell, &u8)| match cell {
            Cell::Byte(known) => known == byte,
            Cell::Digit(_) => nibble(*byte).is_some(),
            Cell::Number(_) => byte.is_ascii_digit(),
        };
        if !window.iter().zip(needle).all(could_be) {
            return None;
        }
        let (mut digits, mut of_number) = (Vec::new(), Vec::new());
        for (cell, byte) in window.iter().zip(needle) {
            match cell {
                Cell::Byte(_) => {}
                Cell::Digit(at) => digits.push((*at, nibble(*byte)?)),
                Cell::Number(at) => of_number.push((*at, nibble(*byte)?)),
            }
        }
        let is_number = |cell: &&Cell| matches!(cell, Cell::Number(_));
        let number = (!of_number.is_empty()).then(|| NumberPlace {
            length: cells.iter().filter(is_number).count(),
            digits: of_number,
        });
        Some(Self { digits, number })
    }

    /// The bytes that the first digits, as far as they follow each other, fill.
    pub(super) fn packed_run(&self) -> Vec<u8> {
        let first = self.digits.first().map_or(0, |(at, _value)| *at);
        let run = self.digits.iter().zip(first..);
        let run = run.take_while(|((at, _value), next)| at == next);
        let values: Vec<u8> = run.map(|((_at, value), _next)| *value).collect();
        let pairs = values.get(first % 2..).unwrap_or_default();
        pairs
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |byte, value| byte << 4 | value))
            .collect()
    }

    /// Whether packed digits and a number are as they have to be. `None` when the number is missing, or none that is packed.
    pub(super) fn fits(&self, digits: &[u8], number: Option<i64>) -> Option<bool> {
        let as_expected = |(at, value): &(usize, u8)| {
            let pair = digits.get(at / 2).copied();
            pair.is_some_and(|pair| *value == if at % 2 == 0 { pair >> 4 } else { pair & 15 })
        };
        let fit = self.digits.iter().all(as_expected);
        match &self.number {
            None => Some(fit),
            Some(place) => Some(place.fits(u64::try_from(number?).ok()?)? && fit),
        }
    }
}

impl NumberPlace {
    fn fits(&self, number: u64) -> Option<bool> {
        let length = usize::try_from(number.checked_ilog10().unwrap_or(0) + 1).ok()?;
        if length > NUMBER_DIGITS_MAX {
            return None;
        }
        let is_value = |(at, value): &(usize, u8)| {
            let behind = length.checked_sub(at + 1);
            let behind = behind.and_then(|behind| u32::try_from(behind).ok());
            let power = behind.and_then(|behind| 10_u64.checked_pow(behind));
            power.is_some_and(|power| number / power % 10 == u64::from(*value))
        };
        Some(length == self.length && self.digits.iter().all(is_value))
    }
}

fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}
