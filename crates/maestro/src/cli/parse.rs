//! From words to [`Cli`], with the habits of Python's argparse that scripts rely on.

use super::Cli;
use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use std::ffi::OsString;

/// Reads the command line.
///
/// # Errors
/// Usage errors, and what `--help` and `--version` print.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(words)?;
    if let Some((name, matches)) = matches.subcommand() {
        refuse_scattered_names(&mut command, name, matches)?;
    }
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn command() -> clap::Command {
    Cli::command().version(env!("CARGO_PKG_VERSION"))
}

/// argparse takes names in one go: `start a -d b` is an error there, and scripts may rely on it being one.
fn refuse_scattered_names(
    command: &mut clap::Command,
    name: &str,
    matches: &ArgMatches,
) -> Result<(), clap::Error> {
    if !matches.ids().any(|id| id == "things") {
        return Ok(());
    }
    let places: Vec<usize> = matches.indices_of("things").into_iter().flatten().collect();
    if places.windows(2).all(|pair| pair[1] == pair[0] + 1) {
        return Ok(());
    }
    let subcommand = command.find_subcommand_mut(name).cloned();
    let message = "names must stand together: write all options before them, or all after them";
    let mut at_fault = subcommand.unwrap_or_else(|| command.clone());
    Err(at_fault.error(ErrorKind::UnknownArgument, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(line: &str) -> i32 {
        let words = std::iter::once("maestro").chain(line.split_whitespace()).map(OsString::from);
        parse(words).map_or_else(|error| error.exit_code(), |_| 0)
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn argparse_habits() {
        for (line, expected) in [
            ("", 2),
            ("status", 0),
            ("-f x.yaml status", 0),
            ("status -f x.yaml", 2),
            ("start -r --reuse s", 2),
            ("start x -d y", 2),
            ("start x y -d", 0),
            ("start -d x y", 0),
            ("start -di -c2 x", 0),
            ("start --with-dep x", 0),
            ("start --with", 0),
            ("start -c x", 2),
            ("stop -sa", 0),
            ("restart --step-delay=2 --stop-start-delay 1", 0),
            ("logs -n 5 -F x", 0),
            ("plan -F start", 0),
            ("plan --detailed-exitcode", 0),
            ("plan start -F x", 0),
            ("plan stop -a --output yaml", 0),
            ("start -F", 2),
            ("nonsense", 2),
            ("--help", 0),
            ("-v", 0),
        ] {
            assert_eq!(code(line), expected, "{line}");
        }
    }

    /// What a line means, without what does not tell it from others.
    fn meaning(line: &str) -> Option<String> {
        let words = std::iter::once("maestro").chain(line.split_whitespace()).map(OsString::from);
        parse(words).ok().map(|cli| format!("{cli:?}"))
    }

    #[test]
    fn other_spellings_mean_the_same() {
        for (one, other) in [
            ("start -di -c2 x", "start --with-dependencies --ignore-dependencies --concurrency 2 x"),
            ("start -dic2 x", "start -d -i -c 2 x"),
            ("start -c=2 x", "start --concurrency=2 x"),
            ("status -dCweb* x", "status -d -C web* x"),
            ("stop -sac2", "stop --expand-services --all --concurrency 2"),
            ("start x y -d", "start -d x y"),
            ("status -- x", "status x"),
            // The last one counts.
            ("start -d -d -c 1 -c 2 x", "start -d -c 2 x"),
            ("restart --step-delay 1 --step-delay=2", "restart --step-delay 2"),
            ("-f a -f b status", "-f b status"),
            ("logs -n -5 x", "logs -n=-5 x"),
            ("logs -n 1_0 x", "logs -n 10 x"),
            ("start -c +2 x", "start -c 2 x"),
            ("start -c 99999999999999999999 x", "start -c 9223372036854775807 x"),
            // What looks like a negative number is none of the options, so it is a name or a value.
            ("status -1", "status -- -1"),
            ("start x -12 -d", "start -d -- x -12"),
            ("stop -C -1 -S -2 x", "stop -C=-1 -S=-2 x"),
            ("logs -1", "logs -- -1"),
            ("deptree -1", "deptree -- -1"),
        ] {
            assert!(meaning(one).is_some(), "{one}");
            assert_eq!(meaning(one), meaning(other), "{one}");
        }
        for line in
            ["start -d=1", "start --with-dependencies=1", "start -c", "start --concurrency=", "start -c 2x"]
        {
            assert_eq!(code(line), 2, "{line}");
        }
        for line in ["start -c _1", "start -c 1_", "start -c 1__0", "start -1x", "restart --step-delay -1"] {
            assert_eq!(code(line), 2, "{line}");
        }
    }

    /// maestro-ng's options, and what each of them takes.
    type Options = &'static [(&'static str, &'static str)];

    const SELECTING: Options = &[
        ("concurrency", "2"),
        ("with-dependencies", ""),
        ("ignore-dependencies", ""),
        ("container-filter", "x"),
        ("ship-filter", "x"),
    ];
    const REACHING: Options = &[("expand-services", ""), ("all", "")];
    const IMAGES: Options = &[("refresh-images", ""), ("reuse", "")];

    #[test]
    fn abbreviations_of_maestro_ng_mean_the_same() {
        let restarting: Options = &[("step-delay", "2"), ("stop-start-delay", "2"), ("only-if-changed", "")];
        let tables: [(&str, &[Options]); 10] = [
            ("status", &[SELECTING, &[("full", ""), ("show-hosts", "")]]),
            ("start", &[SELECTING, IMAGES]),
            ("stop", &[SELECTING, REACHING]),
            ("kill", &[SELECTING, REACHING]),
            ("restart", &[SELECTING, REACHING, IMAGES, restarting]),
            ("pull", &[SELECTING]),
            ("clean", &[SELECTING]),
            ("logs", &[&[("follow", "")]]),
            ("deptree", &[&[("recursive", "")]]),
            ("dump", &[&[("config", "")]]),
        ];
        let mut wrong = Vec::new();
        for (command, parts) in tables {
            let options: Vec<(&str, &str)> = parts.iter().copied().flatten().copied().collect();
            for (name, value) in &options {
                for length in 1..=name.len() {
                    let prefix = &name[..length];
                    let others = options.iter().map(|(other, _)| *other).chain(["help"]);
                    let meant = others.filter(|other| other.starts_with(prefix)).count();
                    let short = meaning(&format!("{command} --{prefix} {value}"));
                    let whole = meaning(&format!("{command} --{name} {value}"));
                    let fits = if meant == 1 || prefix == *name {
                        short.is_some() && short == whole
                    } else {
                        short.is_none()
                    };
                    if !fits {
                        wrong.push(format!("{command} --{prefix}"));
                    }
                }
            }
        }
        assert_eq!(wrong, [""; 0]);
    }
}
