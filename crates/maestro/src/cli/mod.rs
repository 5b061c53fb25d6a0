//! The command line: one file per command, whose arguments' doc comments are its help.
//!
//! Every command that acts walks the same line, in `act.rs`. Nothing here talks to Docker.

mod act;
mod apply;
mod arguments;
mod balancers;
mod change;
mod clean;
mod complete;
mod confirm;
mod deploy;
mod deptree;
mod doctor;
mod drift;
mod dump;
mod events;
mod exec;
mod fault;
mod guest;
mod hooks;
mod interrupts;
mod kept;
mod kill;
mod logs;
mod look;
mod parse;
mod plan;
mod pull;
mod releases;
mod restart;
mod resume;
mod rollback;
mod safeguards;
mod session;
mod start;
mod status;
mod stop;
mod telling;
mod tidy;
mod unlock;
mod validate;
mod watching;

pub use parse::parse;

use crate::report::{Capabilities, ColorChoice, ErrorReport, Printer};
use clap::{Parser, Subcommand};
use fault::Fault;
use session::Session;
use std::process::ExitCode;

/// One YAML file, many Docker hosts, no agents.
///
/// Maestro starts, stops, updates and watches the containers that an environment file describes, on all of its ships
/// at once. Names are those of services or instances; without names a command means everything (stop and kill want
/// `--all` for that, and logs wants names).
#[derive(Debug, Parser)]
#[command(
    name = "maestro",
    disable_version_flag = true,
    subcommand_required = true,
    infer_long_args = true,
    args_override_self = true,
    args_conflicts_with_subcommands = false,
    max_term_width = 100
)]
pub struct Cli {
    /// The environment file, a directory with a maestro.yaml, or - for standard input
    #[arg(short, long, value_name = "FILE", default_value = crate::sources::DEFAULT_FILE, env = "MAESTRO_FILE")]
    file: String,
    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    /// An ssh configuration file in place of your own, as ssh -F takes it
    #[arg(long, value_name = "FILE", env = "MAESTRO_SSH_CONFIG")]
    ssh_config: Option<std::path::PathBuf>,
    /// Act although nothing may be changed now (`freeze:`); the reason is shown
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    despite_freeze: Option<String>,
    /// Take more down at once than may be (`budget:`); the reason is shown
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    despite_budget: Option<String>,
    /// Deploy although that would fail (`doctor`); the reason is shown
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    despite_preflight: Option<String>,
    /// Say which version this is
    #[arg(short, long, action = clap::ArgAction::Version)]
    version: (),
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Args),
    Drift(drift::Args),
    Doctor(doctor::Args),
    Start(start::Args),
    Stop(stop::Args),
    Restart(restart::Args),
    Pull(pull::Args),
    Clean(clean::Args),
    Kill(kill::Args),
    Deploy(deploy::Args),
    Apply(apply::Args),
    Rollback(rollback::Args),
    Releases(releases::Args),
    Diff(releases::DiffArgs),
    Resume(resume::ResumeArgs),
    Abort(resume::AbortArgs),
    Unlock(unlock::Args),
    Logs(logs::Args),
    Exec(exec::Args),
    Events(events::Args),
    Plan(plan::Args),
    Balancers(balancers::Args),
    Validate(validate::Args),
    Deptree(deptree::Args),
    Dump(dump::Args),
    Complete(complete::Args),
    Guest(guest::Args),
}

impl Command {
    /// Whether maestro-ng had it, too. Scripts know what such a command ends with: 1, whatever is wrong but the command
    /// line. The others tell more.
    fn is_maestro_ngs(&self) -> bool {
        match self {
            Command::Status(_)
            | Command::Start(_)
            | Command::Stop(_)
            | Command::Restart(_)
            | Command::Pull(_)
            | Command::Clean(_)
            | Command::Kill(_)
            | Command::Logs(_)
            | Command::Deptree(_)
            | Command::Dump(_)
            | Command::Complete(_) => true,
            Command::Drift(_)
            | Command::Doctor(_)
            | Command::Deploy(_)
            | Command::Apply(_)
            | Command::Rollback(_)
            | Command::Releases(_)
            | Command::Diff(_)
            | Command::Resume(_)
            | Command::Abort(_)
            | Command::Unlock(_)
            | Command::Exec(_)
            | Command::Events(_)
            | Command::Plan(_)
            | Command::Balancers(_)
            | Command::Validate(_)
            | Command::Guest(_) => false,
        }
    }
}

/// What the process ends with.
pub type Outcome = Result<ExitCode, Fault>;

/// Runs a command to its end and says what went wrong, if anything did.
pub async fn run(cli: Cli) -> ExitCode {
    let session = Session::new(&cli);
    let is_maestro_ngs = cli.command.is_maestro_ngs();
    let outcome = match cli.command {
        Command::Status(args) => status::run(&session, args).await,
        Command::Drift(args) => drift::run(&session, args).await,
        Command::Doctor(args) => doctor::run(&session, args).await,
        Command::Start(args) => start::run(&session, args).await,
        Command::Stop(args) => stop::run(&session, args).await,
        Command::Restart(args) => restart::run(&session, args).await,
        Command::Pull(args) => pull::run(&session, args).await,
        Command::Clean(args) => clean::run(&session, args).await,
        Command::Kill(args) => kill::run(&session, args).await,
        Command::Deploy(args) => deploy::run(&session, args).await,
        Command::Apply(args) => apply::run(&session, args).await,
        Command::Rollback(args) => rollback::run(&session, args).await,
        Command::Releases(args) => releases::run(&session, args).await,
        Command::Diff(args) => releases::diff(&session, args).await,
        Command::Resume(args) => resume::resume(&session, args).await,
        Command::Abort(args) => resume::abort(&session, args).await,
        Command::Unlock(args) => unlock::run(&session, args).await,
        Command::Logs(args) => logs::run(&session, args).await,
        Command::Exec(args) => exec::run(&session, args).await,
        Command::Events(args) => events::run(&session, args).await,
        Command::Plan(args) => plan::run(&session, args).await,
        Command::Balancers(args) => balancers::run(&session, args).await,
        Command::Validate(args) => Ok(validate::run(&session, &args)),
        Command::Deptree(args) => deptree::run(&session, &args),
        Command::Dump(args) => dump::run(&session, &args),
        Command::Complete(args) => complete::run(&session, &args),
        Command::Guest(args) => Ok(guest::run(&session, args)),
    };
    match outcome {
        Ok(code) => session.ended(code),
        Err(fault) => {
            fault.print(&session.printer);
            if is_maestro_ngs { ExitCode::FAILURE } else { fault.code() }
        }
    }
}

/// The process cannot even begin.
pub fn cannot_run(error: &std::io::Error) -> ExitCode {
    let printer = Printer::stdio(Capabilities::plain(80));
    ErrorReport::new("the process cannot be started").note(error.to_string()).print(&printer);
    ExitCode::FAILURE
}
