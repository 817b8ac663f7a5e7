//! From one configuration to another between two rounds.

use std::collections::HashSet;
use std::time::Instant;

use super::Tailer;
use crate::receivers::filelog::change::Change;
use crate::receivers::filelog::discovery::{Discovery, Patterns};
use crate::receivers::filelog::identity::FileId;
use crate::receivers::filelog::sink::Sink;

impl Tailer {
    /// Becomes what it was told to become, if it was. What has been read by then goes on by the old rules; what has
    /// not is read by the new ones.
    pub(super) fn take_change(&mut self) {
        let Some(change) = self.changes.take() else {
            return;
        };
        // Whatever is there now is no file that appeared under the new rules.
        self.due.sweep = Instant::now();
        self.find();
        self.take_whole_lines();
        self.flush();
        self.settle_loans();
        if self.closed {
            return;
        }
        let Change {
            config,
            chains,
            pods,
            resource,
            signals,
        } = *change;
        let has_other_globs = config.spec.include != self.config.spec.include
            || config.spec.exclude != self.config.spec.exclude;
        self.context.chains = chains;
        self.context.pods = pods;
        self.context.resource = resource;
        self.context.output = self.context.output.with_signals(signals);
        self.framing = config.framing.clone();
        self.sink = self
            .sink
            .successor(Sink::new(self.counts.clone(), &self.context));
        self.failed = HashSet::new();
        let before = std::mem::replace(&mut self.config, config);
        if has_other_globs {
            self.take_other_globs(before.patterns);
        }
        for id in self.open.clone() {
            self.begin_again(id);
        }
        self.settle_loans();
        for file in self.files.values_mut() {
            file.reconsider();
        }
        self.due.watched_look = Instant::now();
        self.has_news = true;
        tracing::debug!(include = ?self.config.spec.include, "filelog receiver changed");
    }

    /// Whole lines that wait for the rest of a trace go now.
    fn take_whole_lines(&mut self) {
        for id in &self.open {
            if let Some(file) = self.files.get_mut(id) {
                self.sink.take_whole(file);
            }
        }
    }

    /// Files that no glob names any more are left where they are; those that are gone already are read to their end.
    fn take_other_globs(&mut self, before: Patterns) {
        self.discovery = Discovery::new(self.config.patterns.clone());
        self.first_sweep = true;
        self.start.globs_before = Some(before);
        self.due.sweep = Instant::now();
        let files = self.files.values();
        let unwanted =
            files.filter(|file| file.gone_at.is_none() && !self.discovery.wants(&file.path));
        let unwanted: Vec<FileId> = unwanted.map(|file| file.id).collect();
        unwanted.into_iter().for_each(|id| self.give_up(id));
    }
}
