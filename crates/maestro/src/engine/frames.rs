//! The two forms in which engines send a program's output: as it is, where the program has a terminal, else in
//! frames that say which stream each is from.
//!
//! Which form it is has to be known beforehand. bollard guesses from the first byte, and waits forever for the rest of
//! a frame that is none when a terminal program writes a byte below 3.

use super::classify;
use maestro_core::boundary::LogStream;
use maestro_core::engine_error::EngineErrorKind;

const HEADER: usize = 8;

/// Takes output apart.
pub(super) enum Frames {
    /// As it is.
    Raw,
    /// In frames.
    Framed {
        /// The part of a header that is there.
        header: [u8; HEADER],
        /// How much of it is there; all of it inside a frame.
        filled: usize,
        /// How much of the frame is still to come.
        left: usize,
    },
}

/// A piece of output, not longer than what was there to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) stream: LogStream,
    /// Whether a frame begins here; raw output has none.
    pub(super) begins: bool,
    pub(super) bytes: &'a [u8],
}

impl Frames {
    pub(super) fn new(terminal: bool) -> Self {
        if terminal { Frames::Raw } else { Frames::Framed { header: [0; HEADER], filled: 0, left: 0 } }
    }

    /// Hands on what is in these bytes. Frames are not collected: an engine may announce 4 GiB.
    pub(super) fn take<'a>(
        &mut self,
        mut bytes: &'a [u8],
        mut out: impl FnMut(Piece<'a>),
    ) -> Result<(), EngineErrorKind> {
        let Frames::Framed { header, filled, left } = self else {
            if !bytes.is_empty() {
                out(Piece { stream: LogStream::Stdout, begins: false, bytes });
            }
            return Ok(());
        };
        while !bytes.is_empty() {
            let mut begins = false;
            if *left == 0 {
                let missing = (HEADER - *filled).min(bytes.len());
                header[*filled..*filled + missing].copy_from_slice(&bytes[..missing]);
                *filled += missing;
                bytes = &bytes[missing..];
                if *filled < HEADER {
                    return Ok(());
                }
                *filled = 0;
                *left = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
                begins = true;
            }
            let stream = match header[0] {
                0 | 1 => LogStream::Stdout,
                // 3 is what the engine itself has to say about the stream.
                2 | 3 => LogStream::Stderr,
                other => return Err(classify::odd(&format!("output of an unknown stream {other}"))),
            };
            let (now, later) = bytes.split_at((*left).min(bytes.len()));
            *left -= now.len();
            bytes = later;
            if begins || !now.is_empty() {
                out(Piece { stream, begins, bytes: now });
            }
        }
        Ok(())
    }

    /// Whether the output may end here.
    pub(super) fn is_complete(&self) -> bool {
        match self {
            Frames::Raw => true,
            Frames::Framed { filled, left, .. } => *filled == 0 && *left == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, text: &str) -> Vec<u8> {
        let mut frame = vec![stream, 0, 0, 0];
        frame.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        frame.extend(text.as_bytes());
        frame
    }

    fn taken(chunks: &[&[u8]], terminal: bool) -> (Vec<(LogStream, bool, String)>, bool) {
        let mut frames = Frames::new(terminal);
        let mut all = Vec::new();
        for chunk in chunks {
            frames
                .take(chunk, |p| {
                    all.push((p.stream, p.begins, String::from_utf8_lossy(p.bytes).into_owned()));
                })
                .unwrap();
        }
        (all, frames.is_complete())
    }

    #[test]
    fn frames_may_be_cut_anywhere() {
        let bytes = [frame(1, "out\n"), frame(2, "err\n"), frame(1, ""), frame(1, "more")].concat();
        let whole = taken(&[&bytes], false);
        assert!(whole.1);
        let text = |all: &[(LogStream, bool, String)], stream| -> String {
            all.iter().filter(|p| p.0 == stream).map(|p| p.2.as_str()).collect()
        };
        for cut in 0..bytes.len() {
            let (all, complete) = taken(&[&bytes[..cut], &bytes[cut..]], false);
            assert!(complete);
            assert_eq!(text(&all, LogStream::Stdout), "out\nmore", "cut at {cut}");
            assert_eq!(text(&all, LogStream::Stderr), "err\n", "cut at {cut}");
            assert_eq!(all.iter().filter(|p| p.1).count(), 4, "cut at {cut}");
            assert!(!taken(&[&bytes[..cut]], false).1 || [0, 12, 24, 32].contains(&cut), "cut at {cut}");
        }
    }

    #[test]
    fn terminals_may_write_anything() {
        assert_eq!(
            taken(&[b"\x01\x00", b"\x02x"], true).0,
            [(LogStream::Stdout, false, "\u{1}\0".into()), (LogStream::Stdout, false, "\u{2}x".into())]
        );
        let garbage = Frames::new(false).take(b"HTTP/1.1", |_| {});
        assert!(matches!(garbage, Err(EngineErrorKind::Protocol(_))), "{garbage:?}");
    }
}
