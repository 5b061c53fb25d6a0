//! Brings a practice fleet up and leaves it running, looks at it, does things to it, takes it down.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the terminal's side of the harness")]

use clap::{Parser, Subcommand, ValueEnum};
use maestro_testkit::practice::{
    EngineRelease, FleetDescription, FleetError, Login, PracticeFleet, ShipDescription, TransportDescription,
    TransportKind,
};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// How long `status` waits for one engine.
const STATUS_DEADLINE: Duration = Duration::from_secs(5);

/// A fleet of real Docker Engines on this machine, to practise on. Needs root.
#[derive(Debug, Parser)]
#[command(name = "practice-fleet", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring a fleet up and leave it running
    Up(Up),
    /// Take a fleet down and remove all that it made, also after a crash
    Down(State),
    /// Show which ships answer
    Status(State),
    /// Print what a client needs to know
    Env {
        #[command(flatten)]
        state: State,
        /// How to print it
        #[arg(long, value_enum, default_value_t = EnvFormat::Json)]
        format: EnvFormat,
    },
    /// Do something to a ship
    Fault {
        #[command(flatten)]
        state: State,
        /// What to do
        #[arg(value_enum)]
        fault: Fault,
        /// The ship's name or number
        ship: String,
    },
    /// Take down every fleet whose owner was killed
    Sweep,
}

#[derive(Debug, clap::Args)]
struct State {
    /// Directory of the fleet
    #[arg(long = "state", value_name = "DIR", default_value = ".practice-fleet")]
    directory: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Up {
    #[command(flatten)]
    state: State,
    /// How many ships
    #[arg(long, value_name = "N", default_value_t = 3)]
    ships: usize,
    /// How the ships are reached, in turn
    #[arg(long, value_enum, value_delimiter = ',', default_value = "tcp,tls,ssh,unix")]
    transports: Vec<Transport>,
    /// Which engine they run
    #[arg(long, value_enum, default_value_t = Engines::Old)]
    engines: Engines,
    /// The same as --engines mixed
    #[arg(long, conflicts_with = "engines")]
    mixed: bool,
    /// Add a registry with a login and ready-made images
    #[arg(long)]
    registry: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Transport {
    /// Plain TCP
    Tcp,
    /// TLS with certificates on both sides
    Tls,
    /// SSH
    Ssh,
    /// A unix socket
    Unix,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Engines {
    /// Docker Engine 20.10
    Old,
    /// Docker Engine 28.5
    New,
    /// Both in turn, where both are installed
    Mixed,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EnvFormat {
    /// Everything
    Json,
    /// The registries and ships of an environment file
    Yaml,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Fault {
    /// Pull the cable
    Cut,
    /// Plug the cable in again
    Restore,
    /// Freeze the engine
    Hang,
    /// Let the engine go on
    Wake,
    /// Kill the engine; containers go on
    Crash,
    /// Kill everything on the ship
    PowerOff,
    /// Start the engine after a crash
    Start,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("practice-fleet: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(args.command)) {
        Ok(code) => code,
        Err(error) => {
            eprint!("practice-fleet: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(source) = cause {
                eprint!(": {source}");
                cause = source.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, FleetError> {
    match command {
        Command::Up(args) => up(args).await,
        Command::Down(state) => {
            if PracticeFleet::remove(&state.directory).await? {
                println!("the fleet in {} is down and removed", state.directory.display());
            } else {
                println!("there is no fleet in {}", state.directory.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Status(state) => status(&state.directory).await,
        Command::Env { state, format } => {
            let fleet = PracticeFleet::open(&state.directory)?;
            match format {
                EnvFormat::Json => println!("{}", json(fleet.description())),
                EnvFormat::Yaml => print!("{}", fleet.description().environment_yaml()),
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Fault { state, fault, ship } => {
            let fleet = PracticeFleet::open(&state.directory)?;
            inflict(&fleet, fault, &ship).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Sweep => {
            println!("fleets removed: {}", PracticeFleet::sweep().await?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn up(args: Up) -> Result<ExitCode, FleetError> {
    let started = Instant::now();
    // Listens before anything is made.
    let interrupted = interrupted()?;
    let in_turn = args.transports.iter().copied().cycle().take(args.ships);
    let transports: Vec<TransportKind> = in_turn.map(kind).collect();
    let mut builder = PracticeFleet::builder().ships(&transports).state(&args.state.directory);
    builder = match if args.mixed { Engines::Mixed } else { args.engines } {
        Engines::Old => builder,
        Engines::New => builder.all(EngineRelease::New),
        Engines::Mixed => builder.mixed(),
    };
    if args.registry {
        builder = builder.registry(Login::default());
    }
    // An interrupted `up` drops the half-built fleet, which takes it down.
    let fleet = tokio::select! {
        fleet = builder.up() => fleet?,
        () = interrupted => {
            eprintln!("practice-fleet: interrupted; all that was made is removed again");
            return Ok(ExitCode::from(130));
        }
    };
    let description = fleet.detach()?;
    print_summary(&description, started.elapsed(), &args.state.directory);
    Ok(ExitCode::SUCCESS)
}

fn kind(transport: Transport) -> TransportKind {
    match transport {
        Transport::Tcp => TransportKind::Tcp,
        Transport::Tls => TransportKind::Tls,
        Transport::Ssh => TransportKind::Ssh,
        Transport::Unix => TransportKind::Unix,
    }
}

/// Resolves at Ctrl-C, when the process is told to end, and when its terminal is closed.
fn interrupted() -> Result<impl Future<Output = ()>, FleetError> {
    let listen = |kind| {
        signal(kind).map_err(|source| FleetError::Io { what: "listen for signals".to_owned(), source })
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

fn print_summary(fleet: &FleetDescription, took: Duration, directory: &Path) {
    for ship in &fleet.ships {
        println!("{:<8} {:<15} {:<34} engine {}", ship.name, ship.ip, address(ship), ship.engine_version);
    }
    if let Some(registry) = &fleet.registry {
        let login = &registry.login;
        println!("registry {:<15} login {} / {}", registry.address, login.username, login.password);
        for image in &registry.images {
            println!("         {image}");
        }
    }
    let directory = directory.display();
    println!("up in {:.1} s; take it down with: practice-fleet down --state {directory}", took.as_secs_f64());
}

fn address(ship: &ShipDescription) -> String {
    match &ship.transport {
        TransportDescription::Tcp { port } => format!("tcp://{}:{port}", ship.ip),
        TransportDescription::Tls { port, .. } => format!("tls://{}:{port}", ship.ip),
        TransportDescription::Ssh { user, .. } => format!("ssh://{user}@{}", ship.ip),
        TransportDescription::Unix { socket } => format!("unix://{}", socket.display()),
    }
}

async fn status(directory: &Path) -> Result<ExitCode, FleetError> {
    let fleet = PracticeFleet::open(directory)?;
    let asked = fleet.ships().iter().map(|ship| fleet.ping(&ship.name, STATUS_DEADLINE));
    let answers = futures_util::future::join_all(asked).await;
    for (ship, answer) in fleet.ships().iter().zip(&answers) {
        let state = match answer {
            Ok(()) => "answers".to_owned(),
            Err(error) => format!("no answer: {error}"),
        };
        println!("{:<8} {:<15} {:<34} {state}", ship.name, ship.ip, address(ship));
    }
    Ok(if answers.iter().all(Result::is_ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn inflict(fleet: &PracticeFleet, fault: Fault, ship: &str) -> Result<(), FleetError> {
    match fault {
        Fault::Cut => fleet.cut_off(ship).await,
        Fault::Restore => fleet.restore(ship).await,
        Fault::Hang => fleet.hang(ship).await,
        Fault::Wake => fleet.wake(ship),
        Fault::Crash => fleet.crash(ship).await,
        Fault::PowerOff => fleet.power_off(ship).await,
        Fault::Start => fleet.start_again(ship).await,
    }
}

fn json(description: &FleetDescription) -> String {
    // It holds nothing that JSON cannot express.
    serde_json::to_string_pretty(description).unwrap_or_default()
}
