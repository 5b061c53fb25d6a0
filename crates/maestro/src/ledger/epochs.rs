//! Who has been the owner: numbers that outlive leases and the folders that they are made of.

use super::envelope::{open, seal};
use super::quorum::{Quorum, Said};
use maestro_core::boundary::{Document, File, LedgerError};
use maestro_core::lease::Epochs;
use std::time::Duration;

/// Where they are.
const EPOCHS: &str = "index/epochs";
const OVER: &str = ".over";
const LONGER: &str = ".longer";

/// How many numbered files share a directory: one that nobody needs is taken away as a whole, so that folders do not
/// fill with the names of what they once contained.
pub(super) const BUCKET: u64 = 100;

/// The path of something numbered.
pub(super) fn numbered(directory: &str, number: u64) -> String {
    format!("{}/{number:010}", bucket(directory, number))
}

pub(super) fn bucket(directory: &str, number: u64) -> String {
    format!("{directory}/{:08}", number / BUCKET)
}

/// Takes away the bucket before a number's: what is left of marks of which only the highest counts.
pub(super) fn without_earlier(directory: &str, number: u64) -> Option<File> {
    Some(File::absent(bucket(directory, number.checked_sub(BUCKET)?)))
}

/// The number in a path below a directory, and what follows it in its name.
pub(super) fn number_of<'a>(directory: &str, path: &'a str) -> Option<(u64, &'a str)> {
    let (_, name) = path.strip_prefix(directory)?.strip_prefix('/')?.split_once('/')?;
    let (number, rest) = name.split_at_checked(10)?;
    Some((number.parse().ok()?, rest))
}

/// Which epochs there were, by what anchors have.
pub(super) fn of(said: &[Said<Vec<File>>]) -> Epochs {
    let mut highest = 0;
    let mut begun: Vec<String> = Vec::new();
    let mut over: Vec<String> = Vec::new();
    let mut settle = Duration::ZERO;
    for (_, files) in said {
        for file in files {
            // The name counts: what is damaged was meant all the same.
            let Some((number, rest)) = number_of(EPOCHS, &file.path) else { continue };
            if number > highest {
                highest = number;
                begun.clear();
                over.clear();
                settle = Duration::ZERO;
            }
            if number == highest {
                if let Some(run) = rest.strip_suffix(OVER) {
                    over.push(run.to_owned());
                    continue;
                }
                settle = settle.max(settle_of(&file.content));
                if !rest.ends_with(LONGER) {
                    begun.push(rest.to_owned());
                }
            }
        }
    }
    Epochs { highest, over: begun.iter().all(|run| over.contains(run)), settle }
}

/// How long after its end calls of a run may be under way, as it wrote down itself; a damaged record says nothing.
fn settle_of(content: &[u8]) -> Duration {
    let bytes = open(content).and_then(|document| document.bytes.try_into().ok());
    Duration::from_millis(bytes.map_or(0, u64::from_be_bytes))
}

/// Records an epoch as a run's, with how long its successor has to wait for it.
pub(super) async fn record(
    quorum: &Quorum,
    epoch: u64,
    run: &str,
    settle: Duration,
) -> Result<(), LedgerError> {
    let mut files = vec![File::new(path(epoch, run), times(settle))];
    files.extend(without_earlier(EPOCHS, epoch));
    quorum.put(&files).await
}

/// Records that its successor has to wait for longer.
pub(super) async fn lengthen(
    quorum: &Quorum,
    epoch: u64,
    run: &str,
    settle: Duration,
) -> Result<(), LedgerError> {
    quorum.put(&[File::new(format!("{}{LONGER}", path(epoch, run)), times(settle))]).await
}

fn times(settle: Duration) -> Vec<u8> {
    let millis = u64::try_from(settle.as_millis()).unwrap_or(u64::MAX);
    seal(&Document::new(0, millis.to_be_bytes()))
}

/// Records that a run is over.
pub(super) async fn close(quorum: &Quorum, epoch: u64, run: &str) -> Result<(), LedgerError> {
    quorum.put(&[over(epoch, run)]).await
}

/// The mark that a run is over.
pub(super) fn over(epoch: u64, run: &str) -> File {
    File::new(format!("{}{OVER}", path(epoch, run)), seal(&Document::new(0, Vec::new())))
}

fn path(epoch: u64, run: &str) -> String {
    format!("{}.{run}", numbered(EPOCHS, epoch))
}
