//! What the two streams can do, concluded from what the process was given.

use std::io::{self, IsTerminal as _};

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

/// Columns and rows of the terminal behind standard output.
pub(super) fn size_of_stdout() -> Option<(usize, usize)> {
    let (terminal_size::Width(columns), terminal_size::Height(rows)) =
        terminal_size::terminal_size_of(io::stdout())?;
    (columns > 0 && rows > 0).then_some((columns.into(), rows.into()))
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
