//! Go's `printf`, as far as templates use it.

use super::eval::Value;
use super::number::{exponent_text_with, fixed_text, general_text};

const WIDTH_MAX: usize = 256;

/// The part of Go's `printf` that templates use: flags `-+0` and space, width, precision, and the verbs
/// `v s q d f F e g x X t %`.
pub(super) fn printf(format: &str, values: &[Value]) -> Result<String, String> {
    let mut output = String::new();
    let mut values = values.iter();
    let mut rest = format;
    while let Some((before, tail)) = rest.split_once('%') {
        output.push_str(before);
        let end = tail
            .find(|c: char| c.is_alphabetic() || c == '%')
            .ok_or("a verb is missing")?;
        let (spec, tail) = tail.split_at(end);
        let verb = tail.chars().next().unwrap_or('%');
        rest = tail.get(verb.len_utf8()..).unwrap_or_default();
        if verb == '%' {
            output.push('%');
        } else {
            let value = values
                .next()
                .ok_or_else(|| format!("no value for %{spec}{verb}"))?;
            output.push_str(&Spec::parse(spec)?.print(verb, value)?);
        }
    }
    output.push_str(rest);
    match values.next() {
        Some(_) => Err("more values than verbs".to_owned()),
        None => Ok(output),
    }
}

/// What stands between the percent sign and the verb.
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
}

impl Spec {
    fn parse(text: &str) -> Result<Self, String> {
        let sizes = text.trim_start_matches(['-', '+', ' ', '0']);
        let flags = text.strip_suffix(sizes).unwrap_or_default();
        let (width, precision) = match sizes.split_once('.') {
            Some((width, precision)) => (width, Some(precision)),
            None => (sizes, None),
        };
        let size = |digits: &str| match digits {
            "" => Ok(0),
            digits => match digits.parse::<usize>() {
                Ok(size) if size <= WIDTH_MAX => Ok(size),
                _ => Err(format!("cannot print with %{text}")),
            },
        };
        Ok(Self {
            left: flags.contains('-'),
            plus: flags.contains('+'),
            space: flags.contains(' '),
            zeros: flags.contains('0'),
            width: size(width)?,
            precision: precision.map(size).transpose()?,
        })
    }

    fn print(&self, verb: char, value: &Value) -> Result<String, String> {
        let text = match (verb, value) {
            // Go reads the plus of %+v as a wish for field names, not for a sign.
            ('v', Value::Float(_) | Value::Integer(_)) => value.text(),
            ('g', Value::Float(value)) => self.signed(general_text(*value, self.precision)),
            ('f' | 'F', Value::Float(value)) => {
                self.signed(fixed_text(*value, self.precision.unwrap_or(6)))
            }
            ('e', Value::Float(value)) => {
                self.signed(exponent_text_with(*value, self.precision.unwrap_or(6)))
            }
            ('d', Value::Integer(value)) => self.signed(value.to_string()),
            ('x', Value::Integer(value)) => format!("{value:x}"),
            ('X', Value::Integer(value)) => format!("{value:X}"),
            ('t' | 'v', Value::Bool(value)) => value.to_string(),
            ('s' | 'v', Value::Text(text)) => match self.precision {
                Some(precision) => text.chars().take(precision).collect(),
                None => text.clone(),
            },
            ('q', Value::Text(text)) => format!("{text:?}"),
            ('v' | 's', Value::Labels(_)) => value.text(),
            (verb, value) => return Err(format!("cannot print {} with %{verb}", value.text())),
        };
        Ok(self.padded(text, matches!(value, Value::Float(_) | Value::Integer(_))))
    }

    fn signed(&self, text: String) -> String {
        match text.as_bytes().first() {
            Some(b'-' | b'+') => text,
            _ if self.plus => format!("+{text}"),
            _ if self.space => format!(" {text}"),
            _ => text,
        }
    }

    fn padded(&self, text: String, is_number: bool) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if self.left {
            return text + &" ".repeat(missing);
        }
        if self.zeros && is_number {
            let digits = text.trim_start_matches(['-', '+']);
            let sign = text.strip_suffix(digits).unwrap_or_default();
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        " ".repeat(missing) + &text
    }
}
