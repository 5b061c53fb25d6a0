//! Ctrl-C, SIGTERM and a terminal that goes away.

use super::Fault;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// What one command hears of the user from a moment on. From the first such moment in a process, an interrupt does nothing
/// by itself any more: what nobody takes out of here is lost.
pub(super) struct Interrupts {
    /// A message for every interrupt that nobody has acted upon.
    pub(super) unheard: mpsc::UnboundedReceiver<()>,
    count: Arc<AtomicUsize>,
}

impl Interrupts {
    /// How many there were, whether or not anybody has acted upon them.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// For who has begun nothing yet.
    ///
    /// # Errors
    /// The interrupt.
    pub(super) fn unless_any(&self) -> Result<(), Fault> {
        if self.count() == 0 { Ok(()) } else { Err(Fault::Interrupted) }
    }
}

/// Hears every interrupt from now on. Where signals cannot be caught, there are none.
pub(super) fn listen() -> Interrupts {
    let (sender, unheard) = mpsc::unbounded_channel();
    let count = Arc::new(AtomicUsize::new(0));
    let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
    // Listening would undo what `nohup` has done.
    if hangups_count() {
        kinds.push(SignalKind::hangup());
    }
    for mut signal in kinds.into_iter().filter_map(|kind| signal(kind).ok()) {
        let (sender, count) = (sender.clone(), count.clone());
        // Ends when nobody listens any more, at the latest with the process.
        tokio::spawn(async move { pass_on(&mut signal, &sender, &count).await });
    }
    Interrupts { unheard, count }
}

async fn pass_on(signal: &mut Signal, sender: &mpsc::UnboundedSender<()>, count: &AtomicUsize) {
    loop {
        tokio::select! {
            more = signal.recv() => {
                if more.is_none() {
                    return;
                }
                count.fetch_add(1, Ordering::Relaxed);
                if sender.send(()).is_err() {
                    return;
                }
            }
            () = sender.closed() => return,
        }
    }
}

/// Whether a hangup ends this process; not if it was started so that it does not, nor where that cannot be told.
fn hangups_count() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| !ignores_hangup(&status))
}

/// Reads the set of ignored signals in Linux's description of a process; SIGHUP is the first.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_none_or(|mask| mask & 1 == 1)
}

/// Does something that changes nothing, unless the user loses patience: then it is dropped, and with it every
/// connection and every `ssh` that it has opened.
///
/// # Errors
/// Those of the work, and the interrupt.
pub(super) async fn unless_interrupted<T>(work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let mut interrupts = listen();
    tokio::select! {
        biased;
        outcome = work => outcome,
        Some(()) = interrupts.unheard.recv() => Err(Fault::LeftOff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_respected() {
        assert!(ignores_hangup("Name:\tmaestro\nSigIgn:\t0000000000000001\n"));
        assert!(!ignores_hangup("Name:\tmaestro\nSigIgn:\t0000000000001000\n"));
        assert!(ignores_hangup("nothing of that kind"), "what cannot be told is left as it is");
    }

    #[tokio::test]
    async fn work_that_is_done_counts() {
        let outcome = unless_interrupted(async { Ok(1) }).await;
        assert_eq!(outcome.unwrap(), 1);
    }
}
