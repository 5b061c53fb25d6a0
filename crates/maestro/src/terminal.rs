//! The terminal that Maestro itself runs in, while a program in a container has it.

/// A terminal that passes every key on. Restored when this is dropped, also while a panic unwinds.
pub struct RawTerminal(());

impl RawTerminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// Standard input is none.
    pub fn enter() -> std::io::Result<Self> {
        crossterm::terminal::enable_raw_mode()?;
        Ok(Self(()))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // There is nothing to be done about a terminal that is gone.
        crossterm::terminal::disable_raw_mode().ok();
    }
}

/// Columns and rows.
pub fn size() -> (u16, u16) {
    crossterm::terminal::size().unwrap_or((80, 24))
}
