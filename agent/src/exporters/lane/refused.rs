//! What becomes of a request that was refused for good.
//!
//! It is halved until what is refused is one record, so that the others are delivered; at most [`PIECES_SENT_MAX`] requests
//! are spent on one, and [`PIECES_REFUSED_MAX`] when the destination takes nothing of it. What is left then, and every
//! record that was refused on its own, goes to the dead letters; while the volume has no room for one the lane waits, for
//! [`LETTER_PATIENCE`]. Pieces carry no sequence, so a piece whose answer is lost may be delivered twice.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use vervet_journal::JournalError;
use vervet_model::Signal;
use vervet_wire::BODY_BYTES_MAX;
use vervet_wire::compress::Packed;
use vervet_wire::otlp::count_records;

use super::{Fate, NotTaken, Of, Part, Shared};
use crate::buffer::blocking;
use crate::exporters::dead_letter::Letter;
use crate::exporters::retry::{Backoff, Failure, Reach};
use crate::exporters::split::halve;
use crate::exporters::trouble::Said;

const PIECES_SENT_MAX: u32 = 256;
const PIECES_REFUSED_MAX: u32 = 32;
/// How long a letter waits for room on the volume before it is given up.
const LETTER_PATIENCE: Duration = Duration::from_secs(600);

/// A part of a refused request, with the refusal if it was sent already.
struct Piece {
    body: Bytes,
    failure: Option<Failure>,
}

/// How far the halving of one request has come.
#[derive(Default)]
struct Halving {
    fate: Fate,
    sent: u32,
    accepted: bool,
}

impl Shared {
    pub(super) async fn refused(&self, of: Of, body: &Packed, failure: Failure) -> Fate {
        let (sequence, signal) = (of.sequence, of.signal);
        let mut halving = Halving::default();
        let body = match body.unpack(BODY_BYTES_MAX) {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, exporter = self.name, sequence, "refused request cannot be read, it is lost");
                return Fate {
                    not_kept: Part::All,
                    ..Fate::default()
                };
            }
        };
        let mut pieces = vec![Piece {
            body,
            failure: Some(failure.clone()),
        }];
        while let Some(piece) = pieces.pop() {
            let failure = match piece.failure {
                Some(failure) => failure,
                None if halving.is_hopeless() => failure.clone(),
                None => match self
                    .send_piece(of, (&piece.body, &failure), &mut halving)
                    .await
                {
                    Ok(()) => continue,
                    Err(failure) => failure,
                },
            };
            let halves = match halving.is_hopeless() {
                true => None,
                false => halve(&piece.body).ok().flatten(),
            };
            match halves {
                Some((first, second)) => {
                    for body in [second, first] {
                        let failure = None;
                        pieces.push(Piece { body, failure });
                    }
                }
                None => {
                    let (body, fate) = (piece.body, &mut halving.fate);
                    self.put_aside(sequence, signal, body, failure, fate).await;
                }
            }
        }
        halving.fate
    }

    async fn send_piece(
        &self,
        of: Of,
        (piece, whole): (&Bytes, &Failure),
        halving: &mut Halving,
    ) -> Result<(), Failure> {
        halving.sent += 1;
        let packed = self.plain.plain().pack(piece);
        let answer = self.send(of, &packed, None).await;
        let accepted = answer.map_err(|not_taken| match not_taken {
            NotTaken::Refused(failure) => failure,
            // It was sent as a whole, so nothing asks whether it is there still.
            NotTaken::Evicted => whole.clone(),
        })?;
        halving.accepted = true;
        halving.fate.left_out += self.left_out(of.signal, &accepted);
        Ok(())
    }

    /// Puts aside what was refused.
    async fn put_aside(
        &self,
        sequence: u64,
        signal: Signal,
        payload: Bytes,
        failure: Failure,
        fate: &mut Fate,
    ) {
        let counted = count_records(signal, &payload).ok();
        let records = counted.unwrap_or(u64::MAX);
        let is_due = self.refusals.happened();
        if let Some(Said { before, seconds }) = is_due {
            tracing::error!(exporter = self.name, %signal, sequence, records, status = failure.status,
                reason = failure.message, not_told = before, seconds, "destination refused records for good");
        }
        let of_it = failure.clone();
        let letter = Arc::new(Letter {
            exporter: self.name.clone(),
            sequence,
            signal,
            at: self.clock.now(),
            records,
            status: failure.status,
            reason: failure.message,
            payload,
        });
        let is_kept = self.keep(&letter).await;
        self.standing.refused(&of_it, is_kept);
        let of_its_kind = match is_kept {
            true => &mut fate.refused,
            false => &mut fate.not_kept,
        };
        *of_its_kind = of_its_kind.and(counted);
    }

    /// Keeps a letter; where the volume has no room, waits for it as the buffer does: whether it is kept.
    async fn keep(&self, letter: &Arc<Letter>) -> bool {
        let give_up_at = Instant::now() + LETTER_PATIENCE;
        let mut backoff = Backoff::new(self.pauses.initial, self.pauses.max);
        let kept = loop {
            self.standing.tries(letter.sequence);
            let (letters, copy) = (Arc::clone(&self.dead_letters), Arc::clone(letter));
            match blocking(move || letters.keep(&copy)).await {
                Ok(()) => break true,
                Err(error @ JournalError::NoSpace { .. }) if Instant::now() < give_up_at => {
                    let pause = backoff.next(None);
                    self.waits_for_room(letter, &error, pause);
                    sleep(pause).await;
                }
                Err(error) => {
                    self.dead_letters.lose(letter, &error);
                    break false;
                }
            }
        };
        self.standing.answered(letter.sequence);
        self.health.moved();
        kept
    }

    fn waits_for_room(&self, letter: &Letter, error: &JournalError, pause: Duration) {
        let message = format!(
            "{} refused records cannot be put aside, {error}; they were refused for {}: {}",
            letter.records, letter.status, letter.reason
        );
        tracing::warn!(exporter = self.name, sequence = letter.sequence, %error, "refused records wait for room on disk");
        let failure = Failure::passing(Reach::Answered, "no space", message);
        self.health.waits();
        self.standing.failed(letter.sequence, &failure, pause, None);
    }
}

impl Halving {
    /// Whether to stop asking.
    fn is_hopeless(&self) -> bool {
        self.sent >= PIECES_SENT_MAX || (!self.accepted && self.sent >= PIECES_REFUSED_MAX)
    }
}
