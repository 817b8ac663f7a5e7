//! How many requests of one exporter may be under way: additive increase, multiplicative decrease.
//!
//! It starts with one. A round of answers that used the whole limit and came as fast as usual adds one; a request that
//! failed and is to be repeated halves the limit, once a round; a round that took more than [`SLOW_FACTOR`] times as
//! long as usual takes a fifth off. A destination that asks for a pause stops all lanes until it is over.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A round is slow when its mean is over this many times the usual, and [`SLOW_MARGIN`] above.
const SLOW_FACTOR: f64 = 2.0;
const SLOW_MARGIN: Duration = Duration::from_millis(20);
/// Weight of the newest round in what is usual; of a slow one less, so that a lasting change is learnt in the end.
const WEIGHT: f64 = 0.3;
const WEIGHT_SLOW: f64 = 0.05;
/// Answers that make a round, at least.
const ROUND_ANSWERS_MIN: u32 = 4;

/// Cloning shares the limit.
#[derive(Debug, Clone)]
pub(super) struct Limiter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    freed: Notify,
    /// Nothing is under way any more.
    idle: Notify,
}

#[derive(Debug)]
struct State {
    limit: f64,
    max: f64,
    under_way: u32,
    closed: bool,
    /// Seconds a request usually takes.
    usual: Option<f64>,
    round: Round,
    halved_at: Option<Instant>,
    paused_until: Option<Instant>,
}

#[derive(Debug, Default)]
struct Round {
    answers: u32,
    seconds: f64,
    used_up: bool,
}

/// Leave to have one request under way, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    limiter: Limiter,
    since: Instant,
}

impl Limiter {
    pub(super) fn new(max: u32) -> Self {
        let state = State {
            limit: 1.0,
            max: f64::from(max.max(1)),
            under_way: 0,
            closed: false,
            usual: None,
            round: Round::default(),
            halved_at: None,
            paused_until: None,
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            freed: Notify::new(),
            idle: Notify::new(),
        }))
    }

    /// Waits for leave to send, first come first served.
    pub(super) async fn acquire(&self) -> Permit {
        loop {
            let pause = {
                let mut state = self.0.state.lock();
                match state.paused_until.filter(|until| *until > Instant::now()) {
                    Some(until) => Some(until),
                    None if state.take() => {
                        return Permit {
                            limiter: self.clone(),
                            since: Instant::now(),
                        };
                    }
                    None => None,
                }
            };
            match pause {
                Some(until) => sleep_until(until).await,
                None => self.0.freed.notified().await,
            }
        }
    }

    /// Nothing is sent before `until`.
    pub(super) fn pause_until(&self, until: Instant) {
        let mut state = self.0.state.lock();
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// Lets nobody begin any more, and waits for those that have begun.
    pub(super) async fn close(&self) {
        self.0.state.lock().closed = true;
        while self.0.state.lock().under_way > 0 {
            self.0.idle.notified().await;
        }
    }

    /// Requests that may be under way.
    pub(super) fn limit(&self) -> u32 {
        self.0.state.lock().allowed()
    }
}

impl Permit {
    /// The destination answered.
    pub(super) fn answered(self) {
        let seconds = self.since.elapsed().as_secs_f64();
        self.limiter.0.state.lock().answered(seconds);
    }

    /// The request failed and is to be repeated.
    pub(super) fn failed(self) {
        self.limiter.0.state.lock().failed(self.since);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.limiter.0.state.lock();
        state.under_way = state.under_way.saturating_sub(1);
        let free = state.allowed().saturating_sub(state.under_way);
        let idle = state.under_way == 0;
        drop(state);
        if idle {
            self.limiter.0.idle.notify_one();
        }
        for _ in 0..free {
            self.limiter.0.freed.notify_one();
        }
    }
}

impl State {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and the number of lanes"
    )]
    fn allowed(&self) -> u32 {
        self.limit as u32
    }

    fn take(&mut self) -> bool {
        if self.closed || self.under_way >= self.allowed() {
            return false;
        }
        self.under_way += 1;
        self.round.used_up |= self.under_way >= self.allowed();
        true
    }

    fn answered(&mut self, seconds: f64) {
        self.round.answers += 1;
        self.round.seconds += seconds;
        if self.round.answers < self.allowed().max(ROUND_ANSWERS_MIN) {
            return;
        }
        let round = std::mem::take(&mut self.round);
        let mean = round.seconds / f64::from(round.answers);
        let usual = self.usual.unwrap_or(mean);
        let slow = mean > usual * SLOW_FACTOR + SLOW_MARGIN.as_secs_f64();
        let weight = if slow { WEIGHT_SLOW } else { WEIGHT };
        self.usual = Some(usual + (mean - usual) * weight);
        if slow {
            self.limit = (self.limit * 0.8).max(1.0);
        } else if round.used_up {
            self.limit = (self.limit + 1.0).min(self.max);
        }
    }

    /// What was under way when the limit was halved says nothing new.
    fn failed(&mut self, since: Instant) {
        if self.halved_at.is_some_and(|halved_at| halved_at > since) {
            return;
        }
        self.halved_at = Some(Instant::now());
        self.round = Round::default();
        self.limit = (self.limit / 2.0).max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes the whole limit and lets every request be answered after `seconds`.
    fn round(limiter: &Limiter, seconds: f64) {
        let mut state = limiter.0.state.lock();
        let allowed = state.allowed();
        (0..allowed).for_each(|_| assert!(state.take()));
        assert!(!state.take(), "over the limit");
        (0..allowed).for_each(|_| state.answered(seconds));
        state.under_way = 0;
    }

    fn grown(max: u32) -> Limiter {
        let limiter = Limiter::new(max);
        (0..40).for_each(|_| round(&limiter, 0.01));
        limiter
    }

    #[tokio::test]
    async fn answers_raise_the_limit_to_its_maximum_and_failures_halve_it() {
        assert_eq!(Limiter::new(4).limit(), 1);
        assert_eq!(grown(3).limit(), 3);
        let limiter = grown(4);
        assert_eq!(limiter.limit(), 4);
        let (first, second) = (limiter.acquire().await, limiter.acquire().await);
        first.failed();
        second.failed();
        assert_eq!(limiter.limit(), 2, "two of one round count once");
        for _ in 0..3 {
            limiter.acquire().await.failed();
        }
        assert_eq!(limiter.limit(), 1, "never less than one");
    }

    #[test]
    fn slower_answers_lower_the_limit_until_they_are_what_is_usual() {
        let limiter = grown(4);
        (0..3).for_each(|_| round(&limiter, 0.5));
        assert!(limiter.limit() < 4);
        (0..400).for_each(|_| round(&limiter, 0.5));
        assert_eq!(limiter.limit(), 4);
    }

    #[test]
    fn a_limit_that_is_not_used_does_not_grow() {
        let limiter = Limiter::new(4);
        round(&limiter, 0.01);
        (0..40).for_each(|_| limiter.0.state.lock().answered(0.01));
        assert!(limiter.limit() <= 2);
    }

    #[tokio::test]
    async fn after_the_end_nobody_begins_and_who_has_begun_is_waited_for() {
        let limiter = Limiter::new(4);
        let permit = limiter.acquire().await;
        let closing = tokio::spawn({
            let limiter = limiter.clone();
            async move { limiter.close().await }
        });
        tokio::task::yield_now().await;
        assert!(!closing.is_finished(), "one is under way");
        permit.answered();
        closing.await.expect("idle");
        assert!(!limiter.0.state.lock().take(), "closed");
        limiter.close().await;
    }

    #[tokio::test]
    async fn nobody_sends_during_a_pause_and_who_waits_is_woken() {
        let limiter = Limiter::new(4);
        let until = Instant::now() + Duration::from_millis(20);
        limiter.pause_until(until);
        let permit = limiter.acquire().await;
        assert!(Instant::now() >= until);
        let waiting = tokio::spawn({
            let limiter = limiter.clone();
            async move { limiter.acquire().await.answered() }
        });
        tokio::task::yield_now().await;
        assert!(
            !waiting.is_finished(),
            "one is under way and one is allowed"
        );
        drop(permit);
        waiting.await.expect("woken");
    }
}
