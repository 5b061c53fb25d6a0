//! A directory with an environment file, and the program run in it with surroundings that nothing leaks into.

use maestro_testkit::redact::Redactor;
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long one command may take before it counts as hanging. None takes a third of it, also those that wait for somebody
/// who died; but two cores may have a hundred of them to run.
const COMMAND_DEADLINE: Duration = Duration::from_mins(2);

/// Where commands are given.
#[derive(Debug)]
pub(super) struct Shell {
    dir: TempDir,
}

/// What a command did.
#[derive(Debug, Clone)]
pub(super) struct Ran {
    line: String,
    /// The exit code; -1 if a signal ended it.
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) took: Duration,
}

impl Shell {
    /// In an empty directory.
    pub(super) fn empty() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file, and the directories that it is in.
    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// `NAME=value … words of the command line`, as in a shell, without its quotes. Nothing of this process's
    /// environment is handed on.
    pub(super) fn command(&self, line: &str) -> Command {
        let words: Vec<&str> = line.split_whitespace().collect();
        let begins = words.iter().position(|word| !is_assignment(word)).unwrap_or(words.len());
        let mut command = Command::new(env!("CARGO_BIN_EXE_maestro"));
        command.current_dir(self.path()).kill_on_drop(true).stdin(Stdio::null()).args(&words[begins..]);
        command
            .env_clear()
            .env("HOME", self.path())
            .env("DOCKER_CONFIG", self.path())
            .env("PATH", self.path());
        command.env("COLUMNS", "120").env("TZ", "UTC");
        command.envs(words[..begins].iter().filter_map(|word| word.split_once('=')));
        command
    }

    /// Starts a command.
    pub(super) fn spawn(&self, line: &str) -> Running {
        Running::new(line, self.command(line))
    }

    /// Runs a command to its end.
    pub(super) async fn run(&self, line: &str) -> Ran {
        self.spawn(line).end().await
    }

    /// The same with a file on standard input.
    pub(super) async fn run_with_input(&self, line: &str, file: &str) -> Ran {
        let mut command = self.command(line);
        command.stdin(std::fs::File::open(self.file(file)).unwrap());
        Running::new(line, command).end().await
    }

    /// What differs from run to run: this directory, and what always does.
    pub(super) fn redactor(&self) -> Redactor {
        Redactor::new().path(self.path(), "[DIR]")
    }
}

/// `NAME=value`.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

/// A command that has been started.
#[derive(Debug)]
pub(super) struct Running {
    line: String,
    child: Child,
    began: Instant,
    out: Said,
    err: Said,
}

/// What came out of a stream so far, in a task of its own so that the program never waits for its reader.
#[derive(Debug)]
struct Said {
    so_far: watch::Receiver<Vec<u8>>,
}

impl Said {
    fn by(mut stream: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (sender, so_far) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                sender.send_modify(|said| said.extend_from_slice(&buffer[..count]));
            }
        });
        Self { so_far }
    }

    async fn contains(&mut self, text: &str) -> bool {
        let has = |said: &Vec<u8>| said.windows(text.len()).any(|part| part == text.as_bytes());
        self.so_far.wait_for(has).await.is_ok()
    }

    /// Everything until the stream's end.
    async fn all(mut self) -> String {
        while self.so_far.changed().await.is_ok() {}
        String::from_utf8(self.so_far.borrow().clone()).unwrap()
    }
}

impl Running {
    fn new(line: &str, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let err = child.stderr.take().unwrap();
        Self::of(line, child, err)
    }

    /// A command whose standard error is a terminal, of which this is the other end.
    pub(super) fn on(line: &str, mut command: Command, terminal: std::fs::File) -> Self {
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        Self::of(line, child, tokio::fs::File::from_std(terminal))
    }

    fn of(line: &str, mut child: Child, err: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let out = child.stdout.take().unwrap();
        let began = Instant::now();
        Self { line: line.to_owned(), child, began, out: Said::by(out), err: Said::by(err) }
    }

    /// Whether it is over.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Presses Ctrl-C.
    pub(super) fn interrupt(&self) {
        self.send(Signal::INT);
    }

    pub(super) fn send(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("it has not ended")).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits until it has written this to standard output.
    pub(super) async fn until_it_writes(&mut self, text: &str) {
        let found = timeout(COMMAND_DEADLINE, self.out.contains(text)).await;
        assert_eq!(found, Ok(true), "`maestro {}` did not write {text:?}", self.line);
    }

    /// Waits until it has said this on standard error.
    pub(super) async fn until_it_says(&mut self, text: &str) {
        let found = timeout(COMMAND_DEADLINE, self.err.contains(text)).await;
        assert_eq!(found, Ok(true), "`maestro {}` did not say {text:?}", self.line);
    }

    /// Waits for its end. Fails if it hangs, panics, or writes what is no text.
    pub(super) async fn end(mut self) -> Ran {
        let ended = timeout(COMMAND_DEADLINE, self.child.wait()).await;
        let Ok(status) = ended else { panic!("`maestro {}` hangs", self.line) };
        let took = self.began.elapsed();
        let code = status.unwrap().code().unwrap_or(-1);
        let (stdout, stderr) = (self.out.all().await, self.err.all().await);
        let ran = Ran { line: self.line, code, stdout, stderr, took };
        ran.never_says("panicked").never_says("Traceback").never_says("RUST_BACKTRACE")
    }
}

impl Ran {
    /// Everything that was said.
    pub(super) fn all(&self) -> String {
        let mut text = format!("$ maestro {}\n", self.line);
        for (name, said) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !said.is_empty() {
                let end = if said.ends_with('\n') { "" } else { "(no line end)\n" };
                write!(text, "--- {name}\n{said}{end}").unwrap();
            }
        }
        text + &format!("--- exit {}\n", self.code)
    }

    #[track_caller]
    pub(super) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.all());
        self
    }

    #[track_caller]
    pub(super) fn ok(self) -> Self {
        self.exits(0)
    }

    #[track_caller]
    pub(super) fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "no {text:?} in {}", self.all());
        self
    }

    #[track_caller]
    pub(super) fn never_says(self, text: &str) -> Self {
        assert!(!self.stdout.contains(text) && !self.stderr.contains(text), "{text:?} in {}", self.all());
        self
    }

    #[track_caller]
    pub(super) fn within(self, longest: Duration) -> Self {
        assert!(self.took <= longest, "{:?} for {}", self.took, self.all());
        self
    }
}
