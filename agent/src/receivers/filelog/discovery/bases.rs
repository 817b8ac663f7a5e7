//! The folders of the globs themselves, before their first wildcards: which were there and are gone. What goes below them
//! comes and goes as it likes.

use std::path::{Path, PathBuf};

#[derive(Debug, Default)]
pub(super) struct Bases(Vec<Base>);

#[derive(Debug)]
struct Base {
    folder: PathBuf,
    was_there: bool,
    is_there: bool,
}

impl Bases {
    pub(super) fn new<'p>(folders: impl Iterator<Item = &'p Path>) -> Self {
        let base = |folder: &Path| Base {
            folder: folder.to_owned(),
            was_there: false,
            is_there: false,
        };
        Self(folders.map(base).collect())
    }

    /// A look is over.
    pub(super) fn looked(&mut self, is_there: impl Fn(&Path) -> bool) {
        for base in &mut self.0 {
            base.is_there = is_there(&base.folder);
            base.was_there |= base.is_there;
        }
    }

    /// Each once.
    pub(super) fn gone(&self) -> Vec<&Path> {
        let gone = self
            .0
            .iter()
            .filter(|base| base.was_there && !base.is_there);
        let mut gone: Vec<&Path> = gone.map(|base| base.folder.as_path()).collect();
        gone.sort_unstable();
        gone.dedup();
        gone
    }
}
