//! Many pretended dockerds in one process: `fake-dockerd --engines 1000 --base-port 20001`.
//!
//! Prints one line of JSON when all of them listen, and runs until it is told to stop.

use clap::{ArgGroup, Parser};
use maestro_testkit::daemon::Latency;
use maestro_testkit::faults::Faults;
use maestro_testkit::fleet::{Place, ServedFleet};
use maestro_testkit::state::{Behaviour, Content};
use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// Many pretended Docker Engines in one process.
#[derive(Debug, Parser)]
#[command(group(ArgGroup::new("place").args(["base_port", "listen_dir", "hosts"])))]
struct Args {
    /// How many engines.
    #[arg(long, default_value_t = 1)]
    engines: usize,
    /// Listen on this port of 127.0.0.1 and those after it; without any place, on free ports.
    #[arg(long)]
    base_port: Option<u16>,
    /// Listen on sockets in this directory.
    #[arg(long)]
    listen_dir: Option<PathBuf>,
    /// Listen on port 2375 of 127.0.1.1, 127.0.1.2 and so on.
    #[arg(long)]
    hosts: bool,
    /// How many containers the environment has on each engine.
    #[arg(long, default_value_t = 10)]
    containers: usize,
    /// The containers run from the start.
    #[arg(long)]
    running: bool,
    /// Another image that is on all engines and in the registry.
    #[arg(long)]
    image: Vec<String>,
    /// How many milliseconds every answer takes.
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// So many engines, the last ones, accept connections and never answer.
    #[arg(long, default_value_t = 0)]
    hung: usize,
    /// Write the environment file here.
    #[arg(long)]
    environment: Option<PathBuf>,
    /// Settings of every ship of that file, as YAML in flow style: `api_version: "1.24"`.
    #[arg(long, default_value = "")]
    ship_settings: String,
    /// Write the process id here while running.
    #[arg(long)]
    pid_file: Option<PathBuf>,
    /// How many threads answer.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    // Each engine listens, and each of its clients keeps connections open.
    rlimit::increase_nofile_limit(u64::MAX)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(args.threads.max(1))
        .enable_all()
        .build()?;
    runtime.block_on(run(args))
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    // Before anybody is told that it may send one.
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let place = match (args.base_port, &args.listen_dir, args.hosts) {
        (Some(port), _, _) => Place::Ports(port),
        (_, Some(directory), _) => {
            std::fs::create_dir_all(directory)?;
            Place::Sockets(directory.clone())
        }
        (_, _, true) => Place::Hosts,
        _ => Place::AnyPorts,
    };
    let latency = Latency::of_all(Duration::from_millis(args.latency));
    let hung = args.engines.saturating_sub(args.hung);
    let faults = |index| if index >= hung { Faults::hung() } else { Faults::none() };
    let mut fleet = ServedFleet::serve(args.engines, args.containers, &place, &latency, faults)?;
    for image in &args.image {
        fleet.add_image(image, &Content::new(image, Behaviour::forever()));
    }
    fleet.grid = fleet.grid.ship_settings(&args.ship_settings);
    if let Some(path) = &args.environment {
        std::fs::write(path, fleet.grid.yaml())?;
    }
    if args.running {
        fleet.run_all(&fleet.grid.environment()?)?;
    }
    if let Some(path) = &args.pid_file {
        std::fs::write(path, format!("{}\n", std::process::id()))?;
    }
    let ready = serde_json::json!({
        "ready": true,
        "pid": std::process::id(),
        "engines": fleet.engines.len(),
        "containers": fleet.engines.iter().map(|e| e.look(maestro_testkit::state::Machine::count)).sum::<usize>(),
        "addresses": fleet.engines.iter().map(|e| e.at().to_string()).collect::<Vec<_>>(),
        "milliseconds": u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{ready}")?;
        stdout.flush()?;
    }
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    drop(fleet);
    if let Some(path) = &args.pid_file {
        std::fs::remove_file(path)?;
    }
    Ok(())
}
