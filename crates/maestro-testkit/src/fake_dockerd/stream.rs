//! Requests whose answers come piece by piece: output and events.

use crate::daemon::Follower;
use crate::fake_dockerd::answer::{Answer, Cut, feed};
use crate::fake_dockerd::describe::rfc3339;
use crate::fake_dockerd::query::Filters;
use crate::fake_dockerd::route::Call;
use crate::faults::Operation;
use crate::state::{Edition, Machine, Refusal};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use maestro_core::boundary::{EngineEvent, LogLine, LogOptions, LogStream};
use serde_json::json;

/// A piece of output with its header of eight bytes: which stream, and how long.
pub(crate) fn frame(stream: LogStream, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![if stream == LogStream::Stdout { 1 } else { 2 }, 0, 0, 0];
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    frame.extend(length.to_be_bytes());
    frame.extend(bytes);
    frame
}

/// How the older and the newer release call a stream of frames.
pub(crate) fn multiplexed(edition: Edition) -> Option<HeaderValue> {
    match edition {
        Edition::V20 => None,
        Edition::V28 => Some(HeaderValue::from_static("application/vnd.docker.multiplexed-stream")),
    }
}

pub(crate) async fn logs(call: Call, id: &str) -> Answer {
    let query =
        call.query(&["follow", "stdout", "stderr", "since", "until", "timestamps", "tail", "details"])?;
    let (out, err) = (query.flag("stdout"), query.flag("stderr"));
    if !out && !err {
        return Err(Refusal::bad("Bad parameters: you must choose at least one stream").into());
    }
    if query.time("until")?.is_some() || query.flag("details") {
        return Err(Refusal::strict("until and details of logs are not modelled").into());
    }
    let options = LogOptions {
        tail: match query.text("tail") {
            None | Some("all") => None,
            Some(_) => query.number("tail")?,
        },
        follow: query.flag("follow"),
        since: query.time("since")?,
    };
    let timestamps = query.flag("timestamps");
    let begin = |machine: &Machine| {
        let follower = Follower::new(machine.get(id)?, &options);
        Ok((follower, multiplexed(machine.edition())))
    };
    let (mut follower, kind) = call.daemon.read(Operation::Logs, id, begin).await?;
    let daemon = call.daemon.clone();
    let mut answer =
        feed(|pen| async move {
            loop {
                let news = daemon.until(|machine| {
                    if daemon.is_down() { Some(Err(Cut)) } else { follower.read(machine).map(Ok) }
                });
                let lines = news.await?;
                if lines.is_empty() {
                    return Ok(());
                }
                let mut bytes = Vec::new();
                for line in lines.iter().filter(|l| if l.stream == LogStream::Stdout { out } else { err }) {
                    bytes.extend(frame(line.stream, text(line, timestamps).as_bytes()));
                }
                pen.write(bytes).await?;
            }
        });
    if let Some(kind) = kind {
        answer.headers_mut().insert(CONTENT_TYPE, kind);
    }
    Ok(answer)
}

/// A line with its end, and its time if that is wanted.
pub(crate) fn text(line: &LogLine, timestamps: bool) -> String {
    if timestamps { format!("{} {}\n", rfc3339(line.at), line.text) } else { format!("{}\n", line.text) }
}

pub(crate) async fn events(call: Call) -> Answer {
    let query = call.query(&["since", "until", "filters"])?;
    let filters = query.filters(&["type", "event", "container", "label"])?;
    let (since, until) = (query.time("since")?, query.time("until")?);
    let begin = |machine: &Machine| {
        let events = machine.events();
        Ok(since.map_or(events.next(), |since| events.since(since)))
    };
    let mut number = call.daemon.read(Operation::Events, "", begin).await?;
    let daemon = call.daemon.clone();
    let end = until.map(|until| daemon.clock().instant(until));
    let mut answer = feed(|pen| async move {
        loop {
            let next = daemon.until(|machine| match machine.events().get(number) {
                _ if daemon.is_down() => Some(Err(Cut)),
                Some((number, event)) => Some(Ok((number, event.clone()))),
                None => None,
            });
            let next = match end {
                None => next.await,
                Some(end) => match tokio::time::timeout_at(end, next).await {
                    Ok(next) => next,
                    Err(_) => return Ok(()),
                },
            };
            let (found, event) = next?;
            if until.is_some_and(|until| event.at > until) {
                return Ok(());
            }
            number = found + 1;
            if wanted(&filters, &event) {
                pen.line(&record(&event)).await?;
            }
        }
    });
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}

fn wanted(filters: &Filters, event: &EngineEvent) -> bool {
    let name = event.attributes.get("name").map(String::as_str);
    filters.allow("type", |kind| event.kind == kind)
        && filters.allow("event", |action| {
            // `health_status` means all that begin with it.
            event.action == action || event.action.starts_with(&format!("{action}:"))
        })
        && filters.allow("container", |wanted| {
            event.kind == "container" && (event.id.starts_with(wanted) || name == Some(wanted))
        })
        && filters.allow_labels(|key| event.attributes.get(key).map(String::as_str))
}

fn record(event: &EngineEvent) -> serde_json::Value {
    let nanos = event.at.as_nanosecond();
    let mut record = json!({
        "Type": event.kind,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": event.attributes},
        "scope": "local",
        "time": event.at.as_second(),
        "timeNano": i64::try_from(nanos).unwrap_or(i64::MAX),
    });
    if event.kind != "network" {
        record["status"] = json!(event.action);
        record["id"] = json!(event.id);
    }
    if event.kind == "container" {
        record["from"] = json!(event.attributes.get("image"));
    }
    record
}
