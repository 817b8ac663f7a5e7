//! A configuration that changes, between kills and while the agent works.

use std::time::Duration;

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use vervet_tests::proxy::Mode;

use crate::setup::{MAIN, Setup};
use crate::site::{Site, wait_until};

/// For something to be held of an exporter whose network is dead.
const HELD_WITHIN: Duration = Duration::from_secs(30);

/// What becomes of the agent's configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Changes {
    None,
    /// The exporters other than the first are taken out while something is held for them, and put back.
    Exporter,
    /// The first receiver gets other globs: one of these, or its own.
    Globs(&'static [Globs]),
}

/// Below the folder of logs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Globs {
    pub(crate) include: &'static [&'static str],
    pub(crate) exclude: &'static [&'static str],
}

pub(crate) struct Changer {
    changes: Changes,
    /// What the agent's file says.
    setup: Setup,
    is_whole: bool,
}

impl Changer {
    pub(crate) fn new(changes: Changes, site: &Site) -> Self {
        Self {
            changes,
            setup: site.setup.clone(),
            is_whole: true,
        }
    }

    /// Changes it and has the agent take it over.
    pub(crate) fn change_at_work(&mut self, site: &Site) {
        self.change(site);
        site.agent.reload();
    }

    /// Changes it while the agent is down, which it is not any more where that asks for something to happen first.
    pub(crate) fn change_between(&mut self, site: &Site) {
        self.change(site);
        site.agent.kill();
    }

    /// As it was at the beginning.
    pub(crate) fn end(&mut self, site: &Site) {
        self.put_back(site);
        site.agent.reload();
    }

    fn change(&mut self, site: &Site) {
        match (self.changes, self.is_whole) {
            (Changes::None, _) => {}
            (Changes::Exporter, true) => self.take_exporters_out(site),
            (Changes::Exporter, false) => self.put_back(site),
            (Changes::Globs(choice), _) => self.choose(choice, site),
        }
    }

    fn take_exporters_out(&mut self, site: &Site) {
        let others = &site.ends[1..];
        for end in others {
            end.network.proxy.set(Mode::Stall);
        }
        // What is stored from now on cannot be delivered; an exporter that holds nothing is forgotten once it is out.
        for end in others {
            let received = || Some(site.book_of(end.exporter)?.received.records);
            let mut before = None;
            let is_held = wait_until(HELD_WITHIN, || {
                site.start_again();
                before = before.or_else(received);
                before.is_some_and(|before| received().is_some_and(|now| now > before))
            });
            assert!(is_held, "nothing is stored for {}", end.exporter);
        }
        self.setup.exporters = &[MAIN];
        self.is_whole = false;
        site.configure(&self.setup);
    }

    fn put_back(&mut self, site: &Site) {
        self.setup = site.setup.clone();
        self.is_whole = true;
        if matches!(self.changes, Changes::Exporter) {
            for end in &site.ends[1..] {
                end.network.proxy.set(Mode::Pass);
            }
        }
        site.configure(&self.setup);
    }

    fn choose(&mut self, choice: &[Globs], site: &Site) {
        let mut rng = rand::rng();
        if rng.random_ratio(1, 3) {
            return self.put_back(site);
        }
        let globs = choice.choose(&mut rng).unwrap();
        let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
        let receiver = &mut self.setup.receivers[0];
        receiver.include = owned(globs.include);
        receiver.exclude = owned(globs.exclude);
        site.configure(&self.setup);
    }
}
