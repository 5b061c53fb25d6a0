//! Lifecycle checks from where Maestro runs: sockets, HTTP, local programs, pauses.
//!
//! Owns how a check is tried, how often, and in which words it fails. Knows nothing of engines, plans or terminals:
//! what is checked and when has been decided, and everything to be looked up has been looked up.

mod clients;
mod exec;
mod http;
mod search;
mod sleep;
mod tcp;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use http::{root, why};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use maestro_core::boundary::{CheckFailure, Probe};
use maestro_core::model::{Check, ClientCert, ContainerEnv, EnvFrom};
use maestro_core::names::InstanceName;
use std::io;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// How long one run of a program may take. Checks serve as hooks too, such as the migration of a database, hence much
/// more than an answer to "are you well?" needs; without any limit, one stuck program would hold its run for ever.
const PROGRAM_LIMIT: Duration = Duration::from_hours(1);

/// Longest text of a stranger, in characters, that a failure repeats.
const QUOTE: usize = 200;

/// The checks that need no engine, carried out on this machine.
///
/// Every check ends by itself: `tcp` after its attempts of at most a second each, `http` after its `max_wait` (plus
/// one request's own `timeout`, if there is one, and a second for a search in progress), `exec` after its attempts of
/// at most an hour each. All waits are on tokio's clock.
#[derive(Debug)]
pub struct SystemProbe {
    clients: clients::Clients,
    patterns: search::Patterns,
    program_limit: Duration,
}

impl SystemProbe {
    /// Opens nothing and reads nothing: what HTTP needs is made when it is first needed, and kept.
    pub fn new() -> Self {
        Self {
            clients: clients::Clients::default(),
            patterns: search::Patterns::default(),
            program_limit: PROGRAM_LIMIT,
        }
    }

    /// Reads what a check needs of this machine's files, and keeps it. For what acts, before anything is touched: a
    /// check that can never be made must not be found when the old container is gone.
    ///
    /// # Errors
    /// What is missing or unusable, in words.
    pub async fn prepare(&self, check: &Check) -> Result<(), CheckFailure> {
        let Check::Http(check) = check else { return Ok(()) };
        self.clients.get(check).await.map(drop).map_err(|because| http::untried(check, because))
    }

    /// Another limit for one run of an `exec` check's program.
    #[must_use]
    pub fn with_program_limit(mut self, limit: Duration) -> Self {
        self.program_limit = limit;
        self
    }
}

impl Default for SystemProbe {
    fn default() -> Self {
        Self::new()
    }
}

impl Probe for SystemProbe {
    fn check<'a>(
        &'a self,
        _: &'a InstanceName,
        check: &'a Check,
        env: Option<&'a ContainerEnv>,
    ) -> BoxFuture<'a, Result<(), CheckFailure>> {
        match check {
            Check::Tcp { host, port, attempts, .. } => tcp::check(host, *port, *attempts).boxed(),
            Check::Http(check) => http::check(&self.clients, &self.patterns, check).boxed(),
            Check::Exec { command, attempts, env_from } => {
                let program = exec::Program { command, env, env_from, limit: self.program_limit };
                exec::check(program, *attempts).boxed()
            }
            Check::Sleep { wait } => sleep::check(*wait).boxed(),
            Check::RemoteExec { .. } | Check::Health { .. } => {
                let last = "only the container's engine can answer this check; this is a bug in Maestro";
                let failure = CheckFailure { check: check.name().into(), attempts: 0, last: last.into() };
                std::future::ready(Err(failure)).boxed()
            }
        }
    }

    fn run<'a>(
        &'a self,
        command: &'a [String],
        env: &'a ContainerEnv,
        within: Duration,
    ) -> BoxFuture<'a, Result<(), String>> {
        let program =
            exec::Program { command, env: Some(env), env_from: &EnvFrom::Environment, limit: within };
        async move { exec::run(program, &[]).await.map_err(Fault::into_words) }.boxed()
    }
}

/// A client for requests to a host that are no checks: proxies and trust are those of checks.
pub(crate) async fn web_client(scheme: &str, host: &str) -> Result<reqwest::Client, String> {
    clients::Clients::default().usual(scheme, host).await
}

/// The same through no proxy and without redirects, with a trust and a certificate of its own. Every request has a new
/// connection, which may take so long.
pub(crate) async fn direct_client(
    scheme: &str,
    ca_file: Option<Arc<str>>,
    cert: Option<ClientCert>,
    connect: Duration,
) -> Result<reqwest::Client, String> {
    clients::Clients::default().direct(scheme, ca_file, cert, connect).await
}

/// Runs a program once, with this on its standard input, and kills it and what it started if it takes too long or the
/// future is dropped.
pub(crate) async fn run_program(command: &[String], input: &[u8], limit: Duration) -> Result<(), String> {
    let program = exec::Program { command, env: None, env_from: &EnvFrom::Stdin, limit };
    exec::run(program, input).await.map_err(Fault::into_words)
}

/// What a try ended with, other than success.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// The next try may do better.
    Passing(String),
    /// Every other try would end the same.
    Lasting(String),
}

impl Fault {
    fn into_words(self) -> String {
        match self {
            Fault::Passing(because) | Fault::Lasting(because) => because,
        }
    }
}

/// How often a check may be tried.
#[derive(Debug, Clone, Copy)]
enum Budget {
    /// So many times, and at least once.
    Tries(u32),
    /// As often as a try can begin before then.
    Until(Instant),
}

impl Budget {
    /// Whether one more try may follow, after a pause that begins now.
    fn allows_another(self, made: u32) -> bool {
        match self {
            Budget::Tries(tries) => made < tries,
            Budget::Until(end) => Instant::now() + PAUSE < end,
        }
    }
}

/// Something that can be tried again and again.
trait Attempt: Send {
    /// Tries once.
    fn attempt(&mut self) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// Tries until it succeeds, cannot succeed or may not be tried again; pauses between the tries, not after the last.
async fn retry(what: String, budget: Budget, mut tried: impl Attempt) -> Result<(), CheckFailure> {
    let mut made: u32 = 0;
    loop {
        made = made.saturating_add(1);
        let (last, over) = match tried.attempt().await {
            Ok(()) => return Ok(()),
            Err(Fault::Lasting(last)) => (last, true),
            Err(Fault::Passing(last)) => (last, !budget.allows_another(made)),
        };
        if over {
            return Err(CheckFailure { check: what, attempts: made, last });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// `host:port`, with the brackets that an IPv6 address needs.
fn address(host: &str, port: u16) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    }
}

/// An error of the operating system as part of a sentence: without its number, and without a capital.
pub(crate) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" (os error ").map_or(&*text, |(words, _)| words);
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

/// A stranger's text fit for one line of a terminal: no control characters, and not longer than [`QUOTE`].
pub(crate) fn quote(text: &str) -> String {
    let mut line: String = text.chars().take(QUOTE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(QUOTE).is_some() {
        line.push('…');
    }
    line
}

/// A duration in seconds, as people write it: `3 s`, `0.25 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let rounded = (duration.as_secs_f64() * 100.0).round() / 100.0;
    format!("{rounded} s")
}

#[cfg(test)]
mod tests {
    use super::testing::instance;
    use super::*;

    /// Fails after some time, until it is told to end otherwise.
    struct Failing {
        each: Duration,
        left: u32,
        end: Result<(), Fault>,
    }

    impl Attempt for Failing {
        async fn attempt(&mut self) -> Result<(), Fault> {
            tokio::time::sleep(self.each).await;
            if self.left == 0 {
                return std::mem::replace(&mut self.end, Ok(()));
            }
            self.left -= 1;
            Err(Fault::Passing("no".into()))
        }
    }

    /// Tries what always fails, after `each`; gives back the failure and how long all took.
    async fn fail_all(budget: Budget, each: Duration) -> (CheckFailure, Duration) {
        let begin = Instant::now();
        let failing = Failing { each, left: u32::MAX, end: Ok(()) };
        let failure = retry("it".into(), budget, failing).await.unwrap_err();
        (failure, begin.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn tries_are_a_second_apart_and_the_last_is_the_end() {
        for (tries, pauses) in [(1, 0), (3, 2), (180, 179)] {
            let (failure, took) = fail_all(Budget::Tries(tries), Duration::ZERO).await;
            assert_eq!(failure.attempts, tries);
            assert_eq!(took, Duration::from_secs(pauses));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_of_time_ends_where_no_try_could_begin() {
        let within = |millis| Budget::Until(Instant::now() + Duration::from_millis(millis));
        // At 0, 1 and 2 seconds; the next would begin after the end.
        let (failure, took) = fail_all(within(2500), Duration::ZERO).await;
        assert_eq!((failure.attempts, took), (3, Duration::from_secs(2)));
        // A try that begins exactly at the end does not begin.
        let (failure, took) = fail_all(within(2000), Duration::ZERO).await;
        assert_eq!((failure.attempts, took), (2, Duration::from_secs(1)));
        let (failure, took) = fail_all(within(4000), Duration::from_millis(600)).await;
        assert_eq!((failure.attempts, took), (3, Duration::from_millis(3800)));
    }

    #[tokio::test(start_paused = true)]
    async fn success_ends_it_and_so_does_what_lasts() {
        let begin = Instant::now();
        let failing = |left, end| Failing { each: Duration::ZERO, left, end };
        let passed = retry("it".into(), Budget::Tries(9), failing(2, Ok(()))).await;
        assert_eq!((passed, begin.elapsed()), (Ok(()), Duration::from_secs(2)));
        let never = failing(0, Err(Fault::Lasting("never".into())));
        let failed = retry("it".into(), Budget::Tries(9), never).await;
        assert_eq!(failed.unwrap_err().to_string(), "it check failed after 1 attempt: never");
        assert_eq!(begin.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test]
    async fn what_only_an_engine_can_answer_is_said_to_be_a_bug() {
        let probe = SystemProbe::new();
        for check in [
            Check::Health { max_wait: Duration::from_secs(9) },
            Check::RemoteExec { command: ["true".into()].into(), attempts: 3 },
        ] {
            let failure = probe.check(&instance(), &check, None).await.unwrap_err();
            assert_eq!((&*failure.check, failure.attempts), (check.name(), 0));
            assert!(failure.last.contains("bug in Maestro"), "{failure}");
        }
    }

    #[test]
    fn texts_are_made_for_people() {
        assert_eq!(address("192.0.2.1", 80), "192.0.2.1:80");
        assert_eq!(address("2001:db8::1", 80), "[2001:db8::1]:80");
        assert_eq!(words(&io::Error::from_raw_os_error(111)), "connection refused");
        assert_eq!(quote("a\u{1b}[31mb\tc"), "a [31mb c");
        assert_eq!(quote(&"é".repeat(500)), format!("{}…", "é".repeat(QUOTE)));
        assert_eq!(seconds(Duration::from_millis(250)), "0.25 s");
        assert_eq!(seconds(Duration::from_mins(5)), "300 s");
    }
}
