//! The command line of `maestro-guest`, which is that of `maestro guest` as well.

use lexopt::{Arg, Parser, ValueExt};
use maestro_core::guest::{Guest, Missing};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

const HELP: &str = "\
What Maestro told this container about itself and its surroundings.

Usage: {program} [--json] QUESTION

Questions:
  environment                        the environment's name (`local` outside of one)
  service                            the service that this container belongs to
  container                          this container's name
  host-address [--resolve]           the address of its ship; --resolve: as an IPv4 address
  internal-address                   its own IPv4 address, that of eth0
  port NAME                          a port of its own, as it is within the container
  node-host SERVICE CONTAINER        the address of another container's ship
  node-port SERVICE CONTAINER NAME   a port of another container, as others reach it
  node-exposed-port SERVICE CONTAINER NAME
                                     the same as it is within that container; own service only
  nodes SERVICE [PORT...]            HOST[:PORT...] of each container of a service, a line each

Options:
      --default N   instead of a port that is not there
      --minimum N   how many nodes there must be at least [default: 1]
      --json        answer in JSON
  -h, --help        print this
  -V, --version     print the version

Exit codes: 0 answered, 1 not known, 2 no such question.
";

/// Why a command line was not answered.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// It makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The container was not told.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The system does not know.
    #[error("{0}")]
    System(String),
}

impl From<lexopt::Error> for Fault {
    fn from(error: lexopt::Error) -> Self {
        Fault::Usage(error.to_string())
    }
}

/// What is asked for on a command line.
enum Asked {
    Help,
    Version,
    Question(Question),
}

/// A question and how it is to be answered.
#[derive(Debug, Default)]
struct Question {
    words: Vec<String>,
    json: bool,
    resolve: bool,
    default: Option<u16>,
    minimum: Option<usize>,
}

/// What a command line gets.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The exit code: 0 answered, 1 not known, 2 no such question.
    pub code: u8,
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub err: String,
}

impl Answer {
    /// Writes it, and returns the exit code: not that of an answer if that got lost.
    pub fn give(self, mut out: impl Write, mut err: impl Write) -> u8 {
        let written = out.write_all(self.out.as_bytes()).and_then(|()| out.flush());
        let (code, said) = match written {
            // Whoever closed it has heard enough.
            Err(error) if !self.out.is_empty() && error.kind() != ErrorKind::BrokenPipe => {
                (1, format!("ERROR: the answer cannot be written: {error}\n"))
            }
            Ok(()) | Err(_) => (self.code, self.err),
        };
        // There is nowhere else to say it.
        err.write_all(said.as_bytes()).ok();
        code
    }
}

/// Answers a command line, without its first word, from the variables of this process. `program` is how the user
/// calls it.
pub fn answer(program: &str, arguments: impl IntoIterator<Item = OsString>) -> Answer {
    answer_from(program, arguments, &Guest::new(|name: &str| std::env::var_os(name)?.into_string().ok()))
}

fn answer_from<V: Fn(&str) -> Option<String>>(
    program: &str,
    arguments: impl IntoIterator<Item = OsString>,
    guest: &Guest<V>,
) -> Answer {
    let answered = read(arguments).and_then(|asked| match asked {
        Asked::Help => Ok(HELP.replace("{program}", program)),
        Asked::Version => Ok(format!("{program} {}\n", env!("CARGO_PKG_VERSION"))),
        Asked::Question(question) => Ok(shown(&known(&question, guest)?, question.json)),
    });
    let (code, out, err) = match answered {
        Ok(text) => (0, text, String::new()),
        Err(Fault::Usage(fault)) => {
            (2, String::new(), format!("ERROR: {fault}; `{program} --help` says what can be asked\n"))
        }
        Err(fault) => (1, String::new(), format!("ERROR: {fault}\n")),
    };
    Answer { code, out, err }
}

fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, Fault> {
    let mut parser = Parser::from_args(arguments);
    let mut question = Question::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Asked::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Asked::Version),
            Arg::Long("json") => question.json = true,
            Arg::Long("resolve") => question.resolve = true,
            Arg::Long("default") => question.default = Some(parser.value()?.parse()?),
            Arg::Long("minimum") => question.minimum = Some(parser.value()?.parse()?),
            Arg::Value(word) => question.words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Asked::Question(question))
}

fn known<V: Fn(&str) -> Option<String>>(question: &Question, guest: &Guest<V>) -> Result<Value, Fault> {
    let default = question.default;
    let words: Vec<&str> = question.words.iter().map(String::as_str).collect();
    let Some((first, rest)) = words.split_first() else {
        return Err(Fault::Usage("nothing is asked for".to_owned()));
    };
    let minimum = question.minimum.filter(|_| *first != "nodes").map(|_| "--minimum is for `nodes`");
    let resolve = (question.resolve && *first != "host-address").then_some("--resolve is for `host-address`");
    let port = (default.is_some() && !first.ends_with("port")).then_some("--default is for ports");
    if let Some(fault) = minimum.or(resolve).or(port) {
        return Err(Fault::Usage(fault.to_owned()));
    }
    Ok(match (*first, rest) {
        ("environment", []) => json!(guest.environment()),
        ("service", []) => json!(guest.service()?),
        ("container", []) => json!(guest.container()?),
        ("host-address", []) if question.resolve => json!(resolved(&guest.host_address()?)?),
        ("host-address", []) => json!(guest.host_address()?),
        ("internal-address", []) => json!(internal_address()?),
        ("port", [name]) => json!(guest.port(name, default)?),
        ("node-host", [service, container]) => json!(guest.node_host(service, container)?),
        ("node-port", [service, container, port]) => {
            json!(guest.node_port(service, container, port, default)?)
        }
        ("node-exposed-port", [service, container, port]) => {
            json!(guest.node_exposed_port(service, container, port, default)?)
        }
        ("nodes", [service, ports @ ..]) => {
            json!(guest.nodes(service, ports, question.minimum.unwrap_or(1))?)
        }
        (
            "environment" | "service" | "container" | "host-address" | "internal-address" | "port"
            | "node-host" | "node-port" | "node-exposed-port" | "nodes",
            _,
        ) => return Err(Fault::Usage(format!("`{first}` wants other words after it"))),
        _ => return Err(Fault::Usage(format!("there is no question `{first}`"))),
    })
}

fn shown(value: &Value, json: bool) -> String {
    match value {
        _ if json => format!("{value}\n"),
        Value::Array(lines) => lines.iter().map(|line| shown(line, false)).collect(),
        Value::String(text) => format!("{text}\n"),
        other => format!("{other}\n"),
    }
}

/// The first IPv4 address of a host.
fn resolved(host: &str) -> Result<Ipv4Addr, Fault> {
    let addresses = (host, 0).to_socket_addrs();
    let mut addresses =
        addresses.map_err(|error| Fault::System(format!("{host} has no address: {error}")))?;
    addresses
        .find_map(|address| match address {
            SocketAddr::V4(address) => Some(*address.ip()),
            SocketAddr::V6(_) => None,
        })
        .ok_or_else(|| Fault::System(format!("{host} has no IPv4 address")))
}

/// The first IPv4 address of `eth0`, which is what engines call a container's own interface.
fn internal_address() -> Result<Ipv4Addr, Fault> {
    let interfaces = if_addrs::get_if_addrs();
    let interfaces =
        interfaces.map_err(|error| Fault::System(format!("the interfaces are not to be seen: {error}")))?;
    interfaces
        .into_iter()
        .find_map(|interface| match interface.ip() {
            IpAddr::V4(address) if interface.name == "eth0" => Some(address),
            _ => None,
        })
        .ok_or_else(|| Fault::System("there is no interface eth0 with an IPv4 address".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io;

    /// The variables of `store-1` in the specification's example (section 5.2).
    fn variables() -> BTreeMap<&'static str, &'static str> {
        BTreeMap::from([
            ("MAESTRO_ENVIRONMENT_NAME", "harbour"),
            ("SERVICE_NAME", "store-db"),
            ("CONTAINER_NAME", "store-1"),
            ("CONTAINER_HOST_ADDRESS", "192.0.2.10"),
            ("STORE_DB_INSTANCES", "store-1,store-2"),
            ("STORE_DB_STORE_1_HOST", "192.0.2.10"),
            ("STORE_DB_STORE_1_SQL_PORT", "15432"),
            ("STORE_DB_STORE_1_SQL_INTERNAL_PORT", "5432"),
            ("STORE_DB_STORE_1_REPL_X_PORT", "17000-17001"),
            ("STORE_DB_STORE_1_REPL_X_INTERNAL_PORT", "7000-7001"),
            ("STORE_DB_STORE_2_HOST", "192.0.2.20"),
            ("STORE_DB_STORE_2_SQL_PORT", "5432"),
            ("EMPTY_INSTANCES", ""),
        ])
    }

    fn ask_in(variables: &BTreeMap<&str, &str>, line: &str) -> (u8, String, String) {
        let guest = Guest::new(|name: &str| variables.get(name).map(ToString::to_string));
        let Answer { code, out, err } =
            answer_from("maestro-guest", line.split_whitespace().map(OsString::from), &guest);
        (code, out, err)
    }

    fn ask(line: &str) -> (u8, String, String) {
        ask_in(&variables(), line)
    }

    #[track_caller]
    fn answers(line: &str, out: &str) {
        assert_eq!(ask(line), (0, out.to_owned(), String::new()), "{line}");
    }

    #[track_caller]
    fn refuses(line: &str, code: u8, part: &str) {
        let (got, out, err) = ask(line);
        assert_eq!((got, out.as_str()), (code, ""), "{line}: {err}");
        assert!(err.starts_with("ERROR: ") && err.contains(part), "{line}: {err}");
    }

    #[test]
    fn answers_what_the_python_module_answers() {
        answers("environment", "harbour\n");
        answers("service", "store-db\n");
        answers("container", "store-1\n");
        answers("host-address", "192.0.2.10\n");
        answers("host-address --resolve", "192.0.2.10\n");
        answers("port sql", "5432\n");
        answers("port nope --default 42", "42\n");
        answers("port sql --default 42", "5432\n");
        answers("node-host store-db store-2", "192.0.2.20\n");
        answers("node-port store-db store-1 sql", "15432\n");
        answers("node-exposed-port store-db store-1 sql", "5432\n");
        answers("nodes store-db", "192.0.2.10\n192.0.2.20\n");
        answers("nodes store-db sql", "192.0.2.10:15432\n192.0.2.20:5432\n");
        answers("nodes nobody --minimum 0", "");
    }

    #[test]
    fn answers_in_json() {
        answers("--json environment", "\"harbour\"\n");
        answers("port sql --json", "5432\n");
        answers("nodes store-db sql --json", "[\"192.0.2.10:15432\",\"192.0.2.20:5432\"]\n");
        answers("nodes nobody --minimum=0 --json", "[]\n");
    }

    #[test]
    fn says_what_is_not_known_and_why() {
        refuses("port repl.x", 1, "port repl.x of store-1 is not one number but `7000-7001`");
        refuses("port nope", 1, "STORE_DB_STORE_1_NOPE_INTERNAL_PORT");
        refuses(
            "node-host other x",
            1,
            "OTHER_X_HOST is not set; does the service of this container require other",
        );
        refuses("nodes store-db nope", 1, "port nope of store-1");
        refuses("nodes store-db --minimum 3", 1, "store-db has 2 nodes, and at least 3 are asked for");
        refuses("nodes nobody", 1, "nobody has 0 nodes");
        // As the Python module has it: a service without instances is not one that nobody told of.
        refuses("nodes empty --minimum 0", 1, "EMPTY__HOST");
    }

    #[test]
    fn outside_of_a_container_only_the_environment_is_known() {
        let nothing = BTreeMap::new();
        assert_eq!(ask_in(&nothing, "environment").1, "local\n");
        for line in ["service", "container", "host-address", "host-address --resolve", "port x"] {
            let (code, out, err) = ask_in(&nothing, line);
            assert_eq!((code, out.as_str()), (1, ""), "{line}");
            assert!(err.contains("is this a container that Maestro started?"), "{line}: {err}");
        }
        let empty = BTreeMap::from([("SERVICE_NAME", "")]);
        assert_eq!(ask_in(&empty, "service").0, 1);
    }

    #[test]
    fn refuses_what_is_no_question() {
        refuses("", 2, "nothing is asked for");
        refuses("nope", 2, "there is no question `nope`; `maestro-guest --help`");
        refuses("port", 2, "`port` wants other words");
        refuses("service --default 1", 2, "--default is for ports");
        refuses("port sql --default x", 2, "x");
        refuses("nodes --nope", 2, "--nope");
        refuses("service --resolve", 2, "--resolve is for");
    }

    /// Takes nothing, for a reason.
    struct Refusing(ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A script would take the silence for the answer.
    #[test]
    fn an_answer_that_gets_lost_is_none() {
        let answer = || Answer { code: 0, out: "5432\n".to_owned(), err: String::new() };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        assert_eq!((answer().give(&mut out, &mut err), &*out, &*err), (0, &b"5432\n"[..], &b""[..]));
        assert_eq!(answer().give(Refusing(ErrorKind::StorageFull), &mut err), 1);
        assert_eq!(String::from_utf8_lossy(&err), "ERROR: the answer cannot be written: no storage space\n");
        // Whoever closed it has heard enough.
        err.clear();
        assert_eq!((answer().give(Refusing(ErrorKind::BrokenPipe), &mut err), &*err), (0, &b""[..]));
        let fault = Answer { code: 2, out: String::new(), err: "ERROR: x\n".to_owned() };
        assert_eq!(fault.give(Refusing(ErrorKind::StorageFull), Refusing(ErrorKind::StorageFull)), 2);
    }

    #[test]
    fn helps() {
        let (code, out, _) = ask("--help");
        assert_eq!(code, 0);
        assert!(out.contains("Usage: maestro-guest [--json] QUESTION"), "{out}");
        assert_eq!(ask("-V").1, format!("maestro-guest {}\n", env!("CARGO_PKG_VERSION")));
    }
}
