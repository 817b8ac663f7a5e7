//! Work on many items by a few threads.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// The results of `work` over `items`, in their order, by at most so many threads; this one is among them.
///
/// # Errors
/// The first error; no more items are begun after it.
pub(crate) fn in_parallel<T: Sync, R: Send, E: Send>(
    threads_max: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Result<Vec<(usize, R)>, E>> = Mutex::new(Ok(Vec::new()));
    let run = || {
        while done.lock().is_ok() {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(place) else {
                return;
            };
            let result = work(item);
            let mut done = done.lock();
            match (&mut *done, result) {
                (Ok(results), Ok(result)) => results.push((place, result)),
                (Ok(_), Err(error)) => *done = Err(error),
                (Err(_), _) => {}
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads_max.min(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    let mut results = done.into_inner()?;
    results.sort_unstable_by_key(|(place, _)| *place);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_items() {
        let items: Vec<usize> = (0..100).collect();
        let doubled = in_parallel(4, &items, |item| Ok::<_, ()>(item * 2));
        assert_eq!(doubled, Ok((0..100).map(|item| item * 2).collect()));
        assert_eq!(in_parallel(4, &[], |_: &u8| Err::<(), _>(())), Ok(vec![]));
    }

    #[test]
    fn the_first_error_ends_it() {
        let begun = AtomicUsize::new(0);
        let work = |item: &usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            match item {
                3 => Err("three"),
                _ => Ok(()),
            }
        };
        let items: Vec<usize> = (0..100).collect();
        assert_eq!(in_parallel(1, &items, work), Err("three"));
        assert_eq!(begun.into_inner(), 4);
    }
}
