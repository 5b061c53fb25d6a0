//! The signs that tables on a terminal are drawn with, and what they become where only ASCII is understood.

use crate::report::paint::{Paint, Tone};
use crate::report::rows::{Row, RowState};
use std::time::Duration;

/// Colours and signs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs {
    pub(super) paint: Paint,
    pub(super) unicode: bool,
}

impl Signs {
    /// What a row begins its status with.
    pub(super) fn sign(self, row: &Row, at: Duration) -> (Tone, &'static str) {
        let pick = |unicode, ascii| if self.unicode { unicode } else { ascii };
        match row.state {
            RowState::Waiting => (Tone::Dim, pick("·", ".")),
            RowState::Working => (Tone::Calm, self.spinner(at)),
            RowState::Done => (Tone::Good, pick("✓", "+")),
            RowState::Unchanged => (Tone::Calm, pick("✓", "=")),
            RowState::Held => (Tone::Warn, pick("–", "-")),
            RowState::Tolerated => (Tone::Warn, pick("!", "!")),
            // Something that it needs is blocked.
            RowState::Blocked if row.trouble.is_none() => (Tone::Warn, pick("–", "-")),
            RowState::Failed | RowState::Blocked => (Tone::Bad, pick("✗", "x")),
            RowState::Aborted | RowState::Interrupted => (Tone::Warn, pick("–", "-")),
        }
    }

    fn spinner(self, at: Duration) -> &'static str {
        const UNICODE: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
        const ASCII: [&str; 4] = ["|", "/", "-", "\\"];
        let frames: &[&str] = if self.unicode { &UNICODE } else { &ASCII };
        let turn = usize::try_from(at.as_millis() / 100).unwrap_or_default();
        frames.get(turn % frames.len()).copied().unwrap_or(" ")
    }

    /// A bar of so many cells, filled to a part of 1.
    pub(super) fn bar(self, part: f64, cells: usize, tone: Tone) -> String {
        let part = part.clamp(0.0, 1.0);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "cells of a terminal are few, and the part is between 0 and 1"
        )]
        let halves = (part * (cells * 2) as f64).floor() as usize;
        let (full, half) = (halves / 2, halves % 2);
        let rest = cells.saturating_sub(full + half);
        let mut bar = String::new();
        if self.unicode {
            self.paint.push(&mut bar, tone, &("━".repeat(full) + if half == 1 { "╸" } else { "" }));
            // Without colours the rest must differ by its shape.
            let line = if self.paint.is_on() { "━" } else { "╌" };
            self.paint.push(&mut bar, Tone::Dim, &line.repeat(rest));
        } else {
            self.paint.push(&mut bar, tone, &"#".repeat(full + half));
            self.paint.push(&mut bar, Tone::Dim, &".".repeat(rest));
        }
        bar
    }

    pub(super) fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }
}
