//! The two streams, and what is known about them: data goes to standard output, talk to standard error.

use super::capabilities::{Capabilities, size_of_stdout};
use super::paint::Paint;
use super::screen::Screen;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output: what was asked for.
    Out,
    /// Standard error: everything said about it.
    Err,
}

/// Rows of a terminal that does not tell.
const DEFAULT_ROWS: usize = 24;

/// Writes to both streams. Clones share them.
///
/// Nothing that is printed fails the work that it reports on: a reader that went away (`| head`) ends the output
/// quietly, and any other error is kept for [`Printer::outcome`].
#[derive(Clone)]
pub struct Printer {
    shared: Arc<Shared>,
}

struct Shared {
    capabilities: Capabilities,
    size: Box<dyn Fn() -> Option<(usize, usize)> + Send + Sync>,
    streams: Mutex<Streams>,
}

struct Streams {
    out: Sink,
    err: Sink,
    screen: Screen,
    /// Whether a note stands on the last line of standard error.
    noted: bool,
}

impl Streams {
    /// Takes the note away.
    fn forget_note(&mut self) {
        if std::mem::take(&mut self.noted) {
            self.err.write(BARE_LINE);
        }
    }
}

/// Back to the beginning of a line with nothing on it.
const BARE_LINE: &str = "\r\x1b[K";
/// Columns of a standard error that is a terminal while standard output is none: nobody asks it.
const USUAL_COLUMNS: usize = 80;

struct Sink {
    to: Box<dyn Write + Send>,
    closed: bool,
    failure: Option<io::Error>,
}

impl Sink {
    fn new(to: impl Write + Send + 'static) -> Self {
        Self { to: Box::new(to), closed: false, failure: None }
    }

    fn write(&mut self, text: &str) {
        if self.closed || text.is_empty() {
            return;
        }
        if let Err(error) = self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush()) {
            self.closed = true;
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.failure = Some(error);
            }
        }
    }
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printer").field("capabilities", &self.shared.capabilities).finish_non_exhaustive()
    }
}

impl Printer {
    /// On the process's own streams.
    pub fn stdio(capabilities: Capabilities) -> Self {
        Self::new(capabilities, io::stdout(), io::stderr(), size_of_stdout)
    }

    /// On other streams; `size` is asked for columns and rows whenever a live table is drawn.
    pub fn new(
        capabilities: Capabilities,
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
        size: impl Fn() -> Option<(usize, usize)> + Send + Sync + 'static,
    ) -> Self {
        let streams =
            Streams { out: Sink::new(out), err: Sink::new(err), screen: Screen::default(), noted: false };
        Self { shared: Arc::new(Shared { capabilities, size: Box::new(size), streams: Mutex::new(streams) }) }
    }

    /// Into memory.
    pub fn captured(capabilities: Capabilities) -> (Self, Captured) {
        Self::captured_on(capabilities, (capabilities.columns, DEFAULT_ROWS))
    }

    /// Into memory, as on a terminal of so many columns and rows.
    pub fn captured_on(capabilities: Capabilities, size: (usize, usize)) -> (Self, Captured) {
        let captured = Captured::default();
        (Self::new(capabilities, captured.out.clone(), captured.err.clone(), move || Some(size)), captured)
    }

    /// What the streams can do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.shared.capabilities
    }

    /// How a stream is coloured.
    pub fn paint(&self, stream: Stream) -> Paint {
        Paint::new(match stream {
            Stream::Out => self.shared.capabilities.out_color,
            Stream::Err => self.shared.capabilities.err_color,
        })
    }

    /// Writes text to a stream as it is, at once. A live table makes room for it and comes back with its next frame.
    pub fn print(&self, stream: Stream, text: &str) {
        let mut streams = self.streams();
        streams.forget_note();
        let erased = streams.screen.erase();
        streams.out.write(&erased);
        match stream {
            Stream::Out => streams.out.write(text),
            Stream::Err => streams.err.write(text),
        }
    }

    /// Writes data: standard output, as it is.
    pub fn data(&self, text: &str) {
        self.print(Stream::Out, text);
    }

    /// Says something: one or more lines on standard error.
    pub fn talk(&self, text: &str) {
        self.print(Stream::Err, &format!("{text}\n"));
    }

    /// Notes something on the last line of a standard error that is a terminal, in the place of the last note and
    /// until something else is printed; nothing elsewhere. It must be narrower than [`Printer::note_columns`].
    pub(super) fn note(&self, text: &str) {
        if !self.shared.capabilities.animate_err {
            return;
        }
        let mut streams = self.streams();
        if text.is_empty() {
            streams.forget_note();
        } else {
            streams.err.write(&format!("\r{text}\x1b[K"));
            streams.noted = true;
        }
    }

    /// Columns for a note: no terminal must break the line.
    pub(super) fn note_columns(&self) -> usize {
        let columns = self.size().0;
        let columns = if self.shared.capabilities.out_is_tty { columns } else { columns.min(USUAL_COLUMNS) };
        columns.saturating_sub(1).max(1)
    }

    /// Whether nobody reads standard output any more: a reason to stop what goes on for ever.
    pub fn is_closed(&self) -> bool {
        self.streams().out.closed
    }

    /// The first error of writing to standard output that was not a reader going away.
    pub fn outcome(&self) -> io::Result<()> {
        self.streams().out.failure.take().map_or(Ok(()), Err)
    }

    /// Columns and rows of the terminal now.
    pub(super) fn size(&self) -> (usize, usize) {
        let columns = self.shared.capabilities.columns;
        match (self.shared.size)() {
            // A terminal that was resized; and a `COLUMNS` beyond the terminal would break every drawn line.
            Some((now, rows)) if self.shared.capabilities.fixed_columns => (columns.min(now), rows),
            Some(now) => now,
            None => (columns, DEFAULT_ROWS),
        }
    }

    /// Draws lines where the last ones were drawn; see [`Screen::draw`].
    pub(super) fn draw(&self, lines: Vec<String>, columns: usize) {
        let mut streams = self.streams();
        streams.forget_note();
        let frame = streams.screen.draw(lines, columns);
        streams.out.write(&frame);
    }

    /// Leaves the drawn lines where they are: what follows is written below them.
    pub(super) fn keep(&self) {
        self.streams().screen.keep();
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.shared.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was written into memory.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    out: Memory,
    err: Memory,
}

impl Captured {
    /// What went to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout_from(0)
    }

    /// What went to standard output after so many bytes.
    pub fn stdout_from(&self, at: usize) -> String {
        self.out.text(at)
    }

    /// What went to standard error so far.
    pub fn stderr(&self) -> String {
        self.err.text(0)
    }
}

#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn text(&self, at: usize) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(bytes.get(at..).unwrap_or_default()).into_owned()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
