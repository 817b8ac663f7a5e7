//! Lines that a container runtime cut into pieces, and whose rest is in the next file: the log was rotated between them.
//!
//! A file that begins where another of the same first name ended waits until that one is read to its end,
//! [`PIECE_WAIT`] at most; then the pieces that are left there are lent to it, and stand before what is read of it. While they are lent,
//! nothing of them is handed on by the file that has them. When that one goes on after all, they are called back.

use std::collections::HashMap;
use std::time::Instant;

use super::Tailer;
use crate::receivers::filelog::content;
use crate::receivers::filelog::file::TailedFile;
use crate::receivers::filelog::identity::FileId;
use crate::receivers::filelog::lines::PIECE_WAIT;

/// What Docker's files are called, whose first line may be longer than a file's beginning.
const DOCKER_ENDING: &str = "-json.log";

/// Files that were rotated, and what is left of them.
#[derive(Default)]
pub(super) struct Pieces {
    /// By the name they were first read under.
    rotated: HashMap<String, Vec<FileId>>,
    loans: Vec<Loan>,
}

/// The pieces left of one file stand before what is read of another one.
struct Loan {
    from: FileId,
    to: FileId,
    /// Some of them have been handed on.
    is_used: bool,
}

impl Tailer {
    /// Notes that a file goes by another name than it was first read under, or by none that globs know.
    pub(super) fn note_rotated(&mut self, id: FileId) {
        let Some(file) = self.files.get(&id) else {
            return;
        };
        let rotated = self.pieces.rotated.entry(file.first_name.clone());
        let rotated = rotated.or_default();
        if !rotated.contains(&id) {
            rotated.push(id);
        }
    }

    /// The file that was written before this one, under the name that both were first read under.
    fn previous(&self, file: &TailedFile) -> Option<FileId> {
        let rotated = self.pieces.rotated.get(&file.first_name)?;
        let rotated = rotated.iter().filter(|id| **id != file.id);
        let earlier = rotated
            .filter_map(|id| self.files.get(id))
            .filter(|known| known.seen_modified() <= file.seen_modified());
        let last = earlier.max_by_key(|known| known.seen_modified());
        last.map(|known| known.id)
    }

    /// Before the first byte of an open file is read: whether it may be.
    pub(super) fn meet_previous(&mut self, file: &mut TailedFile, now: Instant) -> bool {
        if self.pieces.rotated.is_empty() || !file.is_at_beginning() || file.compression.is_some() {
            return true;
        }
        let Some(previous) = self.previous(file) else {
            return true;
        };
        let Some(mut lender) = self.files.remove(&previous) else {
            return true;
        };
        let may_be_read = self.borrow(&mut lender, file, now);
        self.files.insert(previous, lender);
        if !may_be_read {
            self.held.push(file.id);
        }
        may_be_read
    }

    fn borrow(&mut self, lender: &mut TailedFile, file: &mut TailedFile, now: Instant) -> bool {
        let is_other = lender.is_lent || lender.copy_of.is_some() || lender.compression.is_some();
        if is_other || !self.is_of_runtime(file) {
            return true;
        }
        match lender.look() {
            // What is written to it comes before what is in this one.
            Ok(Some(look)) if look.unread && !look.truncated => {
                let has_waited = file
                    .open
                    .as_ref()
                    .is_none_or(|open| now.saturating_duration_since(open.opened_at) > PIECE_WAIT);
                self.unread.push(lender);
                return has_waited;
            }
            Ok(Some(look)) if !look.truncated => {}
            _ => return true,
        }
        self.sink.take_whole(lender);
        if let Some(pieces) = lender.pieces() {
            file.carry(lender.past(), pieces);
            lender.is_lent = true;
            self.pieces.loans.push(Loan {
                from: lender.id,
                to: file.id,
                is_used: false,
            });
        }
        true
    }

    /// Whether a container runtime writes the file: only such a one has lines in pieces, and is worth a wait.
    fn is_of_runtime(&self, file: &TailedFile) -> bool {
        let name = file.first_name.as_str();
        let begins_so = || {
            let beginning = content::beginning(file.open.as_ref()?.file(), None).ok()?;
            let first = beginning.split(|byte| *byte == b'\n').next()?;
            self.framing.parser().runtime().split(first).map(|_line| ())
        };
        self.config.spec.pod_roots.pod_of(name).is_some()
            || name.ends_with(DOCKER_ENDING)
            || begins_so().is_some()
    }

    /// Brings the files that have lent something up to date with what became of it.
    pub(super) fn settle_loans(&mut self) {
        if self.pieces.loans.is_empty() {
            return;
        }
        for (id, bytes) in self.sink.take_carried() {
            if let Some(file) = self.files.get_mut(&id) {
                file.consume(bytes);
            }
            let mut loans = self.pieces.loans.iter_mut();
            if let Some(loan) = loans.find(|loan| loan.from == id) {
                loan.is_used = true;
            }
        }
        let files = &self.files;
        let is_over = |loan: &mut Loan| !files.get(&loan.to).is_some_and(|file| file.is_carrying());
        let over: Vec<Loan> = self.pieces.loans.extract_if(.., is_over).collect();
        over.into_iter().for_each(|loan| self.end_loan(&loan));
    }

    fn end_loan(&mut self, loan: &Loan) {
        let Some(file) = self.files.get_mut(&loan.from) else {
            return;
        };
        file.is_lent = false;
        if loan.is_used {
            self.begin_again(loan.from);
        }
    }

    /// Calls back what a file has lent: it goes on itself, or is over.
    pub(super) fn call_back(&mut self, from: FileId) {
        if self.pieces.loans.is_empty() {
            return;
        }
        self.settle_loans();
        let is_wanted = |loan: &mut Loan| loan.from == from;
        let called: Vec<Loan> = self.pieces.loans.extract_if(.., is_wanted).collect();
        for loan in called {
            self.begin_again(loan.to);
            self.end_loan(&loan);
        }
    }

    /// Before a stop: what was lent is read again with what follows it, unless that is deleted.
    pub(super) fn call_back_all(&mut self) {
        self.settle_loans();
        let is_deleted = |id: &FileId| self.files.get(id).is_some_and(|file| file.is_deleted);
        let loans = self.pieces.loans.iter();
        let called = loans.filter(|loan| !is_deleted(&loan.to));
        let called: Vec<FileId> = called.map(|loan| loan.from).collect();
        called.into_iter().for_each(|from| self.call_back(from));
    }

    /// What has been read of a file and not handed on is read again, by the rules of now.
    pub(super) fn begin_again(&mut self, id: FileId) {
        let Some(mut file) = self.files.remove(&id) else {
            return;
        };
        let resource = self.resource_of(&file);
        let attached = file.attach_again(&self.framing, resource);
        let attached = self.count_kept(&file, attached);
        self.unread.push(&file);
        self.files.insert(id, file);
        if let Err(error) = attached {
            self.failed_to_read(id, &error);
        }
    }

    /// Forgets a file that is given up.
    pub(super) fn forget_rotated(&mut self, file: &TailedFile) {
        if let Some(rotated) = self.pieces.rotated.get_mut(&file.first_name) {
            rotated.retain(|id| *id != file.id);
            if rotated.is_empty() {
                self.pieces.rotated.remove(&file.first_name);
            }
        }
    }
}
