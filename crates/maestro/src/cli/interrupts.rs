//! Ctrl-C and SIGTERM, counted.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// A message for every interrupt from now on. Where signals cannot be caught, there are none.
pub(super) fn listen() -> mpsc::UnboundedReceiver<()> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    if let (Ok(mut interrupt), Ok(mut terminate)) = signals {
        // Ends when nobody listens any more, at the latest with the process.
        tokio::spawn(async move {
            loop {
                let more = tokio::select! {
                    more = interrupt.recv() => more,
                    more = terminate.recv() => more,
                };
                if more.is_none() || sender.send(()).is_err() {
                    return;
                }
            }
        });
    }
    receiver
}
