//! What engines do not tell of their hosts: how much room there is, and who else listens.
//!
//! Over SSH the host is asked itself, with programs that every system has. The file system of a host that is this machine
//! can be looked at. Of other hosts only this is known: whether somebody accepts a connection.

use super::docker::DockerEngine;
use futures_util::stream::{self, StreamExt};
use maestro_core::fleet::{DiskSpace, HostPort, Untold};
use maestro_core::model::{Protocol, Transport};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a port may take to accept a connection, or to refuse it.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many ports of one ship are tried at a time.
const TRIES: usize = 16;

/// States of sockets in the kernel's tables.
const LISTENS: &str = "0A";
const UNCONNECTED: &str = "07";

impl DockerEngine {
    /// The room on the file system that the engine has its data on.
    pub(super) async fn room(&self, data_root: Option<&str>, host: &str) -> Result<DiskSpace, Untold> {
        let Some(root) = data_root else {
            return Err("the engine does not tell where its data are".to_owned());
        };
        match &self.ship.transport {
            Transport::Ssh { .. } => {
                let table = self.wire.run_on_host("df", &["-P", "-k", "--", root]).await;
                table.and_then(|table| df(&table).ok_or_else(|| "`df` there says nothing of it".to_owned()))
            }
            Transport::Unix { .. } => {
                // The engine at a socket may be elsewhere: in a virtual machine, at the other end of a tunnel.
                if rustix::system::uname().nodename().to_str() != Ok(host) {
                    return Err("the engine at the socket says that it is another machine's".to_owned());
                }
                let root = root.to_owned();
                let look = tokio::task::spawn_blocking(move || rustix::fs::statvfs(root.as_str()));
                match timeout(self.reading(), look).await {
                    Ok(Ok(Ok(found))) => Ok(DiskSpace {
                        free: found.f_bavail.saturating_mul(found.f_frsize),
                        total: found.f_blocks.saturating_mul(found.f_frsize),
                    }),
                    Ok(Ok(Err(error))) => {
                        Err(format!("its data directory cannot be looked at: {}", io::Error::from(error)))
                    }
                    Ok(Err(_)) | Err(_) => Err("the file system does not answer".to_owned()),
                }
            }
            Transport::Tcp { .. } | Transport::Tls { .. } => {
                Err("engines do not tell, and there is no SSH connection to look through".to_owned())
            }
        }
    }

    /// Whether somebody listens at these ports, which no container has.
    pub(super) async fn listening(&self, ports: Vec<HostPort>) -> BTreeMap<HostPort, Result<bool, Untold>> {
        let mut found = BTreeMap::new();
        let mut open = ports;
        if matches!(self.ship.transport, Transport::Ssh { .. }) {
            for (protocol, files) in [
                (Protocol::Tcp, ["/proc/net/tcp", "/proc/net/tcp6"]),
                (Protocol::Udp, ["/proc/net/udp", "/proc/net/udp6"]),
            ] {
                if !open.iter().any(|port| port.protocol == protocol) {
                    continue;
                }
                let Ok(table) = self.wire.run_on_host("cat", &files).await else { continue };
                let Some(taken) = sockets(&table, protocol) else { continue };
                open.retain(|port| {
                    let told = port.protocol == protocol;
                    if told {
                        found.insert(port.clone(), Ok(taken.iter().any(|other| other.clashes(port))));
                    }
                    !told
                });
            }
        }
        let tries = stream::iter(open).map(async |port| {
            let answer = self.accepts(&port).await;
            (port, answer)
        });
        found.extend(tries.buffer_unordered(TRIES).collect::<Vec<_>>().await);
        found
    }

    async fn accepts(&self, port: &HostPort) -> Result<bool, Untold> {
        if port.protocol == Protocol::Udp {
            return Err("nobody who listens for UDP says so".to_owned());
        }
        let address = if port.address.is_empty() { &self.ship.ip } else { &port.address };
        let is_loopback =
            |text: &str| text == "localhost" || text.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if is_loopback(address) && !is_loopback(&self.ship.ip) {
            return Err("the ship's loopback address is for itself only".to_owned());
        }
        let _permit = self.shared.tries.acquire().await.map_err(|_| "this process is ending".to_owned())?;
        match timeout(PATIENCE, TcpStream::connect((&**address, port.port))).await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
            Ok(Err(_)) | Err(_) => {
                Err("connections to it are neither accepted nor refused, as packet filters have it"
                    .to_owned())
            }
        }
    }
}

/// Reads what `df -P -k` says of one file system.
fn df(table: &str) -> Option<DiskSpace> {
    let line = table.lines().next_back()?;
    // Names of devices and directories may have blanks; of what is between them, the last is a percentage.
    let fields: Vec<&str> = line.split_whitespace().collect();
    let percent = fields.iter().rposition(|field| {
        field.strip_suffix('%').is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    })?;
    let kilobytes = |at: usize| fields.get(at)?.parse::<u64>().ok()?.checked_mul(1024);
    Some(DiskSpace { free: kilobytes(percent.checked_sub(1)?)?, total: kilobytes(percent.checked_sub(3)?)? })
}

/// Reads the kernel's tables of sockets (proc(5), `/proc/net/tcp` and those like it); none if it is none.
fn sockets(table: &str, protocol: Protocol) -> Option<Vec<HostPort>> {
    let wanted = match protocol {
        Protocol::Tcp => LISTENS,
        Protocol::Udp => UNCONNECTED,
    };
    let mut seen = false;
    let mut taken = Vec::new();
    for line in table.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields.contains(&"local_address") {
            seen = true;
        } else if let [_, local, _, state, ..] = fields[..]
            && state == wanted
            && let Some((address, port)) = local.split_once(':')
            && let Ok(port) = u16::from_str_radix(port, 16)
        {
            taken.push(HostPort::new(protocol, &address_of(address), port));
        }
    }
    seen.then_some(taken)
}

/// An address as the kernel writes it: in hexadecimal digits, each four bytes in the machine's order. Whoever listens at an
/// address that is not understood is taken to listen at all of them.
fn address_of(digits: &str) -> String {
    let word = |at: usize| u32::from_str_radix(digits.get(at..at + 8)?, 16).ok().map(u32::swap_bytes);
    match digits.len() {
        8 => word(0).map_or_else(String::new, |bits| std::net::Ipv4Addr::from_bits(bits).to_string()),
        32 => {
            let bits = (0..4).try_fold(0u128, |bits, at| Some(bits << 32 | u128::from(word(at * 8)?)));
            let ip = bits.map(std::net::Ipv6Addr::from_bits);
            ip.map_or_else(String::new, |ip| ip.to_canonical().to_string())
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_df_says() {
        let gnu = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n\
                   /dev/my disk      10255636  8041436   1671528      83% /var/lib/my docker\n";
        let room = df(gnu).unwrap();
        assert_eq!((room.total, room.free), (10_255_636 * 1024, 1_671_528 * 1024));
        for none in
            ["", "df: /x: No such file or directory\n", "a b 5% c\n", "This account is not available.\n"]
        {
            assert_eq!(df(none), None, "{none}");
        }
    }

    #[test]
    fn reads_who_listens() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0 0 1 1 0 100\n\
                     \x20  1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0 0 1 1 0 100\n\
                     \x20  2: 0100007F:0016 0100007F:B3A2 01 00000000:00000000 00:00000000 00000000     0 0 1 1 0 100\n\
                     \x20 sl  local_address                         remote_address                        st tx_queue\n\
                     \x20  0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0 0\n\
                     \x20  1: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 0 0\n\
                     \x20  2: 0000000000000000FFFF00000100007F:1F92 00000000000000000000000000000000:0000 0A 0 0\n";
        let taken: Vec<String> =
            sockets(table, Protocol::Tcp).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(taken, ["127.0.0.1:8080/tcp", "22/tcp", "80/tcp", "[::1]:8081/tcp", "127.0.0.1:8082/tcp"]);
        assert_eq!(sockets(table, Protocol::Udp).unwrap(), []);
        assert_eq!(sockets("no such program\n", Protocol::Tcp), None);
    }
}
