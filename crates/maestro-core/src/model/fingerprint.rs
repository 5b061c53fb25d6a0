//! A fingerprint of parts, each with its name and its length.

use sha2::{Digest, Sha256};

#[derive(Default)]
pub(super) struct Fingerprint(Sha256);

impl Fingerprint {
    /// A part; one without values is left out.
    pub(super) fn part<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a str>) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return;
        }
        self.text(name);
        for value in values {
            self.text(value);
        }
        self.0.update(b"\n");
    }

    fn text(&mut self, text: &str) {
        self.0.update(text.len().to_le_bytes());
        self.0.update(text.as_bytes());
    }

    /// Half of it, which is enough.
    pub(super) fn finish(self) -> String {
        use std::fmt::Write as _;
        let mut hex = String::with_capacity(32);
        for byte in self.0.finalize().iter().take(16) {
            // Writing to a string cannot fail.
            _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}
