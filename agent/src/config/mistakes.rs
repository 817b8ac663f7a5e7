//! Settings that can be read and make no sense: all of one component, not only the first.
//!
//! In: checks of single settings, and of some together. Out: the checked settings, or every mistake with the settings it
//! is about, from which its line is found, and whether it only follows from another mistake.

use std::fmt;

use super::error::Problem;

/// What is wrong with the settings of one component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Paths of keys; the mistake stands at the first that is there. None when it is about the component as a whole.
    pub(super) settings: Vec<Vec<String>>,
    pub(super) problem: Problem,
}

impl Mistakes {
    /// What was read, or nothing and a mistake noted that is about `settings`: paths such as `retry.max` or, in a list,
    /// `scrape_configs.0.scheme`.
    pub fn note<T>(&mut self, settings: &[&str], read: Result<T, impl Into<Problem>>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(problem) => {
                let path = |setting: &&str| setting.split('.').map(str::to_owned).collect();
                self.0.push(Mistake {
                    settings: settings.iter().map(path).collect(),
                    problem: problem.into(),
                });
                None
            }
        }
    }

    /// Notes a mistake unless something `holds`.
    pub fn demand(&mut self, holds: bool, settings: &[&str], message: impl Into<String>) {
        let message: Result<(), String> = match holds {
            true => Ok(()),
            false => Err(message.into()),
        };
        self.note(settings, message);
    }

    /// The settings, if nothing is wrong with them.
    ///
    /// # Errors
    /// Everything that was noted.
    pub fn or<T>(mut self, settings: Option<T>) -> Result<T, Self> {
        match settings {
            Some(settings) if self.0.is_empty() => Ok(settings),
            Some(_) => Err(self),
            None => {
                self.demand(!self.0.is_empty(), &[], "cannot be used");
                Err(self)
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_vec(self) -> Vec<Mistake> {
        self.0
    }
}

impl From<String> for Mistakes {
    /// One that is about the component as a whole.
    fn from(message: String) -> Self {
        let mut mistakes = Self::default();
        mistakes.demand(false, &[], message);
        mistakes
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let between = if index > 0 { "; " } else { "" };
            write!(f, "{between}{}", mistake.problem)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
