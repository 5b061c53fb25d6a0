//! Lines at the bottom of a terminal that are drawn again and again. Pure: says what to write.

use super::text::width;
use anstream::adapter::strip_str;
use std::fmt::Write as _;

/// Terminals that know it show nothing until the frame is complete; all others hide the cursor meanwhile.
const BEGIN: &str = "\x1b[?2026h\x1b[?25l";
const END: &str = "\x1b[?25h\x1b[?2026l";
const ERASE_LINE: &str = "\x1b[K";
const ERASE_BELOW: &str = "\x1b[J";

/// What was drawn last.
///
/// One frame is one write, and after each the terminal is as it was found: cursor shown at the beginning of the line
/// below, no colour, no mode. So there is nothing to restore, however the process ends.
#[derive(Debug, Default)]
pub(super) struct Screen {
    lines: Vec<String>,
    columns: usize,
}

impl Screen {
    /// Draws lines where the last ones were, writing only those that differ. Each must be narrower than the terminal,
    /// and there must be fewer than it has rows; a last frame may have more.
    pub(super) fn draw(&mut self, lines: Vec<String>, columns: usize) -> String {
        let same_width = columns == self.columns;
        let mut frame = String::from(BEGIN);
        self.push_up(&mut frame, columns);
        if !same_width {
            frame.push_str(ERASE_BELOW);
        }
        for (at, line) in lines.iter().enumerate() {
            if !same_width || self.lines.get(at) != Some(line) {
                frame.push_str(line);
                frame.push_str(ERASE_LINE);
            }
            frame.push_str("\r\n");
        }
        if self.lines.len() > lines.len() {
            frame.push_str(ERASE_BELOW);
        }
        frame.push_str(END);
        self.lines = lines;
        self.columns = columns;
        frame
    }

    /// Takes the drawn lines away.
    pub(super) fn erase(&mut self) -> String {
        let mut text = String::new();
        if !self.lines.is_empty() {
            self.push_up(&mut text, self.columns);
            text.push_str(ERASE_BELOW);
        }
        self.keep();
        text
    }

    /// Leaves the drawn lines where they are: what follows is written below them.
    pub(super) fn keep(&mut self) {
        *self = Self::default();
    }

    /// To the beginning of the first line.
    fn push_up(&self, text: &mut String, columns: usize) {
        // A terminal that has become narrower has broken the lines that were wider.
        let rows: usize = if columns < self.columns {
            let cells = |line: &String| width(&strip_str(line).to_string()).max(1);
            self.lines.iter().map(|line| cells(line).div_ceil(columns.max(1))).sum()
        } else {
            self.lines.len()
        };
        text.push('\r');
        if rows > 0 {
            // Writing to a String does not fail.
            _ = write!(text, "\x1b[{rows}A");
        }
    }
}
