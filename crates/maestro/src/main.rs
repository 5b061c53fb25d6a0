//! The program: runtime, exit code, nothing else.

use maestro::cli;
use std::process::ExitCode;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match cli::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed pipe is no reason for another message.
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    // One connection or more per ship: the usual 1,024 files are soon too few. Going on with fewer is still useful.
    rlimit::increase_nofile_limit(u64::MAX).ok();
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(workers()).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return cli::cannot_run(&error),
        };
    let code = runtime.block_on(cli::run(arguments));
    // Reading standard input cannot be interrupted; the process does not wait for it.
    runtime.shutdown_timeout(Duration::from_millis(100));
    code
}

/// One thread less than there are processors: this one carries out the plan while the others make the calls. One more
/// costs a tenth of the CPU time of a large run.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().saturating_sub(1).max(1))
}
