//! What comes from a pretended engine piece by piece.

use crate::daemon::{ExecStreams, Follower, Trouble};
use crate::fake_engine::FakeEngine;
use crate::faults::Operation;
use futures_util::sink;
use futures_util::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use maestro_core::boundary::{EngineEvents, ExecOutput, ExecSession, LogLine, LogOptions};
use maestro_core::engine_error::EngineError;
use maestro_core::plan::Target;
use std::collections::VecDeque;

/// The session around a running program.
pub(crate) fn session(engine: &FakeEngine, id: String, streams: ExecStreams, stdin: bool) -> ExecSession {
    let ExecStreams { input, output } = streams;
    let output = stream::unfold(output, |mut output| async {
        let (stream, bytes) = output.recv().await?;
        Some((Ok(ExecOutput { stream, bytes }), output))
    });
    let engine = engine.clone();
    let input = sink::unfold(stdin.then_some(input), move |input, bytes: Vec<u8>| {
        let engine = engine.clone();
        async move {
            match &input {
                Some(sender) if sender.send(bytes).await.is_ok() => Ok(input),
                _ => Err(engine.lost("writing to a program's standard input".to_owned())),
            }
        }
    });
    ExecSession { id, output: output.boxed(), input: Box::pin(Closing(Some(Box::pin(input)))) }
}

/// Drops what it writes to when it is closed: that is what ends a program's standard input.
struct Closing<S>(Option<std::pin::Pin<Box<S>>>);

impl<S> futures_util::Sink<Vec<u8>> for Closing<S>
where
    S: futures_util::Sink<Vec<u8>, Error = EngineError>,
{
    type Error = EngineError;

    fn poll_ready(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), EngineError>> {
        match &mut self.0 {
            Some(sink) => sink.as_mut().poll_ready(cx),
            None => std::task::Poll::Ready(Ok(())),
        }
    }

    fn start_send(mut self: std::pin::Pin<&mut Self>, item: Vec<u8>) -> Result<(), EngineError> {
        match &mut self.0 {
            Some(sink) => sink.as_mut().start_send(item),
            None => Ok(()),
        }
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), EngineError>> {
        match &mut self.0 {
            Some(sink) => sink.as_mut().poll_flush(cx),
            None => std::task::Poll::Ready(Ok(())),
        }
    }

    fn poll_close(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), EngineError>> {
        let result = match &mut self.0 {
            Some(sink) => std::task::ready!(sink.as_mut().poll_close(cx)),
            None => Ok(()),
        };
        self.0 = None;
        std::task::Poll::Ready(result)
    }
}

enum Reading {
    Ask,
    Read(Follower, VecDeque<LogLine>),
    Over,
}

/// A container's output, line by line.
pub(crate) fn logs<'a>(
    engine: &'a FakeEngine,
    target: &'a Target,
    options: &'a LogOptions,
) -> BoxStream<'a, Result<LogLine, EngineError>> {
    let what = move || format!("reading the log of container {}", target.name());
    let question = move || engine.reading(what(), Operation::Logs);
    stream::unfold(Reading::Ask, move |mut reading| async move {
        loop {
            match reading {
                Reading::Ask => {
                    let begin = engine.daemon.read(Operation::Logs, target.reference(), |machine| {
                        machine.get(target.reference()).map(|c| Follower::new(c, options))
                    });
                    match question().within(begin).await {
                        Ok(follower) => reading = Reading::Read(follower, VecDeque::new()),
                        Err(error) => return Some((Err(error), Reading::Over)),
                    }
                }
                Reading::Read(mut follower, mut lines) => {
                    if let Some(line) = lines.pop_front() {
                        return Some((Ok(line), Reading::Read(follower, lines)));
                    }
                    let news = engine.daemon.until(|machine| {
                        if engine.daemon.is_down() {
                            return Some(Err(Trouble::Lost));
                        }
                        follower.read(machine).map(Ok)
                    });
                    match news.await {
                        Ok(news) if news.is_empty() => return None,
                        Ok(news) => reading = Reading::Read(follower, news.into()),
                        Err(trouble) => return Some((Err(question().error(trouble)), Reading::Over)),
                    }
                }
                Reading::Over => return None,
            }
        }
    })
    .boxed()
}

/// What happens on an engine.
pub(crate) async fn events(
    engine: &FakeEngine,
    since: Option<Timestamp>,
) -> Result<EngineEvents<'_>, EngineError> {
    let question = || engine.reading("following events", Operation::Events);
    let begin = engine.daemon.read(Operation::Events, "", |machine| {
        let events = machine.events();
        Ok(since.map_or(events.next(), |since| events.since(since)))
    });
    let first = question().within(begin).await?;
    let events = stream::unfold(Some(first), move |number| async move {
        let number = number?;
        let next = engine.daemon.until(|machine| {
            if engine.daemon.is_down() {
                return Some(Err(Trouble::Lost));
            }
            machine.events().get(number).map(|(number, event)| Ok((number, event.clone())))
        });
        match next.await {
            Ok((number, event)) => Some((Ok(event), Some(number + 1))),
            Err(trouble) => Some((Err(question().error(trouble)), None)),
        }
    });
    Ok(events.boxed())
}
