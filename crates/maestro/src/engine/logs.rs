//! A container's output, line by line.

use super::docker::{DockerEngine, error};
use super::frames::Frames;
use super::wire::encoded;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use http::{Method, Request};
use hyper::body::Bytes;
use jiff::Timestamp;
use maestro_core::boundary::{LogLine, LogOptions, LogStream};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::plan::Target;
use std::collections::VecDeque;

/// A line that is longer is handed on in pieces.
const LONGEST_LINE: usize = 1 << 20;
/// The engine's timestamps are 30 bytes, followed by a blank.
const LONGEST_STAMP: usize = 40;

impl DockerEngine {
    pub(super) fn output_of<'a>(
        &'a self,
        target: &'a Target,
        options: &'a LogOptions,
    ) -> BoxStream<'a, Result<LogLine, EngineError>> {
        let operation = move || format!("reading the output of {}", target.name());
        let opened = async move {
            match self.open_output(target, options).await {
                Ok(lines) => Ok(lines.map_err(move |kind| error(&self.ship.name, operation(), kind, false))),
                Err(kind) => Err(self.failed(operation(), kind, false)),
            }
        };
        futures_util::stream::once(opened).try_flatten().boxed()
    }

    async fn open_output(
        &self,
        target: &Target,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine, EngineErrorKind>>, EngineErrorKind> {
        let (version, call) = self.read_call().await?;
        let wire = &self.wire;
        let terminal = self.inspect(&call, target.reference()).await?.config.tty;
        let mut path = format!(
            "/containers/{}/logs?stdout=1&stderr=1&timestamps=1&follow={}&tail={}",
            encoded(target.reference()),
            u8::from(options.follow),
            options.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
        );
        if let Some(since) = options.since {
            path.push_str("&since=");
            path.push_str(&seconds(since));
        }
        let call = self.call(&version);
        let response = wire.send(&call, Request::builder().method(Method::GET), &path, "").await?;
        let pieces = if options.follow {
            // A container may be silent for as long as it likes, its engine may not.
            self.liveness.follow(wire.pieces(response.into_body(), None)).boxed()
        } else {
            wire.pieces(response.into_body(), Some(self.reading())).boxed()
        };
        Ok(lines(pieces, terminal).boxed())
    }
}

/// A time as the engine's queries want it.
pub(super) fn seconds(at: Timestamp) -> String {
    let nanoseconds = at.as_nanosecond().max(0);
    format!("{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000)
}

fn lines(
    pieces: BoxStream<'static, Result<Bytes, EngineErrorKind>>,
    terminal: bool,
) -> impl futures_util::Stream<Item = Result<LogLine, EngineErrorKind>> + Send + 'static {
    struct Reading {
        pieces: Option<BoxStream<'static, Result<Bytes, EngineErrorKind>>>,
        frames: Frames,
        lines: Lines,
    }
    let reading =
        Reading { pieces: Some(pieces), frames: Frames::new(terminal), lines: Lines::new(terminal) };
    futures_util::stream::unfold(reading, async |mut reading| {
        loop {
            if let Some(line) = reading.lines.ready.pop_front() {
                return Some((Ok(line), reading));
            }
            let pieces = reading.pieces.as_mut()?;
            let failed = match pieces.next().await {
                Some(Ok(bytes)) => {
                    let lines = &mut reading.lines;
                    reading
                        .frames
                        .take(&bytes, |piece| lines.take(piece.stream, piece.begins, piece.bytes))
                        .err()
                }
                Some(Err(kind)) => Some(kind),
                None => {
                    reading.pieces = None;
                    reading.lines.finish();
                    (!reading.frames.is_complete())
                        .then(|| EngineErrorKind::Lost("the output broke off inside a line".to_owned()))
                }
            };
            if let Some(kind) = failed {
                reading.pieces = None;
                return Some((Err(kind), reading));
            }
        }
    })
}

/// Puts lines together from pieces of two streams.
struct Lines {
    terminal: bool,
    out: Line,
    err: Line,
    ready: VecDeque<LogLine>,
}

/// A line that has no end yet.
struct Line {
    stream: LogStream,
    /// The timestamp that is being read; none while text is.
    stamp: Option<Vec<u8>>,
    at: Option<Timestamp>,
    text: Vec<u8>,
}

impl Lines {
    fn new(terminal: bool) -> Self {
        let line = |stream| Line { stream, stamp: terminal.then(Vec::new), at: None, text: Vec::new() };
        Self { terminal, out: line(LogStream::Stdout), err: line(LogStream::Stderr), ready: VecDeque::new() }
    }

    fn take(&mut self, stream: LogStream, begins: bool, mut bytes: &[u8]) {
        let line = match stream {
            LogStream::Stdout => &mut self.out,
            LogStream::Stderr => &mut self.err,
        };
        if begins {
            // Every frame has a timestamp in front, also those that go on with a line that is too long for one.
            line.stamp = Some(Vec::new());
            if line.text.is_empty() {
                line.at = None;
            }
        }
        while !bytes.is_empty() {
            bytes = if line.stamp.is_some() {
                line.take_stamp(bytes)
            } else {
                line.take_text(bytes, self.terminal, &mut self.ready)
            };
        }
    }

    fn finish(&mut self) {
        for line in [&mut self.out, &mut self.err] {
            if let Some(stamp) = line.stamp.take() {
                line.end_stamp(&stamp);
            }
            if !line.text.is_empty() {
                let line = line.cut();
                self.ready.push_back(line);
            }
        }
    }
}

impl Line {
    fn take_stamp<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(mut stamp) = self.stamp.take() else { return bytes };
        let room = LONGEST_STAMP.saturating_sub(stamp.len()).min(bytes.len());
        match bytes[..room].iter().position(|byte| matches!(byte, b' ' | b'\n')) {
            Some(end) => {
                stamp.extend(&bytes[..end]);
                let was_stamp = self.end_stamp(&stamp);
                // The blank belongs to the timestamp, a line end to the text.
                &bytes[end + usize::from(was_stamp && bytes[end] == b' ')..]
            }
            None if stamp.len() + room < LONGEST_STAMP => {
                stamp.extend(bytes);
                self.stamp = Some(stamp);
                &[]
            }
            None => {
                self.text.append(&mut stamp);
                bytes
            }
        }
    }

    /// Takes a word for the line's time, or for text if it is no time.
    fn end_stamp(&mut self, word: &[u8]) -> bool {
        let at = std::str::from_utf8(word).ok().and_then(|word| word.parse::<Timestamp>().ok());
        if at.is_none() {
            self.text.extend(word);
        } else if self.text.is_empty() {
            self.at = at;
        }
        at.is_some()
    }

    fn take_text<'a>(&mut self, bytes: &'a [u8], terminal: bool, ready: &mut VecDeque<LogLine>) -> &'a [u8] {
        let room = (LONGEST_LINE - self.text.len()).min(bytes.len());
        if let Some(end) = bytes[..room].iter().position(|byte| *byte == b'\n') {
            self.text.extend(&bytes[..end]);
            if self.text.last() == Some(&b'\r') {
                self.text.pop();
            }
            ready.push_back(self.cut());
            if terminal {
                self.stamp = Some(Vec::new());
                self.at = None;
            }
            return &bytes[end + 1..];
        }
        self.text.extend(&bytes[..room]);
        if self.text.len() >= LONGEST_LINE {
            ready.push_back(self.cut());
        }
        &bytes[room..]
    }

    fn cut(&mut self) -> LogLine {
        let text = std::mem::take(&mut self.text);
        LogLine { at: self.at, stream: self.stream, text: String::from_utf8_lossy(&text).into_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: &mut Lines) -> Vec<String> {
        let show = |line: LogLine| {
            let stream = match line.stream {
                LogStream::Stdout => "out",
                LogStream::Stderr => "err",
            };
            let at = line.at.map_or_else(|| "-".to_owned(), |at| at.to_string());
            format!("{stream} {at} {}", line.text)
        };
        lines.ready.drain(..).map(show).collect()
    }

    #[test]
    fn lines_go_on_over_frames() {
        let mut lines = Lines::new(false);
        lines.take(LogStream::Stdout, true, b"2026-11-20T10:00:00.000000001Z long ");
        lines.take(LogStream::Stderr, true, b"2026-11-20T10:00:01.000000000Z oops\n");
        lines.take(LogStream::Stdout, true, b"2026-11-20T10:00:02");
        lines.take(LogStream::Stdout, false, b".000000000Z");
        lines.take(LogStream::Stdout, false, b" line\r\n");
        lines.take(LogStream::Stdout, true, b"2026-11-20T10:00:03.000000000Z \n");
        lines.take(LogStream::Stdout, true, b"2026-11-20T10:00:04.000000000Z no end");
        lines.finish();
        assert_eq!(
            shown(&mut lines),
            [
                "err 2026-11-20T10:00:01Z oops",
                "out 2026-11-20T10:00:00.000000001Z long line",
                "out 2026-11-20T10:00:03Z ",
                "out 2026-11-20T10:00:04Z no end",
            ]
        );
    }

    #[test]
    fn terminals_have_no_frames() {
        let mut lines = Lines::new(true);
        let text = b"2026-11-20T10:00:00Z one\r\n2026-11-20T10:00:01Z two\r\nnot-a-time three\n\nend";
        for byte in text.chunks(1) {
            lines.take(LogStream::Stdout, false, byte);
        }
        lines.finish();
        assert_eq!(
            shown(&mut lines),
            [
                "out 2026-11-20T10:00:00Z one",
                "out 2026-11-20T10:00:01Z two",
                "out - not-a-time three",
                "out - ",
                "out - end",
            ]
        );
    }

    #[test]
    fn a_line_without_end_does_not_fill_memory() {
        let mut lines = Lines::new(false);
        lines.take(LogStream::Stdout, true, b"2026-11-20T10:00:00Z ");
        for _ in 0..3 {
            lines.take(LogStream::Stdout, false, &vec![b'x'; LONGEST_LINE / 2]);
        }
        assert_eq!(lines.ready.len(), 1);
        assert_eq!(lines.ready[0].text.len(), LONGEST_LINE);
    }

    #[test]
    fn times_are_asked_for_in_seconds() {
        let at: Timestamp = "2026-11-20T10:00:00.5Z".parse().unwrap();
        assert_eq!(seconds(at), "1795168800.500000000");
    }
}
