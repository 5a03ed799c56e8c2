//! The same work on many files: by all processors, told in the order of the files, and forgotten once it is told.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::Failure;

/// How many files a thread takes before what came out is told. More are held at once, fewer leave threads waiting for the
/// slowest.
const EACH: usize = 16;

/// What a thread may use, as much as the main one has: files nest deeply.
const STACK: usize = 8 << 20;

/// Works on every item and tells the results in their order. `tell` says whether to go on; returned is how many items were
/// told.
pub(super) fn in_order<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut tell: impl FnMut(R) -> Result<bool, Failure>,
) -> Result<usize, Failure> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let mut told = 0;
    for batch in items.chunks(EACH * threads) {
        for result in of_batch(batch, threads.min(batch.len()), &work) {
            told += 1;
            if !tell(result)? {
                return Ok(told);
            }
        }
    }
    Ok(told)
}

fn of_batch<T: Sync, R: Send>(batch: &[T], threads: usize, work: &(impl Fn(&T) -> R + Sync)) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = batch.get(at) else {
                return done;
            };
            done.push((at, work(item)));
        }
    };
    let mut done = thread::scope(|scope| {
        // Where no thread can be had, this one does everything.
        let others: Vec<_> = (1..threads)
            .map_while(|_| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, take).ok())
            .collect();
        let mut done = take();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn results_come_in_the_order_of_the_items_and_end_where_they_are_told_to() {
        let items: Vec<u64> = (0..1000).collect();
        let mut told = Vec::new();
        let slow_at_first = |item: &u64| {
            std::thread::sleep(std::time::Duration::from_micros(300 / (item + 1)));
            item * 2
        };
        let count = in_order(&items, slow_at_first, |result| {
            told.push(result);
            Ok(told.len() < 700)
        });
        assert_eq!(count.unwrap(), 700);
        assert_eq!(told, (0..700).map(|item| item * 2).collect::<Vec<u64>>());
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let items = [1, 2, 3];
        let outcome = std::panic::catch_unwind(|| {
            let _ = in_order(&items, |item| assert_ne!(*item, 2), |()| Ok(true));
        });
        assert!(outcome.is_err());
    }
}
