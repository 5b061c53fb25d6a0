//! What comes piece by piece: output and events.

use crate::conformance::{Context, STATE_DEADLINE, Sample, expect, expect_eq, expect_kind, say};
use futures_util::{StreamExt, TryFutureExt};
use maestro_core::boundary::{EngineEvent, LogLine, LogOptions, LogStream};
use maestro_core::fleet::ContainerState;
use maestro_core::plan::Target;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

async fn read(cx: &Context<'_>, target: &Target, options: &LogOptions) -> Result<Vec<LogLine>, String> {
    let mut stream = cx.engine.logs(target, options);
    let mut lines = Vec::new();
    let reading = async {
        while let Some(line) = stream.next().await {
            lines.push(line.map_err(say)?);
        }
        Ok::<(), String>(())
    };
    let in_time = tokio::time::timeout(STATE_DEADLINE, reading).await;
    in_time.map_err(|_| "the log does not end".to_owned())??;
    Ok(lines)
}

fn texts(lines: &[LogLine], stream: LogStream) -> Vec<&str> {
    lines.iter().filter(|l| l.stream == stream).map(|l| l.text.as_str()).collect()
}

async fn finished(cx: &Context<'_>) -> Result<Target, String> {
    let target = cx.launch(Sample::Exits3).await?;
    cx.wait(&target, "exited", |c| c.state == ContainerState::Exited).await?;
    Ok(target)
}

pub(crate) async fn reads_logs(cx: &Context<'_>) -> Result<(), String> {
    let target = finished(cx).await?;
    let lines = read(cx, &target, &LogOptions::default()).await?;
    expect_eq("standard output", texts(&lines, LogStream::Stdout), vec!["one", "two", "three"])?;
    expect_eq("standard error", texts(&lines, LogStream::Stderr), vec!["oops"])?;
    expect("every line has its time", lines.iter().all(|l| l.at.is_some()))?;
    // What was written at the time of the last line or later.
    let since = lines.iter().filter_map(|l| l.at).max();
    let last = read(cx, &target, &LogOptions { since, ..LogOptions::default() }).await?;
    expect(
        &format!("{} of {} lines are new", last.len(), lines.len()),
        !last.is_empty() && last.len() < lines.len(),
    )?;
    let nobody = Target::Made(cx.name());
    let options = LogOptions::default();
    let first = cx.engine.logs(&nobody, &options).next().await;
    let first = first.ok_or("the log of nobody is empty")?;
    expect_kind("the log of nobody", first, "NotFound")?;
    Ok(())
}

pub(crate) async fn reads_the_end_of_logs(cx: &Context<'_>) -> Result<(), String> {
    let target = finished(cx).await?;
    for (tail, count) in [(0, 0), (1, 1), (2, 2), (100, 4)] {
        let options = LogOptions { tail: Some(tail), ..LogOptions::default() };
        expect_eq(&format!("the last {tail} lines"), read(cx, &target, &options).await?.len(), count)?;
    }
    let never = cx.create(Sample::Exits3).await?;
    expect_eq("what never ran has written", read(cx, &never, &LogOptions::default()).await?, Vec::new())
}

pub(crate) async fn follows_logs_to_their_end(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.launch(Sample::Exits3).await?;
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let lines = read(cx, &target, &options).await?;
    expect_eq("standard output", texts(&lines, LogStream::Stdout), vec!["one", "two", "three"])?;
    let lines = read(cx, &target, &options).await?;
    expect_eq("standard output again", texts(&lines, LogStream::Stdout), vec!["one", "two", "three"])
}

pub(crate) async fn follows_logs_until_removal(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.launch(Sample::Forever).await?;
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let mut stream = cx.engine.logs(&target, &options);
    let following = async {
        let first = stream.next().await.ok_or("the log ends while its container runs")?.map_err(say)?;
        expect_eq("its first line", first.text.as_str(), "up")?;
        cx.kill(&target).await.map_err(say)?;
        cx.remove(&target).await.map_err(say)?;
        while let Some(line) = stream.next().await {
            line.map_err(say)?;
        }
        Ok(())
    };
    tokio::time::timeout(STATE_DEADLINE, following).await.map_err(|_| "the log does not end".to_owned())?
}

/// Collects events while something happens. Begins only when the first event has come, so that none is missed.
async fn watch<T>(
    cx: &Context<'_>,
    happen: impl Future<Output = Result<T, String>>,
    enough: impl Fn(&T, &[EngineEvent]) -> bool,
) -> Result<(T, Vec<EngineEvent>), String> {
    let events: Arc<Mutex<Vec<EngineEvent>>> = Arc::default();
    let engine = cx.engine.clone();
    let sink = events.clone();
    let mut collecting = tokio::spawn(async move {
        let mut stream = engine.events(None).try_flatten_stream();
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => sink.lock().unwrap_or_else(PoisonError::into_inner).push(event),
                Err(error) => return say(error),
            }
        }
        "the events ended".to_owned()
    });
    let seen = || events.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let watching = async {
        while seen().is_empty() {
            let beacon = cx.create(Sample::Forever).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
            cx.remove(&beacon).await.map_err(say)?;
        }
        let value = happen.await?;
        while !enough(&value, &seen()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok::<T, String>(value)
    };
    let result = tokio::select! {
        result = tokio::time::timeout(STATE_DEADLINE, watching) => {
            result.unwrap_or_else(|_| Err(format!("not enough events: {:?}", seen())))
        }
        ended = &mut collecting => Err(ended.unwrap_or_else(|panic| panic.to_string())),
    };
    collecting.abort();
    Ok((result?, seen()))
}

fn actions<'a>(events: &'a [EngineEvent], target: &Target) -> Vec<&'a str> {
    let of_it = |e: &&EngineEvent| e.kind == "container" && e.id == target.reference();
    events.iter().filter(of_it).map(|e| e.action.as_str()).collect()
}

pub(crate) async fn tells_what_happens(cx: &Context<'_>) -> Result<(), String> {
    let happen = async {
        let target = finished(cx).await?;
        cx.remove(&target).await.map_err(say)?;
        Ok(target)
    };
    let destroyed = |target: &Target, events: &[EngineEvent]| actions(events, target).contains(&"destroy");
    let (target, events) = watch(cx, happen, destroyed).await?;
    let told = actions(&events, &target);
    expect_eq("events", told, vec!["create", "start", "die", "destroy"])?;
    let die = events.iter().find(|e| e.action == "die" && e.id == target.reference()).ok_or("no die")?;
    expect_eq("exit code", die.attributes.get("exitCode").map(String::as_str), Some("3"))?;
    let name = die.attributes.get("name").map(String::as_str);
    expect_eq("name", name, Some(target.name().as_str()))?;
    let label = die.attributes.get(maestro_core::model::LABEL_INSTANCE).map(String::as_str);
    expect_eq("label", label, Some(target.name().as_str()))
}

pub(crate) async fn tells_what_has_happened(cx: &Context<'_>) -> Result<(), String> {
    let happen = async { cx.launch(Sample::Forever).await };
    let started = |target: &Target, events: &[EngineEvent]| actions(events, target).contains(&"start");
    let (target, events) = watch(cx, happen, started).await?;
    let of_it = |e: &&EngineEvent| e.id == target.reference() && e.action == "create";
    let created = events.iter().find(of_it).ok_or("no create")?;
    let mut again = cx.engine.events(Some(created.at)).await.map_err(say)?;
    let find = async {
        while let Some(event) = again.next().await {
            if event.map_err(say)? == *created {
                return Ok(());
            }
        }
        Err("the events ended".to_owned())
    };
    let found = tokio::time::timeout(STATE_DEADLINE, find).await;
    found.map_err(|_| "the event is not told again".to_owned())?
}
