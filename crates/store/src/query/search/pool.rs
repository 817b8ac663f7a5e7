//! The threads that typed requests are answered on.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Something that is done in steps, several of them at once.
pub(crate) trait Work: Send + Sync {
    /// Does the next step, if there is one. Must not panic.
    fn step(&self);

    /// Whether there is a step that nobody does yet. A work whose steps come back is pushed again.
    fn has_steps(&self) -> bool;
}

/// Threads that take a step of each work in turn. Dropping it ends them after their step.
pub(crate) struct Pool(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    works: VecDeque<Arc<dyn Work>>,
    closed: bool,
}

impl Pool {
    pub(crate) fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for number in 0..threads {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("vervet-search-{number}"))
                .spawn(move || shared.run())?;
        }
        Ok(Self(shared))
    }

    /// A handle for works that queue themselves again.
    pub(crate) fn queue(&self) -> WorkQueue {
        WorkQueue(Arc::clone(&self.0))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.closed = true;
        queue.works.clear();
        self.0.wake.notify_all();
    }
}

#[derive(Clone)]
pub(crate) struct WorkQueue(Arc<Shared>);

impl WorkQueue {
    /// Has the threads do the work's steps until there are none.
    pub(crate) fn push(&self, work: Arc<dyn Work>) {
        let mut queue = self.0.queue.lock();
        if !queue.closed && !queue.works.iter().any(|known| Arc::ptr_eq(known, &work)) {
            queue.works.push_back(work);
        }
        self.0.wake.notify_all();
    }
}

impl Shared {
    fn run(&self) {
        while let Some(work) = self.next() {
            work.step();
            let mut queue = self.queue.lock();
            // Asked under the queue's lock: steps that come after this are followed by a push.
            if !work.has_steps() {
                queue.works.retain(|known| !Arc::ptr_eq(known, &work));
            }
        }
    }

    /// The work whose turn it is; it goes to the end of the queue.
    fn next(&self) -> Option<Arc<dyn Work>> {
        let mut queue = self.queue.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(work) = queue.works.pop_front() {
                queue.works.push_back(Arc::clone(&work));
                return Some(work);
            }
            self.wake.wait(&mut queue);
        }
    }
}
