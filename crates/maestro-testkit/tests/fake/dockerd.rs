//! The HTTP face, byte by byte: what the suite cannot see because a client hides it.

use crate::world::{IMAGE, setup};
use maestro_testkit::daemon::{Latency, Setup};
use maestro_testkit::fake_dockerd::{At, FakeDockerd};
use maestro_testkit::faults::{Faults, Operation};
use maestro_testkit::fleet::{Place, ServedFleet};
use maestro_testkit::state::{Behaviour, Content, Edition, Machine, Registries};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long anything here may take.
const DEADLINE: Duration = Duration::from_secs(20);

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }
}

/// One request on a connection of its own, read to the end of the connection.
async fn raw(server: &FakeDockerd, request: &str) -> Answer {
    let talk = async {
        let mut stream = TcpStream::connect(server.tcp_address().unwrap()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        // A connection that is cut may end with an error.
        _ = stream.read_to_end(&mut bytes).await;
        bytes
    };
    let bytes = tokio::time::timeout(DEADLINE, talk).await.unwrap();
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Answer { status: 0, head: String::new(), body: bytes };
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = bytes[end + 4..].to_vec();
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        body = dechunk(&body);
    }
    Answer { status, head, body }
}

fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = bytes.windows(2).position(|w| w == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            break;
        }
        whole.extend(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 4 + length..];
    }
    whole
}

async fn ask(server: &FakeDockerd, method: &str, path: &str, body: Option<Value>) -> Answer {
    let body = body.map(|b| b.to_string());
    let (kind, body) = match &body {
        Some(body) => {
            (format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()), body.as_str())
        }
        None => (String::new(), ""),
    };
    raw(server, &format!("{method} {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n{kind}\r\n{body}"))
        .await
}

fn serve(behaviour: Behaviour) -> FakeDockerd {
    FakeDockerd::serve(setup(behaviour), At::loopback()).unwrap()
}

fn body() -> Value {
    json!({"Image": IMAGE, "Cmd": ["serve", "now"], "Labels": {"a": "b"}, "HostConfig": {"RestartPolicy": {"Name": "always"}}})
}

/// A container's life in requests, and every status on its way.
#[tokio::test]
async fn a_life_over_http() {
    let server = serve(Behaviour::exits(Duration::from_hours(1), 0));
    let statuses = [
        ("POST", "/v1.41/containers/create?name=web-1", Some(body()), 201),
        ("POST", "/v1.41/containers/create?name=web-1", Some(body()), 409),
        ("POST", "/v1.41/containers/web-1/kill", None, 409),
        ("POST", "/v1.41/containers/web-1/stop?t=1", None, 304),
        ("POST", "/v1.41/containers/web-1/start", None, 204),
        ("POST", "/v1.41/containers/web-1/start", Some(json!({})), 304),
        ("DELETE", "/v1.41/containers/web-1?v=true&force=false", None, 409),
        ("POST", "/v1.41/containers/web-1/rename?name=web-2", None, 204),
        ("POST", "/v1.41/containers/web-2/pause", None, 204),
        ("POST", "/v1.41/containers/web-2/start", None, 409),
        ("POST", "/v1.41/containers/web-2/unpause", None, 204),
        ("POST", "/v1.41/containers/web-2/stop?t=1", None, 204),
        ("POST", "/v1.41/containers/web-2/stop?t=1", None, 304),
        ("DELETE", "/v1.41/containers/web-2?v=True&link=False&force=False", None, 204),
        ("DELETE", "/v1.41/containers/web-2?v=1", None, 404),
    ];
    for (method, path, body, status) in statuses {
        let answer = ask(&server, method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
    assert_eq!(server.look(Machine::count), 0);
}

#[tokio::test]
async fn lists_and_details_have_dockers_shape() {
    let server = serve(Behaviour::healthy(Duration::ZERO));
    ask(&server, "POST", "/containers/create?name=web-1", Some(body())).await;
    let hidden = ask(&server, "GET", "/containers/json", None).await.json();
    assert_eq!(hidden, json!([]), "what does not run is only listed with all=1");
    ask(&server, "POST", "/containers/web-1/start", None).await;
    let list = ask(&server, "GET", "/containers/json?all=1&size=false", None).await.json();
    assert_eq!(list[0]["Names"], json!(["/web-1"]));
    assert_eq!(list[0]["State"], "running");
    assert_eq!(list[0]["Command"], "serve now");
    assert_eq!(list[0]["Labels"], json!({"a": "b"}));
    assert!(list[0]["Status"].as_str().unwrap().starts_with("Up "), "{}", list[0]["Status"]);
    assert!(list[0]["Created"].is_i64());
    let details = ask(&server, "GET", "/containers/web-1/json", None).await.json();
    assert_eq!(details["Name"], "/web-1");
    assert_eq!(details["State"]["Running"], true);
    assert_eq!(details["State"]["Health"]["Status"], "healthy");
    assert_eq!(details["State"]["FinishedAt"], "0001-01-01T00:00:00Z");
    assert_eq!(details["Path"], "serve");
    assert_eq!(details["Config"]["Image"], IMAGE);
    assert_eq!(details["HostConfig"]["RestartPolicy"]["Name"], "always");
    let filtered =
        ask(&server, "GET", "/containers/json?all=1&filters=%7B%22name%22%3A%5B%22db%22%5D%7D", None).await;
    assert_eq!(filtered.json(), json!([]));
    let images = ask(&server, "GET", "/images/json", None).await.json();
    assert_eq!(images[0]["RepoTags"], json!([IMAGE]));
    let image = ask(&server, "GET", &format!("/images/{IMAGE}/json"), None).await.json();
    assert_eq!(image["Id"], images[0]["Id"]);
    let info = ask(&server, "GET", "/info", None).await.json();
    assert_eq!((info["Containers"].as_u64(), info["ContainersRunning"].as_u64()), (Some(1), Some(1)));
}

#[tokio::test]
async fn versions_are_negotiated_as_dockerd_does() {
    for (edition, oldest, newest) in [(Edition::V20, "1.12", "1.41"), (Edition::V28, "1.24", "1.51")] {
        let server = FakeDockerd::serve(Setup::new("ship-1").edition(edition), At::loopback()).unwrap();
        let version = ask(&server, "GET", "/version", None).await.json();
        assert_eq!((&version["MinAPIVersion"], &version["ApiVersion"]), (&json!(oldest), &json!(newest)));
        let ping = ask(&server, "HEAD", "/_ping", None).await;
        let head = ping.head.to_ascii_lowercase();
        assert!(
            head.contains(&format!("api-version: {newest}")) && head.contains("server: docker/"),
            "{head}"
        );
        let old = ask(&server, "GET", "/v1.11/version", None).await;
        assert_eq!(
            (old.status, old.text()),
            (
                400,
                format!(
                    "client version 1.11 is too old. Minimum supported API version is {oldest}, \
                     please upgrade your client to a newer version\n"
                )
            )
        );
        let new = ask(&server, "GET", "/v1.99/version", None).await;
        assert_eq!(
            (new.status, new.message()),
            (400, format!("client version 1.99 is too new. Maximum supported API version is {newest}"))
        );
    }
}

#[tokio::test]
async fn what_nobody_meant_is_refused() {
    let server = serve(Behaviour::forever());
    let mut unknown = body();
    unknown["Memroy"] = json!(1);
    let cases = [
        ("GET", "/containers/json?al=1", None, 400, "unknown query parameter \"al\""),
        ("GET", "/nope", None, 404, "page not found"),
        ("POST", "/containers/create?name=web-1", Some(unknown), 400, "unknown field `Memroy`"),
        ("POST", "/containers/create", Some(body()), 400, "a container without a name"),
        ("POST", "/containers/create?name=web-1", None, 400, "Content-Type specified () must be"),
        ("DELETE", "/containers/web-1", None, 404, "No such container: web-1"),
        ("GET", "/containers/web-1/logs", None, 400, "you must choose at least one stream"),
        ("POST", "/images/create?fromImage=app", None, 400, "pulls all tags"),
    ];
    for (method, path, body, status, message) in cases {
        let answer = ask(&server, method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.message().contains(message), "{method} {path}: {}", answer.message());
    }
    ask(&server, "POST", "/containers/create?name=web-1", Some(body())).await;
    let careless = ask(&server, "DELETE", "/containers/web-1", None).await;
    assert!(careless.message().contains("without `v`"), "{}", careless.message());
}

#[tokio::test]
async fn logs_come_in_frames() {
    use maestro_core::boundary::LogStream::{Stderr, Stdout};
    let behaviour = Behaviour::exits(Duration::from_millis(1), 0).says(Stdout, "hello").says(Stderr, "oops");
    let server = serve(behaviour);
    let mut plain = body();
    plain["HostConfig"] = json!({});
    ask(&server, "POST", "/containers/create?name=web-1", Some(plain)).await;
    ask(&server, "POST", "/containers/web-1/start", None).await;
    let logs = ask(&server, "GET", "/containers/web-1/logs?stdout=1&stderr=1&follow=1", None).await;
    assert_eq!(logs.body, b"\x01\0\0\0\0\0\0\x06hello\n\x02\0\0\0\0\0\0\x05oops\n");
    let last =
        ask(&server, "GET", "/containers/web-1/logs?stderr=1&stdout=0&tail=1&timestamps=1", None).await;
    assert_eq!(last.body[..8], [2, 0, 0, 0, 0, 0, 0, 36]);
    assert!(last.text().ends_with("Z oops\n"), "{}", last.text());
}

#[tokio::test]
async fn an_exec_takes_the_connection_over() {
    let server = serve(Behaviour::forever());
    ask(&server, "POST", "/containers/create?name=web-1", Some(body())).await;
    ask(&server, "POST", "/containers/web-1/start", None).await;
    let request = json!({"Cmd": ["cat"], "AttachStdin": true, "AttachStdout": true, "AttachStderr": true});
    let exec = ask(&server, "POST", "/containers/web-1/exec", Some(request)).await.json();
    let id = exec["Id"].as_str().unwrap();
    let start = json!({"Detach": false, "Tty": false}).to_string();
    let talk = async {
        let mut stream = TcpStream::connect(server.tcp_address().unwrap()).await.unwrap();
        let head = format!(
            "POST /v1.41/exec/{id}/start HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{start}",
            start.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            seen.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(seen).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        stream.write_all(b"ping").await.unwrap();
        let mut frame = [0; 12];
        stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(&frame, b"\x01\0\0\0\0\0\0\x04ping");
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "{rest:?}");
    };
    tokio::time::timeout(DEADLINE, talk).await.unwrap();
    let after = ask(&server, "GET", &format!("/exec/{id}/json"), None).await.json();
    assert_eq!((&after["Running"], &after["ExitCode"]), (&json!(false), &json!(0)));
    let again =
        ask(&server, "POST", &format!("/exec/{id}/start"), Some(json!({"Detach": false, "Tty": false})))
            .await;
    assert_eq!(again.status, 409);
}

#[tokio::test]
async fn pulls_tell_their_progress() {
    let registries = Registries::none();
    let content = Content::new("web", Behaviour::forever()).with_layers(vec![100, 300], Duration::ZERO);
    registries.push("reg:5000/shop/web:1", &content);
    let server = FakeDockerd::serve(Setup::new("ship-1").registries(&registries), At::loopback()).unwrap();
    let pull = "/images/create?fromImage=reg:5000/shop/web&tag=1";
    let answer = ask(&server, "POST", pull, None).await;
    let records: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let statuses: Vec<&str> = records.iter().map(|r| r["status"].as_str().unwrap()).collect();
    assert_eq!(statuses[0], "Pulling from shop/web");
    assert_eq!(statuses.iter().filter(|s| **s == "Pull complete").count(), 2);
    assert_eq!(*statuses.last().unwrap(), "Status: Downloaded newer image for reg:5000/shop/web:1");
    let again = ask(&server, "POST", pull, None).await;
    assert!(again.text().contains("Image is up to date"), "{}", again.text());
    let unknown = ask(&server, "POST", "/images/create?fromImage=reg:5000/shop/db&tag=1", None).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(
        unknown.message(),
        "manifest for reg:5000/shop/db:1 not found: manifest unknown: manifest unknown"
    );
}

#[tokio::test]
async fn events_stream_until_their_end() {
    let server = serve(Behaviour::forever());
    ask(&server, "POST", "/containers/create?name=web-1", Some(body())).await;
    ask(&server, "POST", "/containers/web-1/start", None).await;
    let until = server.now().as_second() + 1;
    let filters = "filters=%7B%22type%22%3A%5B%22container%22%5D%7D";
    let answer = ask(&server, "GET", &format!("/events?since=1&until={until}&{filters}"), None).await;
    let records: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let actions: Vec<&str> = records.iter().map(|r| r["Action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["create", "start"]);
    assert_eq!(records[0]["Actor"]["Attributes"], json!({"a": "b", "image": IMAGE, "name": "web-1"}));
    assert_eq!(records[0]["from"], IMAGE);
}

#[tokio::test]
async fn a_dead_engine_refuses_connections_and_comes_back() {
    let faults = Faults::dies_at_write(2);
    let server = FakeDockerd::serve(setup(Behaviour::forever()).faults(faults), At::loopback()).unwrap();
    ask(&server, "POST", "/containers/create?name=web-1", Some(body())).await;
    let cut = ask(&server, "POST", "/containers/web-1/start", None).await;
    assert_eq!((cut.status, cut.body.len()), (0, 0), "the answer is lost");
    assert!(server.container("web-1").is_some_and(|c| c.is_running()));
    let address = server.tcp_address().unwrap();
    let connects = async |wanted: bool| {
        let wait = async {
            while TcpStream::connect(address).await.is_ok() != wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.unwrap();
    };
    connects(false).await;
    server.set_faults(Faults::none());
    connects(true).await;
    assert_eq!(ask(&server, "GET", "/_ping", None).await.text(), "OK");
}

#[tokio::test]
async fn a_hung_engine_accepts_and_says_nothing() {
    let server =
        FakeDockerd::serve(setup(Behaviour::forever()).faults(Faults::hung()), At::loopback()).unwrap();
    let mut stream = TcpStream::connect(server.tcp_address().unwrap()).await.unwrap();
    stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n").await.unwrap();
    let silence = tokio::time::timeout(Duration::from_millis(200), stream.read_u8()).await;
    assert!(silence.is_err(), "{silence:?}");
    assert_eq!(server.calls().get(&Operation::Inspect), Some(&1));
}

#[tokio::test]
async fn a_thousand_engines_listen_at_once() {
    let fleet =
        ServedFleet::serve(1_000, 10, &Place::AnyPorts, &Latency::default(), |_| Faults::none()).unwrap();
    let environment = fleet.grid.environment().unwrap();
    assert_eq!((environment.ships.len(), environment.instances.len()), (1_000, 10_000));
    for server in [&fleet.engines[0], &fleet.engines[999]] {
        assert_eq!(ask(server, "GET", "/_ping", None).await.text(), "OK");
    }
}

#[tokio::test]
async fn a_fleet_may_run_from_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::Sockets(directory.path().to_owned());
    let fleet = ServedFleet::serve(2, 3, &place, &Latency::default(), |_| Faults::none()).unwrap();
    let environment = fleet.grid.environment().unwrap();
    fleet.run_all(&environment).unwrap();
    for server in &fleet.engines {
        let running = server.look(|m| m.containers().iter().filter(|c| c.is_running()).count());
        assert_eq!(running, 3);
    }
    assert!(directory.path().join("ship-0001.sock").exists());
    drop(fleet);
    assert!(!directory.path().join("ship-0001.sock").exists());
}
