//! A load of HTTP requests, as users make them, and what became of every single one.
//!
//! Some clients keep their connections, others open one per request. Of a connection that was kept, the server may close
//! its end at any time, also while a request is on its way; a client may then send a request that changes nothing once
//! more, over a new connection (RFC 9112, section 9.3.1). That is done once, and counted apart. So is what a front end
//! does not answer while the test has killed it: clients then go to another one. Everything else that is not a good
//! answer is a failure.

use http::header::{CONNECTION, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::collections::{BTreeMap, BTreeSet};
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
    /// Of these, so many by another front end: the client's own was killed at the time.
    pub moved: u64,
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
    down: Arc<Mutex<BTreeSet<SocketAddr>>>,
    began: Instant,
}

impl Load {
    /// Starts all clients.
    pub fn start(&self) -> Running {
        let clients = self.keeping + self.fresh;
        let pause = Duration::from_secs(1) * clients / self.rate.max(1);
        let stop = Arc::new(AtomicBool::new(false));
        let tally: Arc<Mutex<Tally>> = Arc::default();
        let down: Arc<Mutex<BTreeSet<SocketAddr>>> = Arc::default();
        let mut set = JoinSet::new();
        for number in 0..clients {
            let at = usize::try_from(number).unwrap_or_default() % self.front_ends.len().max(1);
            let mut front_ends = self.front_ends.clone();
            front_ends.rotate_left(at);
            let client = Client {
                front_ends,
                host: self.host.clone(),
                path: self.path.clone(),
                keeps: number < self.keeping,
                kept: None,
                tally: Arc::clone(&tally),
                down: Arc::clone(&down),
            };
            let stop = Arc::clone(&stop);
            // Not all at the same moment.
            let first = pause * number / clients.max(1);
            set.spawn(client.run(first, pause, stop));
        }
        Running { clients: set, stop, tally, down, began: Instant::now() }
    }
}

impl Running {
    /// What has become of the requests so far.
    pub fn so_far(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on a front end is down because it is killed: what it breaks off is no failure of its own.
    pub fn goes_down(&self, front_end: SocketAddr) {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).insert(front_end);
    }

    /// It is up again.
    pub fn is_back(&self, front_end: SocketAddr) {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).remove(&front_end);
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
    /// Its own first.
    front_ends: Vec<SocketAddr>,
    host: String,
    path: String,
    keeps: bool,
    kept: Option<(SocketAddr, SendRequest<Empty<Bytes>>)>,
    tally: Arc<Mutex<Tally>>,
    down: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

/// How a request went wrong.
struct Failure {
    front_end: SocketAddr,
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
        let before = self.down_now();
        let mut result = self.attempt().await;
        let (mut again, mut moved) = (false, false);
        if let Err(failure) = &result {
            let own = failure.front_end;
            moved = before.contains(&own) || self.down_now().contains(&own);
            again = !moved && was_kept && failure.unanswered;
            if again || moved {
                result = self.attempt().await;
            }
        }
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(answer) => {
                tally.good += 1;
                tally.again += u64::from(again);
                tally.moved += u64::from(moved);
                *tally.answers.entry(answer).or_default() += 1;
            }
            Err(failure) => *tally.failures.entry(failure.kind).or_default() += 1,
        }
    }

    fn down_now(&self) -> BTreeSet<SocketAddr> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first of its front ends that is not down.
    fn front_end(&self) -> Option<SocketAddr> {
        let down = self.down_now();
        let up = self.front_ends.iter().find(|front_end| !down.contains(front_end));
        up.or(self.front_ends.first()).copied()
    }

    /// One request over the connection that was kept, or a new one.
    async fn attempt(&mut self) -> Result<String, Failure> {
        let kept = self.kept.take();
        let Some(front_end) = kept.as_ref().map(|(front_end, _)| *front_end).or_else(|| self.front_end())
        else {
            return Ok("nobody was asked".to_owned());
        };
        let exchange = self.exchange(front_end, kept.map(|(_, sender)| sender));
        let failure = |(kind, unanswered)| Failure { front_end, kind, unanswered };
        match timeout(PATIENCE, exchange).await {
            Ok(result) => result.map_err(failure),
            Err(_) => Err(failure(("no answer in time".to_owned(), false))),
        }
    }

    async fn exchange(
        &mut self,
        front_end: SocketAddr,
        kept: Option<SendRequest<Empty<Bytes>>>,
    ) -> Result<String, (String, bool)> {
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.connect(front_end).await?,
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
            self.kept = Some((front_end, sender));
        }
        if status == StatusCode::OK {
            Ok(String::from_utf8_lossy(&body).trim().to_owned())
        } else {
            Err((format!("status {}", status.as_u16()), false))
        }
    }

    async fn connect(&self, front_end: SocketAddr) -> Result<SendRequest<Empty<Bytes>>, (String, bool)> {
        let stream = TcpStream::connect(front_end).await;
        let stream = stream.map_err(|error| (format!("connecting: {error}"), false))?;
        stream.set_nodelay(true).ok();
        let made = handshake(TokioIo::new(stream)).await;
        let (sender, driver) = made.map_err(|error| broken(&error, false))?;
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
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

fn broken(error: &dyn std::error::Error, unanswered: bool) -> (String, bool) {
    let mut kind = error.to_string();
    if let Some(source) = error.source() {
        kind = format!("{kind}: {source}");
    }
    (kind, unanswered)
}
