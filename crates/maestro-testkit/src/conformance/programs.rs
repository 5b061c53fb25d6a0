//! Programs in containers.

use crate::conformance::{Context, STATE_DEADLINE, Sample, expect, expect_eq, expect_kind, say};
use futures_util::{SinkExt, StreamExt};
use maestro_core::boundary::{AttachOptions, ExecSession, LogStream};
use maestro_core::plan::Target;

fn command(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

pub(crate) async fn runs_programs_to_their_end(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.launch(Sample::Forever).await?;
    for (words, code) in [
        (&["true"] as &[&str], 0),
        (&["false"], 1),
        (&["sh", "-c", "echo hi; exit 3"], 3),
        (&["sleep", "0.3"], 0),
    ] {
        let result = cx.engine.run_in(&target, &command(words)).await.map_err(say)?;
        expect_eq(&format!("{words:?}"), result, code)?;
    }
    // Engines of different ages disagree about the number, and some about whether it is a result at all.
    match cx.engine.run_in(&target, &command(&["no-such-program"])).await {
        Ok(code) => expect(&format!("{code} means that it was not found"), matches!(code, 126 | 127)),
        Err(error) => expect_kind::<i64>("a program that is not there", Err(error), "Api").map(|_| ()),
    }
}

pub(crate) async fn runs_programs_only_in_running_containers(cx: &Context<'_>) -> Result<(), String> {
    let nobody = Target::Made(cx.name());
    expect_kind("in nothing", cx.engine.run_in(&nobody, &command(&["true"])).await, "NotFound")?;
    let target = cx.create(Sample::Forever).await?;
    expect_kind("in what never ran", cx.engine.run_in(&target, &command(&["true"])).await, "Conflict")?;
    Ok(())
}

async fn output(session: &mut ExecSession) -> Result<(String, String), String> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let reading = async {
        while let Some(piece) = session.output.next().await {
            let piece = piece.map_err(say)?;
            match piece.stream {
                LogStream::Stdout => out.extend(piece.bytes),
                LogStream::Stderr => err.extend(piece.bytes),
            }
        }
        Ok::<(), String>(())
    };
    let in_time = tokio::time::timeout(STATE_DEADLINE, reading).await;
    in_time.map_err(|_| "the output does not end".to_owned())??;
    Ok((String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned()))
}

pub(crate) async fn separates_output_and_errors(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.launch(Sample::Forever).await?;
    let options = AttachOptions {
        command: command(&["sh", "-c", "echo hi; echo no >&2; exit 4"]),
        ..AttachOptions::default()
    };
    let mut session = cx.engine.attach(&target, &options).await.map_err(say)?;
    let written = output(&mut session).await?;
    expect_eq("output", written, ("hi\n".to_owned(), "no\n".to_owned()))?;
    expect_eq("code", cx.engine.exit_code(&session.id).await.map_err(say)?, 4)
}

pub(crate) async fn hands_on_standard_input(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.launch(Sample::Forever).await?;
    let options = AttachOptions { command: command(&["cat"]), stdin: true, ..AttachOptions::default() };
    let mut session = cx.engine.attach(&target, &options).await.map_err(say)?;
    session.input.send(b"first ".to_vec()).await.map_err(say)?;
    session.input.send(b"second\n".to_vec()).await.map_err(say)?;
    session.input.close().await.map_err(say)?;
    let written = output(&mut session).await?;
    expect_eq("output", written, ("first second\n".to_owned(), String::new()))?;
    expect_eq("code", cx.engine.exit_code(&session.id).await.map_err(say)?, 0)
}

pub(crate) async fn resizes_terminals(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.launch(Sample::Forever).await?;
    // It ends when it is told to, however late the terminal is resized.
    let options = AttachOptions {
        command: command(&["sh", "-c", "echo hi; cat; exit 5"]),
        stdin: true,
        tty: Some((80, 24)),
        ..AttachOptions::default()
    };
    let mut session = cx.engine.attach(&target, &options).await.map_err(say)?;
    let first = tokio::time::timeout(STATE_DEADLINE, session.output.next()).await;
    let first = first.map_err(|_| "no output")?.ok_or("the output ended")?.map_err(say)?;
    expect_eq("stream of a terminal", first.stream, LogStream::Stdout)?;
    cx.engine.resize(&session.id, 100, 50).await.map_err(say)?;
    // A terminal's end of the input.
    session.input.send(b"\x04".to_vec()).await.map_err(say)?;
    session.input.close().await.map_err(say)?;
    output(&mut session).await?;
    expect_eq("code", cx.engine.exit_code(&session.id).await.map_err(say)?, 5)
}

pub(crate) async fn ends_programs_with_their_container(cx: &Context<'_>) -> Result<(), String> {
    let target = cx.launch(Sample::Forever).await?;
    let sleep = command(&["sleep", "60"]);
    let running = cx.engine.run_in(&target, &sleep);
    // When a program that was begun after it has written something, it has begun as well.
    let options = AttachOptions {
        command: command(&["sh", "-c", "echo hi; sleep 2; exit 5"]),
        ..AttachOptions::default()
    };
    let killing = async {
        let mut later = cx.engine.attach(&target, &options).await.map_err(say)?;
        later.output.next().await.ok_or("the output ended")?.map_err(say)?;
        cx.kill(&target).await.map_err(say)
    };
    let both = async { tokio::join!(running, killing) };
    let in_time = tokio::time::timeout(STATE_DEADLINE, both).await;
    let (result, killed) = in_time.map_err(|_| "the program outlives its container".to_owned())?;
    killed?;
    expect(&format!("{result:?} is no success"), !matches!(result, Ok(0)))
}
