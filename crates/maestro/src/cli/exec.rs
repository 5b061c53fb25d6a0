//! `maestro exec`: a program in a container, as if it ran here.

use super::interrupts::unless_interrupted;
use super::look::look;
use super::session::Session;
use super::{Fault, Outcome};
use crate::terminal::{RawTerminal, size};
use futures_util::{SinkExt, StreamExt};
use maestro_core::boundary::{AttachOptions, Engine, ExecInput, LogStream, Needs};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::fleet::ShipView;
use maestro_core::names::InstanceName;
use maestro_core::plan::Target;
use std::io::{ErrorKind, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// Run a program in an instance's container
///
/// The exit code is the program's. With a terminal on both ends it gets one, too. It reads standard input only if that
/// is a terminal, or with -i: a loop or a script that Maestro is called in keeps its own.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The instance
    instance: String,
    /// Program and arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// As this user, instead of the container's
    #[arg(short, long)]
    user: Option<String>,
    /// In this directory, instead of the container's
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// With this variable besides the container's
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Pass standard input on, even if it is no terminal
    #[arg(short, long)]
    interactive: bool,
    /// Without a terminal, even if this one is
    #[arg(short = 'T', long)]
    no_tty: bool,
}

/// How long a program whose output nobody reads is asked how it ended.
const MOMENT: Duration = Duration::from_millis(500);

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let environment = session.environment()?;
    let Some(instance) = environment.instances.get(args.instance.as_str()) else {
        if let Some((service, _)) = environment.services.get_key_value(args.instance.as_str()) {
            let of_it = environment.instances.values().filter(|instance| instance.service == *service);
            let instances = of_it.map(|instance| instance.name.to_string()).collect();
            return Err(Fault::Service { service: args.instance, instances });
        }
        let known = environment.instances.keys().map(InstanceName::as_str);
        let nearest = maestro_core::diagnostic::nearest(&args.instance, known).map(str::to_owned);
        return Err(Fault::NoInstance { thing: args.instance, nearest });
    };
    let engines = session.engines(&environment);
    let names = [instance.name.clone()];
    let fleet = look(session, &environment, &engines, &names, Needs::default()).await?;
    let found = match fleet.ship(&instance.ship) {
        Some(ShipView::Reachable(state)) => state.containers.get(instance.name.as_str()),
        Some(ShipView::Unreachable(error)) => return Err(error.clone().into()),
        None => None,
    };
    let (Some(container), Some(engine)) = (found, engines.get(&instance.ship)) else {
        return Err(EngineError {
            ship: instance.ship.clone(),
            operation: format!("running a program in {}", instance.name),
            kind: EngineErrorKind::NotFound("there is no such container".to_owned()),
            ambiguous: false,
        }
        .into());
    };
    let target = Target::Seen { id: container.id.clone(), name: instance.name.clone() };
    let types = std::io::stdin().is_terminal();
    let terminal = !args.no_tty && types && std::io::stdout().is_terminal();
    let options = AttachOptions {
        command: args.command,
        tty: terminal.then(size),
        stdin: args.interactive || types,
        user: args.user,
        workdir: args.workdir,
        env: args.env,
    };
    unless_interrupted(attached(engine, &target, &options)).await
}

/// Lets the program run with this process's streams. Returns its exit code.
async fn attached(engine: &Arc<dyn Engine>, target: &Target, options: &AttachOptions) -> Outcome {
    let terminal = options.tty.is_some();
    let session = engine.attach(target, options).await?;
    let raw = if terminal { Some(RawTerminal::enter()?) } else { None };
    let id = session.id;
    // Not even a byte is read of what the program is not given: it belongs to whoever called us.
    let typing = options.stdin.then(|| tokio::spawn(type_into(session.input)));
    let resizing = raw.is_some().then(|| tokio::spawn(resize(engine.clone(), id.clone())));
    let mut output = session.output;
    let (mut failed, mut unwritten) = (None, None);
    let (mut out, mut err) = (tokio::io::stdout(), tokio::io::stderr());
    while let Some(piece) = output.next().await {
        let written = match piece {
            Ok(piece) if piece.stream == LogStream::Stderr => write(&mut err, &piece.bytes).await,
            Ok(piece) => write(&mut out, &piece.bytes).await,
            Err(error) => {
                failed = Some(error);
                break;
            }
        };
        if let Err(error) = written {
            unwritten = Some(error);
            break;
        }
    }
    for task in [typing, resizing].into_iter().flatten() {
        task.abort();
    }
    drop(raw);
    if let Some(error) = failed {
        return Err(error.into());
    }
    let code = engine.exit_code(&id);
    let code = match unwritten {
        None => code.await?,
        // Nobody reads to the end, which is no failure of ours; whether the program goes on is its own business.
        Some(error) if error.kind() == ErrorKind::BrokenPipe => {
            timeout(MOMENT, code).await.unwrap_or(Ok(0)).unwrap_or_default()
        }
        Some(error) => return Err(Fault::Output(error)),
    };
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

async fn write(to: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Passes standard input on until it ends.
async fn type_into(mut input: ExecInput) {
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; 8192];
    loop {
        match stdin.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                if input.send(buffer[..count].to_vec()).await.is_err() {
                    return;
                }
            }
        }
    }
    input.close().await.ok();
}

/// Tells the program when the window changes its size.
async fn resize(engine: Arc<dyn Engine>, exec: String) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else { return };
    while changes.recv().await.is_some() {
        let (width, height) = size();
        if engine.resize(&exec, width, height).await.is_err() {
            return;
        }
    }
}
