//! A load of HTTP requests, as users make them, and what became of every single one.
//!
//! Some clients keep their connections, others open one per request. Of a connection that was kept, the server may close
//! its end at any time, also while a request is on its way; a client may then send a request that changes nothing once
//! more, over a new connection (RFC 9112, section 9.3.1). That is done once, and counted apart. Everything else that is
//! not a good answer is a failure.

use http::header::{CONNECTION, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// What is asked for, and how often.
#[derive(Debug, Clone)]
pub struct Load {
    /// Where; clients take turns among these.
    pub front_ends: Vec<SocketAddr>,
    /// The host that requests name.
    pub host: String,
    /// Their path.
    pub path: String,
    /// How many requests a second, in all.
    pub rate: u32,
    /// How many clients keep their connections.
    pub keeping: u32,
    /// How many clients open a connection per request.
    pub fresh: u32,
}

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of all requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Good answers.
    pub good: u64,
    /// Of these, so many over a second connection: the first was kept, and closed by the other side meanwhile.
    pub again: u64,
    /// So many connections were opened.
    pub connections: u64,
    /// What went wrong, and how often.
    pub failures: BTreeMap<String, u64>,
    /// The answers that came, and how often.
    pub answers: BTreeMap<String, u64>,
}

impl Tally {
    /// How many requests went wrong.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}

/// A load that runs until it is stopped.
#[derive(Debug)]
pub struct Running {
    clients: JoinSet<()>,
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    began: Instant,
}

impl Load {
    /// Starts all clients.
    pub fn start(&self) -> Running {
        let clients = self.keeping + self.fresh;
        let pause = Duration::from_secs(1) * clients / self.rate.max(1);
        let stop = Arc::new(AtomicBool::new(false));
        let tally: Arc<Mutex<Tally>> = Arc::default();
        let mut set = JoinSet::new();
        for number in 0..clients {
            let at = usize::try_from(number).unwrap_or_default() % self.front_ends.len().max(1);
            let Some(front_end) = self.front_ends.get(at).copied() else { continue };
            let client = Client {
                front_end,
                host: self.host.clone(),
                path: self.path.clone(),
                keeps: number < self.keeping,
                kept: None,
                tally: Arc::clone(&tally),
            };
            let stop = Arc::clone(&stop);
            // Not all at the same moment.
            let first = pause * number / clients.max(1);
            set.spawn(client.run(first, pause, stop));
        }
        Running { clients: set, stop, tally, began: Instant::now() }
    }
}

impl Running {
    /// What has become of the requests so far.
    pub fn so_far(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it when every request has its answer. Returns what became of all, and how many a second there were.
    pub async fn stop(mut self) -> (Tally, f64) {
        self.stop.store(true, Ordering::Relaxed);
        let took = self.began.elapsed();
        while self.clients.join_next().await.is_some() {}
        let tally = self.so_far();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = (tally.good + tally.failed()) as f64 / took.as_secs_f64();
        (tally, rate)
    }
}

struct Client {
    front_end: SocketAddr,
    host: String,
    path: String,
    keeps: bool,
    kept: Option<SendRequest<Empty<Bytes>>>,
    tally: Arc<Mutex<Tally>>,
}

/// How a request went wrong.
struct Failure {
    kind: String,
    /// Whether the connection ended before any of the answer came.
    unanswered: bool,
}

impl Client {
    async fn run(mut self, first: Duration, pause: Duration, stop: Arc<AtomicBool>) {
        tokio::time::sleep(first).await;
        let mut ticks = interval(pause);
        // Late ones are made up for, so that the rate is what was asked for.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while !stop.load(Ordering::Relaxed) {
            ticks.tick().await;
            self.once().await;
        }
    }

    async fn once(&mut self) {
        let was_kept = self.kept.is_some();
        let mut result = self.attempt().await;
        let mut again = false;
        if let Err(failure) = &result
            && was_kept
            && failure.unanswered
        {
            again = true;
            result = self.attempt().await;
        }
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(answer) => {
                tally.good += 1;
                tally.again += u64::from(again);
                *tally.answers.entry(answer).or_default() += 1;
            }
            Err(failure) => *tally.failures.entry(failure.kind).or_default() += 1,
        }
    }

    /// One request over the connection that was kept, or a new one.
    async fn attempt(&mut self) -> Result<String, Failure> {
        match timeout(PATIENCE, self.exchange()).await {
            Ok(result) => result,
            Err(_) => {
                self.kept = None;
                Err(Failure { kind: "no answer in time".to_owned(), unanswered: false })
            }
        }
    }

    async fn exchange(&mut self) -> Result<String, Failure> {
        let mut sender = match self.kept.take() {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let request = Request::get(&self.path).header(HOST, &self.host);
        let request = if self.keeps { request } else { request.header(CONNECTION, "close") };
        let request = request.body(Empty::new()).map_err(|error| broken(&error, false))?;
        let sent = match sender.ready().await {
            Ok(()) => sender.send_request(request).await,
            Err(error) => Err(error),
        };
        let answer = sent.map_err(|error| {
            let unanswered =
                error.is_closed() || error.is_canceled() || error.is_incomplete_message() || is_io(&error);
            broken(&error, unanswered)
        })?;
        let (status, ends) = (answer.status(), says_close(&answer));
        let body = answer.into_body().collect().await.map_err(|error| broken(&error, false))?.to_bytes();
        if self.keeps && !ends {
            self.kept = Some(sender);
        }
        if status == StatusCode::OK {
            Ok(String::from_utf8_lossy(&body).trim().to_owned())
        } else {
            Err(Failure { kind: format!("status {}", status.as_u16()), unanswered: false })
        }
    }

    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>, Failure> {
        let stream = TcpStream::connect(self.front_end).await;
        let stream =
            stream.map_err(|error| Failure { kind: format!("connecting: {error}"), unanswered: false })?;
        stream.set_nodelay(true).ok();
        let (sender, driver) =
            handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error, false))?;
        // Ends with the connection, which ends when nobody sends over it any more.
        tokio::spawn(driver);
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).connections += 1;
        Ok(sender)
    }
}

fn says_close(answer: &http::Response<Incoming>) -> bool {
    answer.headers().get_all(CONNECTION).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

fn is_io(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

fn broken(error: &dyn std::error::Error, unanswered: bool) -> Failure {
    let mut kind = error.to_string();
    if let Some(source) = error.source() {
        kind = format!("{kind}: {source}");
    }
    Failure { kind, unanswered }
}
