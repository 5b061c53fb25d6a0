//! Ships that nobody may connect to: whoever does is noticed.

use crate::cli::shell::{Ran, Shell};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::Duration;

/// How long a command may take that finds its input bad. Nearly all take a hundredth of it; a template that does not
/// come to an end takes as long as this program, unoptimized, takes for the steps that it allows.
const BOUND: Duration = Duration::from_secs(30);

/// A directory, and one ship for each way to reach one.
///
/// The kernel keeps a connection for [`TcpListener::accept`] even after its client has gone, so that asking once, after
/// the command, misses none. `ssh` is a program that leaves a mark.
#[derive(Debug)]
pub(super) struct Trap {
    pub(super) shell: Shell,
    tcp: TcpListener,
    unix: UnixListener,
}

impl Trap {
    pub(super) fn new() -> Self {
        let shell = Shell::empty();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        tcp.set_nonblocking(true).unwrap();
        let unix = UnixListener::bind(shell.file("trap.sock")).unwrap();
        unix.set_nonblocking(true).unwrap();
        shell.write("ssh", format!("#!/bin/sh\n: > {}\nexit 255\n", shell.file("ssh-was-run").display()));
        std::fs::set_permissions(shell.file("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { shell, tcp, unix }
    }

    /// The ships, as the beginning of an environment file; ten lines.
    pub(super) fn ships(&self) -> String {
        format!(
            "__maestro: {{schema: 2}}
name: bad
ships:
  tcp: {{ip: 127.0.0.1, docker_port: {port}, timeout: 0.3}}
  tls: {{ip: 127.0.0.1, docker_port: {port}, timeout: 0.3, tls: true}}
  unix: {{ip: 127.0.0.1, socket_path: {socket}, timeout: 0.3}}
  ssh:
    ip: 127.0.0.1
    timeout: 0.3
    ssh_tunnel: {{user: nobody, key: id}}
",
            port = self.tcp.local_addr().unwrap().port(),
            socket = self.shell.file("trap.sock").display(),
        )
    }

    /// Those to which somebody has connected since the last time.
    pub(super) fn caught(&self) -> Vec<&'static str> {
        let mut caught = Vec::new();
        let is_empty = |error: std::io::Error| assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
        while self.tcp.accept().map_err(is_empty).is_ok() {
            caught.push("tcp");
        }
        while self.unix.accept().map_err(is_empty).is_ok() {
            caught.push("unix");
        }
        if std::fs::remove_file(self.shell.file("ssh-was-run")).is_ok() {
            caught.push("ssh");
        }
        caught.dedup();
        caught
    }

    /// Runs a command that must fail with this code, soon, and without having connected to anything.
    pub(super) async fn refuses(&self, line: &str, code: i32) -> Ran {
        let ran = self.shell.run(line).await.exits(code).within(BOUND);
        assert_eq!(self.caught(), [""; 0], "{}", ran.all());
        ran
    }

    /// What is said of this environment file, and by every command that would have connected. The ships come first,
    /// the file's own lines begin with the eleventh.
    pub(super) async fn of(&self, rest: &str) -> String {
        self.shell.write("maestro.yaml", self.ships() + rest);
        let ran = self.refuses("start", 1).await;
        assert_eq!(ran.stdout, "", "{}", ran.all());
        self.redacted(&ran.stderr)
    }

    pub(super) fn redacted(&self, text: &str) -> String {
        self.shell.redactor().redact(text)
    }
}

/// The traps are ships like others: a good file has all of them connected to.
#[tokio::test]
async fn traps_catch() {
    let trap = Trap::new();
    let services = "services: {web: {image: web:1, instances: {web-1: {ship: tcp}, web-2: {ship: unix}, web-3: {ship: ssh}}}}\n";
    trap.shell.write("maestro.yaml", trap.ships() + services);
    assert_eq!(trap.caught(), [""; 0]);
    trap.shell.run("status").await.ok();
    assert_eq!(trap.caught(), ["tcp", "unix", "ssh"]);
    let services = "services: {web: {image: web:1, instances: {web-1: {ship: tls}}}}\n";
    trap.shell.write("maestro.yaml", trap.ships() + services);
    trap.shell.run("status").await.ok();
    assert_eq!(trap.caught(), ["tcp"]);
}
