//! How fast pretended dockerds answer: `cargo run --release -p maestro-testkit --example throughput`.
//!
//! One thread serves 1,000 engines with ten containers each, another asks them.

use maestro_testkit::daemon::Latency;
use maestro_testkit::fake_dockerd::FakeDockerd;
use maestro_testkit::faults::Faults;
use maestro_testkit::fleet::{Place, ServedFleet};
use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

const ENGINES: usize = 1_000;
const CONTAINERS: usize = 10;
const ROUNDS: usize = 30;

fn runtime(name: &str) -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build()
}

/// Processor time of the thread that serves, in ticks of 10 ms: how fast it is on a machine that has other work.
fn served() -> std::io::Result<f64> {
    let mut ticks = 0.0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let stat = std::fs::read_to_string(task?.path().join("stat"))?;
        let Some((name, fields)) = stat.rsplit_once(") ") else { continue };
        if name.ends_with("(serving") {
            let fields = fields.split(' ').skip(11).take(2);
            ticks += fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>();
        }
    }
    Ok(ticks / 100.0)
}

fn main() -> Result<(), Box<dyn Error>> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let (serving, asking) = (runtime("serving")?, runtime("asking")?);
    let begun = Instant::now();
    let fleet = {
        let _inside = serving.enter();
        ServedFleet::serve(ENGINES, CONTAINERS, &Place::AnyPorts, &Latency::default(), |_| Faults::none())?
    };
    tell("engines listening", ENGINES, begun.elapsed())?;
    let begun = Instant::now();
    let environment = fleet.grid.environment()?;
    tell("containers in the loaded environment", environment.instances.len(), begun.elapsed())?;
    let begun = Instant::now();
    fleet.run_all(&environment)?;
    tell("containers made and started", environment.instances.len(), begun.elapsed())?;
    let addresses: Vec<SocketAddr> = fleet.engines.iter().filter_map(FakeDockerd::tcp_address).collect();
    for (what, path) in [
        ("pings", "/_ping"),
        ("lists of ten containers", "/v1.41/containers/json?all=1"),
        ("details of a container", "/v1.41/containers/{}/json"),
    ] {
        let (begun, before) = (Instant::now(), served()?);
        let count = asking.block_on(ask_all(&addresses, path));
        tell(what, count, begun.elapsed())?;
        tell("  of processor time", count, Duration::from_secs_f64((served()? - before).max(0.01)))?;
    }
    Ok(())
}

fn tell(what: &str, count: usize, took: Duration) -> std::io::Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more")]
    let rate = count as f64 / took.as_secs_f64();
    writeln!(std::io::stdout(), "{count:>8} {what} in {:.3} s: {rate:.0} per second", took.as_secs_f64())
}

/// Asks every engine in turn, each over one connection, all at the same time. How many answers came.
async fn ask_all(addresses: &[SocketAddr], path: &str) -> usize {
    let tasks: Vec<_> = addresses
        .iter()
        .enumerate()
        .map(|(index, address)| {
            let (address, path) = (*address, path.replace("{}", &format!("app-{:04}-01", index + 1)));
            tokio::spawn(async move { ask(address, &path).await.unwrap_or(0) })
        })
        .collect();
    let mut answers = 0;
    for task in tasks {
        answers += task.await.unwrap_or(0);
    }
    answers
}

async fn ask(address: SocketAddr, path: &str) -> std::io::Result<usize> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n");
    let mut buffer = vec![0; 64 << 10];
    let mut answers = 0;
    for _ in 0..ROUNDS {
        stream.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        loop {
            filled += match stream.read(buffer.get_mut(filled..).unwrap_or_default()).await? {
                0 => return Ok(answers),
                more => more,
            };
            if is_whole(buffer.get(..filled).unwrap_or_default()) {
                break;
            }
        }
        answers += 1;
    }
    Ok(answers)
}

/// Whether an answer with a `content-length` is there to its end; only successes count.
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    head.starts_with("HTTP/1.1 200") && length.is_some_and(|length: usize| body.len() >= length)
}
