//! The floor that benchmarks compare Maestro with: the fewest raw API calls that do the same, on all ships at once,
//! without planning, checking or reporting. Prints how long they took.

use clap::{Parser, ValueEnum};
use futures_util::future::try_join_all;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;

/// Raw calls to engines.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to do
    action: Action,
    /// Engines and containers, a line each: `tcp://HOST:PORT NAME NAME …` or `unix:///PATH NAME NAME …`
    #[arg(long)]
    ships: std::path::PathBuf,
    /// The image of the containers
    #[arg(long, default_value = "bb:latest")]
    image: String,
    /// How many environment variables each container has
    #[arg(long, default_value_t = 0)]
    variables: usize,
    /// Connections per engine
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// How many containers are replaced at a time, on all engines together
    #[arg(long, default_value_t = 1)]
    at_a_time: usize,
    /// Which replacement this is, counted from 1
    #[arg(long, default_value_t = 1)]
    round: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Create and start each container
    Start,
    /// Inspect each container
    Status,
    /// List the containers of each engine: less than `status` shows
    List,
    /// Stop each container without grace
    Stop,
    /// Remove each container
    Clean,
    /// Start another one beside each container, see it run, and have it take that one's place and name, so many at a time
    Roll,
}

/// How long a container has to run before it is looked at, as with Maestro.
const STEADY: Duration = Duration::from_millis(50);
/// So many that were replaced are kept, as with Maestro.
const KEPT: usize = 3;

type Failure = Box<dyn Error + Send + Sync>;

/// A ship and the containers on it.
struct Ship {
    address: String,
    names: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(line) => {
            tell(&line);
            ExitCode::SUCCESS
        }
        Err(error) => {
            tell(&format!("floor: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "a program's output")]
fn tell(line: &str) {
    println!("{line}");
}

async fn run(arguments: Arguments) -> Result<String, Failure> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let text = std::fs::read_to_string(&arguments.ships)?;
    let ships: Vec<Ship> = text.lines().filter_map(ship).collect();
    let began = Instant::now();
    let variables: Vec<String> =
        (0..arguments.variables).map(|n| format!("SERVICE_SERVICE_{n}_HOST=127.0.0.1")).collect();
    let body = serde_json::json!({
        "Image": arguments.image,
        "Cmd": ["sleep", "1000000"],
        "Env": variables,
        "Labels": { "maestro.instance": "the floor" },
    });
    let body: Bytes = body.to_string().into();
    if arguments.action == Action::Roll {
        let calls = roll(ships, body, &arguments).await?;
        return Ok(format!("{:.4} s, {calls} calls", began.elapsed().as_secs_f64()));
    }
    let counts = try_join_all(
        ships
            .into_iter()
            .map(|ship| tokio::spawn(all(ship, arguments.action, body.clone(), arguments.connections))),
    )
    .await?;
    let mut calls = 0;
    for count in counts {
        calls += count?;
    }
    Ok(format!("{:.4} s, {calls} calls", began.elapsed().as_secs_f64()))
}

fn ship(line: &str) -> Option<Ship> {
    let mut words = line.split_whitespace().map(str::to_owned);
    Some(Ship { address: words.next()?, names: words.collect() })
}

/// Does one thing to all containers of one ship, on so many connections at a time.
async fn all(ship: Ship, action: Action, body: Bytes, connections: usize) -> Result<usize, Failure> {
    if action == Action::List {
        let mut connection = connect(&ship.address).await?;
        call(&mut connection, Method::GET, "/containers/json?all=1", Bytes::new()).await?;
        return Ok(1);
    }
    let queue = Arc::new(Mutex::new(ship.names));
    let workers = (0..connections).map(|_| {
        let (queue, address, body) = (queue.clone(), ship.address.clone(), body.clone());
        async move {
            let mut connection = None;
            let mut calls = 0;
            loop {
                let Some(name) = queue.lock().await.pop() else { return Ok::<usize, Failure>(calls) };
                let connection = match &mut connection {
                    Some(connection) => connection,
                    none => none.insert(connect(&address).await?),
                };
                calls += one(connection, action, &name, body.clone()).await?;
            }
        }
    });
    Ok(try_join_all(workers).await?.into_iter().sum())
}

async fn one(
    connection: &mut SendRequest<Full<Bytes>>,
    action: Action,
    name: &str,
    body: Bytes,
) -> Result<usize, Failure> {
    let none = Bytes::new();
    match action {
        Action::Start => {
            call(connection, Method::POST, &format!("/containers/create?name={name}"), body).await?;
            call(connection, Method::POST, &format!("/containers/{name}/start"), none).await?;
            Ok(2)
        }
        Action::Status => {
            call(connection, Method::GET, &format!("/containers/{name}/json"), none).await?;
            Ok(1)
        }
        Action::Stop => {
            call(connection, Method::POST, &format!("/containers/{name}/stop?t=0"), none).await?;
            Ok(1)
        }
        Action::Clean => {
            call(connection, Method::DELETE, &format!("/containers/{name}?v=1"), none).await?;
            Ok(1)
        }
        Action::List | Action::Roll => Ok(0),
    }
}

/// Replaces containers, one ship's first, then the next one's, and so on; the next one when one is done.
async fn roll(ships: Vec<Ship>, body: Bytes, arguments: &Arguments) -> Result<usize, Failure> {
    let longest = ships.iter().map(|ship| ship.names.len()).max().unwrap_or(0);
    let each = (0..longest).flat_map(|at| {
        ships.iter().filter_map(move |ship| Some((ship.address.clone(), ship.names.get(at)?.clone())))
    });
    let queue = Arc::new(Mutex::new(each.collect::<VecDeque<_>>()));
    let round = arguments.round;
    let workers = (0..arguments.at_a_time).map(|_| {
        let (queue, body) = (queue.clone(), body.clone());
        async move {
            let mut connections: BTreeMap<String, SendRequest<Full<Bytes>>> = BTreeMap::new();
            let mut calls = 0;
            loop {
                let Some((address, name)) = queue.lock().await.pop_front() else {
                    return Ok::<usize, Failure>(calls);
                };
                if !connections.contains_key(&address) {
                    connections.insert(address.clone(), connect(&address).await?);
                }
                let Some(connection) = connections.get_mut(&address) else { continue };
                calls += replace(connection, &name, body.clone(), round).await?;
            }
        }
    });
    Ok(try_join_all(workers).await?.into_iter().sum())
}

/// The calls that replace one container.
async fn replace(
    connection: &mut SendRequest<Full<Bytes>>,
    name: &str,
    body: Bytes,
    round: usize,
) -> Result<usize, Failure> {
    let none = Bytes::new;
    let next = format!("{name}.next");
    call(connection, Method::POST, &format!("/containers/create?name={next}"), body).await?;
    call(connection, Method::POST, &format!("/containers/{next}/start"), none()).await?;
    tokio::time::sleep(STEADY).await;
    call(connection, Method::GET, &format!("/containers/{next}/json"), none()).await?;
    call(connection, Method::POST, &format!("/containers/{name}/stop?t=0"), none()).await?;
    call(connection, Method::GET, &format!("/containers/{name}/json"), none()).await?;
    let kept = format!("/containers/{name}/rename?name={name}.kept-{round}");
    call(connection, Method::POST, &kept, none()).await?;
    call(connection, Method::POST, &format!("/containers/{next}/rename?name={name}"), none()).await?;
    if round > KEPT {
        let path = format!("/containers/{name}.kept-{}?v=1", round - KEPT);
        call(connection, Method::DELETE, &path, none()).await?;
        return Ok(8);
    }
    Ok(7)
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>, Failure> {
    if let Some(path) = address.strip_prefix("unix://") {
        handshake(UnixStream::connect(path).await?).await
    } else {
        let stream = TcpStream::connect(address.trim_start_matches("tcp://")).await?;
        stream.set_nodelay(true)?;
        handshake(stream).await
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Failure>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its errors reach the caller through the sender.
    tokio::spawn(connection);
    Ok(sender)
}

async fn call(
    connection: &mut SendRequest<Full<Bytes>>,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<(), Failure> {
    connection.ready().await?;
    let request = Request::builder()
        .method(&method)
        .uri(format!("/v1.41{path}"))
        .header("Host", "docker")
        .header("Content-Type", "application/json")
        .body(Full::new(body))?;
    let answer = connection.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(());
    }
    Err(format!("{method} {path}: {status}: {}", String::from_utf8_lossy(&body).trim()).into())
}
