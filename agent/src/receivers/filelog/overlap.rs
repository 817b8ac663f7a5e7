//! What globs alone tell of the files they name: whether two receivers share some, whether any is left, whether what an
//! exporter writes is among them.

use std::path::Path;

use super::FilelogConfig;

/// Globs of all files.
const ALL: [&str; 4] = ["**", "/**", "**/*", "/**/*"];

impl FilelogConfig {
    pub(crate) fn globs(&self) -> impl Iterator<Item = &str> {
        self.spec.include.iter().map(String::as_str)
    }

    /// Whether a file that is written to, or one of those it is rotated to, is read.
    pub(crate) fn reads_any(&self, path: &Path) -> bool {
        let Ok(path) = std::path::absolute(path) else {
            return false;
        };
        let mut rotated = path.clone().into_os_string();
        rotated.push(".1");
        self.reads(&path) || self.reads(Path::new(&rotated))
    }

    /// A glob of this receiver whose files another one reads as well; what both exclude in different ways is not told.
    pub(crate) fn shares_with(&self, other: &Self) -> Option<&str> {
        let excludes_alike = self.spec.exclude == other.spec.exclude
            || self.spec.exclude.is_empty()
            || other.spec.exclude.is_empty();
        let is_shared = |glob: &&str| {
            let is_file = !glob.contains(['*', '?', '[', '{', '\\']);
            let same = other.globs().any(|known| known == *glob) && excludes_alike;
            same || is_file && self.reads(Path::new(glob)) && other.reads(Path::new(glob))
        };
        self.globs().find(is_shared)
    }

    /// Whether `exclude` leaves nothing of what `include` names.
    pub(crate) fn excludes_all(&self) -> bool {
        let exclude = &self.spec.exclude;
        let is_gone = |glob: &str| exclude.iter().any(|excluded| excluded == glob);
        exclude.iter().any(|glob| ALL.contains(&glob.as_str())) || self.globs().all(is_gone)
    }
}
