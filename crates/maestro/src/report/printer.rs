//! The two streams, and what is known about them: data goes to standard output, talk to standard error.

use super::paint::Paint;
use super::screen::Screen;
use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whether colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal that takes them
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output: what was asked for.
    Out,
    /// Standard error: everything said about it.
    Err,
}

/// What the process was given: the ground for [`Capabilities`].
pub struct Surroundings<'a> {
    /// The process environment.
    pub var: &'a dyn Fn(&str) -> Option<String>,
    /// Whether standard output is a terminal.
    pub out_is_tty: bool,
    /// Whether standard error is a terminal.
    pub err_is_tty: bool,
    /// Columns and rows of the terminal behind standard output.
    pub size: Option<(usize, usize)>,
}

/// What the streams can do; decided once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about two streams, read by name")]
pub struct Capabilities {
    /// Whether standard output is a terminal.
    pub out_is_tty: bool,
    /// Whether standard error is a terminal.
    pub err_is_tty: bool,
    /// Whether standard output gets colours.
    pub out_color: bool,
    /// Whether standard error gets colours.
    pub err_color: bool,
    /// Whether lines of standard output may be redrawn.
    pub animate: bool,
    /// Whether a line of standard error may be taken back.
    pub animate_err: bool,
    /// Whether characters outside ASCII are understood.
    pub unicode: bool,
    /// Columns that tables are laid out for.
    pub columns: usize,
    /// Whether the user has fixed them; else a live table follows the terminal's.
    pub fixed_columns: bool,
}

/// Columns where nothing tells: maestro-ng's choice.
const DEFAULT_COLUMNS: usize = 120;

/// Rows of a terminal that does not tell.
const DEFAULT_ROWS: usize = 24;

impl Capabilities {
    /// Draws the conclusions: an explicit choice wins, then `NO_COLOR`, `CLICOLOR_FORCE`, `TERM=dumb`, `ANSICON`,
    /// `CLICOLOR`, then whether the stream is a terminal. `COLUMNS` wins over the terminal's size if it is a number.
    pub fn decide(choice: ColorChoice, given: &Surroundings<'_>) -> Self {
        let set = |name: &str| (given.var)(name).filter(|v| !v.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        let color = |tty: bool| match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if set("NO_COLOR").is_some() => false,
            ColorChoice::Auto if set("CLICOLOR_FORCE").is_some_and(|v| v != "0") => true,
            ColorChoice::Auto if dumb => false,
            // Present is enough, even if empty: the rule of the shells that set it.
            ColorChoice::Auto if (given.var)("ANSICON").is_some() => true,
            ColorChoice::Auto if set("CLICOLOR").is_some_and(|v| v == "0") => false,
            ColorChoice::Auto => tty,
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let fixed = set("COLUMNS").and_then(|v| v.trim().parse().ok()).filter(|columns| *columns > 0);
        Self {
            out_is_tty: given.out_is_tty,
            err_is_tty: given.err_is_tty,
            out_color: color(given.out_is_tty),
            err_color: color(given.err_is_tty),
            animate: given.out_is_tty && !dumb,
            animate_err: given.err_is_tty && !dumb,
            unicode: locale.is_none_or(|l| {
                let l = l.to_ascii_lowercase();
                // The C locale without a charset says nothing about the terminal, which today speaks UTF-8.
                l.contains("utf") || !l.contains('.')
            }) && set("TERM").is_none_or(|term| term != "linux"),
            columns: fixed
                .or(given.size.map(|(columns, _)| columns).filter(|_| given.out_is_tty))
                .unwrap_or(DEFAULT_COLUMNS),
            fixed_columns: fixed.is_some(),
        }
    }

    /// What this process was given.
    pub fn of_process(choice: ColorChoice, var: &dyn Fn(&str) -> Option<String>) -> Self {
        Self::decide(
            choice,
            &Surroundings {
                var,
                out_is_tty: io::stdout().is_terminal(),
                err_is_tty: io::stderr().is_terminal(),
                size: size_of_stdout(),
            },
        )
    }

    /// Nothing but plain text, for pipes and tests.
    pub fn plain(columns: usize) -> Self {
        Self {
            out_is_tty: false,
            err_is_tty: false,
            out_color: false,
            err_color: false,
            animate: false,
            animate_err: false,
            unicode: true,
            columns,
            fixed_columns: true,
        }
    }
}

fn size_of_stdout() -> Option<(usize, usize)> {
    let (terminal_size::Width(columns), terminal_size::Height(rows)) =
        terminal_size::terminal_size_of(io::stdout())?;
    (columns > 0 && rows > 0).then_some((columns.into(), rows.into()))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(choice: ColorChoice, tty: bool, vars: &[(&str, &str)]) -> Capabilities {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let given =
            Surroundings { var: &var, out_is_tty: tty, err_is_tty: tty, size: tty.then_some((80, 24)) };
        Capabilities::decide(choice, &given)
    }

    #[test]
    fn colour_follows_the_conventions() {
        use ColorChoice::{Always, Auto, Never};
        for (choice, tty, vars, color) in [
            (Auto, true, &[][..], true),
            (Auto, false, &[], false),
            (Auto, true, &[("NO_COLOR", "1")], false),
            (Auto, true, &[("NO_COLOR", "")], true),
            (Auto, true, &[("TERM", "dumb")], false),
            (Auto, false, &[("CLICOLOR_FORCE", "1")], true),
            (Auto, false, &[("CLICOLOR_FORCE", "0")], false),
            (Auto, false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
            (Auto, false, &[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")], true),
            (Auto, true, &[("CLICOLOR", "0")], false),
            (Auto, false, &[("ANSICON", "")], true),
            (Always, false, &[("NO_COLOR", "1")], true),
            (Never, true, &[("CLICOLOR_FORCE", "1")], false),
        ] {
            assert_eq!(decide(choice, tty, vars).out_color, color, "{choice:?} {tty} {vars:?}");
        }
    }

    #[test]
    fn columns_that_are_no_number_are_ignored() {
        for (tty, columns, expected) in [
            (false, None, 120),
            (true, None, 80),
            (true, Some("100"), 100),
            (false, Some("150"), 150),
            (true, Some("wide"), 80),
            (false, Some("-1"), 120),
            (false, Some("0"), 120),
            (false, Some("99999999999999999999999"), 120),
        ] {
            let vars: Vec<_> = columns.map(|c| ("COLUMNS", c)).into_iter().collect();
            assert_eq!(decide(ColorChoice::Auto, tty, &vars).columns, expected, "{columns:?}");
        }
    }

    #[test]
    fn dumb_terminals_and_old_locales_are_spared() {
        assert!(decide(ColorChoice::Auto, true, &[("TERM", "xterm")]).animate);
        assert!(!decide(ColorChoice::Auto, true, &[("TERM", "dumb")]).animate);
        assert!(!decide(ColorChoice::Auto, false, &[("ANSICON", "1")]).animate);
        for (vars, unicode) in [
            (&[("LANG", "de_DE.UTF-8")][..], true),
            (&[("LANG", "C")], true),
            (&[("LANG", "en_US.ISO-8859-1")], false),
            (&[("LANG", "C.utf8"), ("LC_ALL", "de_DE.ISO-8859-15")], false),
            (&[("TERM", "linux")], false),
        ] {
            assert_eq!(decide(ColorChoice::Auto, true, vars).unicode, unicode, "{vars:?}");
        }
    }
}
