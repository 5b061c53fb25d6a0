//! Colours, by what they mean.

use anstyle::{AnsiColor, Style};
use std::fmt::Write as _;

/// What a piece of text means to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// It went well, or runs.
    Good,
    /// It did not go well, or does not run.
    Bad,
    /// Nothing had to be done.
    Calm,
    /// Somebody should look.
    Warn,
    /// It is what the line is about.
    Strong,
    /// It is there for those who look closely.
    Dim,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Tone::Plain => Style::new(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Calm => AnsiColor::Cyan.on_default(),
            Tone::Warn => AnsiColor::Yellow.on_default(),
            Tone::Strong => Style::new().bold(),
            Tone::Dim => Style::new().dimmed(),
        }
    }
}

/// Whether colours are written. The decision is the stream's, made once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// With colours or without.
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    /// Whether colours are written.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// The text in a tone.
    pub fn tone(self, tone: Tone, text: &str) -> String {
        let mut painted = String::with_capacity(text.len() + 12);
        self.push(&mut painted, tone, text);
        painted
    }

    /// Appends the text in a tone.
    pub fn push(self, line: &mut String, tone: Tone, text: &str) {
        if !self.on || tone == Tone::Plain || text.trim_end().is_empty() {
            line.push_str(text);
            return;
        }
        let style = tone.style();
        // Blanks that fill a column need no colour; leaving them out keeps lines short.
        let visible = text.trim_end();
        // Writing to a String does not fail.
        _ = write!(line, "{style}{visible}{style:#}{}", &text[visible.len()..]);
    }
}
