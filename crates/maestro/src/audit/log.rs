//! Lines at the end of a file.

use crate::probe::{seconds, words};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Zoned;
use maestro_core::boundary::{Auditor, Undelivered};
use maestro_core::notification::{LogLine, Notification};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;

/// How long writing a line may take: a file system across a network may hang.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

pub(super) struct Log {
    file: PathBuf,
}

impl Log {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.into() }
    }

    async fn write(&self, line: LogLine) -> Result<(), Undelivered> {
        let time = Zoned::now().strftime("%Y-%m-%d %H:%M:%S,%3f").to_string();
        let line = format!("{time} {}: {}\n", line.level, line.text);
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || append(&file, &line));
        match timeout(LIMIT, written).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(Undelivered(words(&error))),
            Ok(Err(error)) => Err(Undelivered(error.to_string())),
            Err(_) => Err(Undelivered(format!("the file could not be written to within {}", seconds(LIMIT)))),
        }
    }
}

/// Opens the file for each line: it may have been moved aside in the meantime, as logs are.
fn append(file: &PathBuf, line: &str) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(file)?.write_all(line.as_bytes())
}

impl Auditor for Log {
    fn tell<'a>(&'a self, notification: &'a Notification) -> BoxFuture<'a, Result<(), Undelivered>> {
        self.write(notification.log_line()).boxed()
    }
}
