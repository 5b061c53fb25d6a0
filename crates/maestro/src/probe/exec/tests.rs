//! With real programs and a real clock: a paused one would run ahead of them.

use super::{Program, run};
use crate::probe::testing::instance;
use crate::probe::{Fault, SystemProbe, run_program};
use maestro_core::boundary::{CheckFailure, Probe as _};
use maestro_core::model::{Check, ContainerEnv, EnvFrom, EnvValue, EnvVar};
use maestro_core::names::Secret;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

const LONG: Duration = Duration::from_mins(1);

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

fn exec(command: Vec<String>, attempts: u32, env_from: EnvFrom) -> Check {
    Check::Exec { command: command.into(), attempts, env_from }
}

async fn check(script: &str, attempts: u32) -> Result<(), CheckFailure> {
    let check = exec(shell(script), attempts, EnvFrom::Environment);
    SystemProbe::new().check(&instance(), &check, None).await
}

/// Waits for a state, for as long as a minute.
async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {LONG:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The process numbers in a file, one a line, when there are so many.
fn pids(file: &Path, count: usize) -> Option<Vec<u32>> {
    let text = std::fs::read_to_string(file).ok()?;
    let pids: Vec<u32> = text.strip_suffix('\n')?.lines().map(|line| line.parse().unwrap()).collect();
    (pids.len() == count).then_some(pids)
}

/// Whether a process runs; one that only waits to be buried does not.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

async fn all_gone(pids: &[u32]) {
    until("every process is gone", || (!pids.iter().any(|&pid| runs(pid))).then_some(())).await;
}

/// A script whose three processes write their numbers down and stay: a child, a grandchild, the program itself.
fn stayers(file: &Path) -> String {
    let file = file.display();
    format!(
        "sh -c 'sleep 1000 & echo $! >> {file}; wait' & \
         echo $! >> {file}; \
         echo $$ >> {file}; \
         wait"
    )
}

#[tokio::test]
async fn the_exit_code_decides_and_the_last_line_is_told() {
    assert_eq!(check("echo fine; exit 0", 1).await, Ok(()));
    for (script, last) in [
        ("exit 3", "exit code 3"),
        ("echo one; echo two >&2; printf ' \n\n'; exit 3", "exit code 3: two"),
        ("echo two >&2; echo one; exit 4", "exit code 4: one"),
        (r"printf '\033[31mred\033[0m\r50%%\rdone'; exit 1", "exit code 1: done"),
        (r"printf '\377\001x\ty'; exit 1", "exit code 1: \u{fffd}x y"),
        ("kill -9 $$", "ended by signal 9"),
        ("head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; echo end; exit 1", "exit code 1: end"),
    ] {
        let failure = check(script, 1).await.unwrap_err();
        assert_eq!((failure.attempts, &*failure.last), (1, last), "{script}");
    }
    let failure = check("exit 3", 1).await.unwrap_err();
    assert_eq!(failure.to_string(), "exec sh -c exit 3 check failed after 1 attempt: exit code 3");
}

#[tokio::test]
async fn is_tried_again_a_second_later() {
    let folder = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let mark = folder.path().join("mark").display().to_string();
    assert_eq!(check(&format!("[ -e {mark} ] || {{ : > {mark}; exit 1; }}"), 9).await, Ok(()));
    assert!(begin.elapsed() >= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_program_that_is_not_there_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    let script = script.display().to_string();
    let begin = Instant::now();
    for (command, last) in [
        ("no-such-program-here", "program not found: no-such-program-here".to_owned()),
        ("/", "/ cannot be started: permission denied".to_owned()),
        (&*script, format!("{script} cannot be started: permission denied")),
    ] {
        let check = exec(vec![command.to_owned()], 180, EnvFrom::Environment);
        let failure = SystemProbe::new().check(&instance(), &check, None).await.unwrap_err();
        assert_eq!((failure.attempts, failure.last), (1, last));
    }
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let check = exec(vec![script.clone()], 180, EnvFrom::Environment);
    let failure = SystemProbe::new().check(&instance(), &check, None).await.unwrap_err();
    assert_eq!(failure.last, format!("{script} names an interpreter that is not there"));
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

fn env() -> ContainerEnv {
    let unset = EnvVar { name: "NOTHING".into(), value: None };
    ContainerEnv::of(vec![
        EnvVar::new("A", "first"),
        unset,
        EnvVar::new("A", "it's \"ä\"\n"),
        EnvVar::new("HOME", "/in"),
    ])
}

/// What a program was told in confidence is not repeated, whatever it makes of its failure.
#[tokio::test]
async fn secrets_are_not_in_the_last_line() {
    let secret = Secret::named("s".into()).with_value_of(&Secret::new("hunter2"));
    let told = ContainerEnv::of(vec![
        EnvVar { name: "S".into(), value: Some(EnvValue::Secret(secret.into())) },
        EnvVar::new("P", "plain"),
    ]);
    let script = "test \"$S\" = hunter2 && echo \"no $P:$S@db\"; exit 1".to_owned();
    let check = exec(vec!["sh".to_owned(), "-c".to_owned(), script], 1, EnvFrom::Environment);
    let failure = SystemProbe::new().check(&instance(), &check, Some(&told)).await.unwrap_err();
    assert_eq!(failure.last, "exit code 1: no plain:…@db");
}

#[tokio::test]
async fn variables_come_over_those_of_this_process() {
    let script = r#"[ "$A" = "it's \"ä\"
" ] && [ "$NOTHING" = None ] && [ "$HOME" = /in ] && [ -n "$PATH" ] && ! read line"#;
    let check = exec(shell(script), 1, EnvFrom::Environment);
    assert_eq!(SystemProbe::new().check(&instance(), &check, Some(&env())).await, Ok(()));
}

#[tokio::test]
async fn variables_come_on_standard_input_as_strings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    // The program's own environment stays as it is.
    let script = format!("cat > {}; [ -z \"$NOTHING$A\" ] && [ \"$HOME\" != /in ]", file.display());
    let check = exec(shell(&script), 1, EnvFrom::Stdin);
    assert_eq!(SystemProbe::new().check(&instance(), &check, Some(&env())).await, Ok(()));
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let json = json.as_object().unwrap();
    assert_eq!(json["A"], "it's \"ä\"\n");
    assert_eq!(json["NOTHING"], "None");
    assert_eq!(json["HOME"], "/in");
    assert_eq!(json["PATH"], std::env::var("PATH").unwrap());
    assert!(json.values().all(serde_json::Value::is_string));
}

#[tokio::test]
async fn a_program_need_not_read_what_it_is_given() {
    let big = ContainerEnv::of(vec![EnvVar::new("BIG", "x".repeat(1_000_000))]);
    for (script, expected) in [("exit 0", true), ("exec <&-; exit 5", false), ("sleep 1000 & exit 5", false)]
    {
        let check = exec(shell(script), 1, EnvFrom::Stdin);
        let checking = async { SystemProbe::new().check(&instance(), &check, Some(&big)).await };
        let result = tokio::time::timeout(LONG, checking).await.unwrap();
        assert_eq!(result.is_ok(), expected, "{script}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_variables_than_the_system_passes_on_are_an_error_that_says_what_to_do() {
    let big = ContainerEnv::of(vec![EnvVar::new("BIG", "x".repeat(1_000_000))]);
    let check = exec(shell("exit 0"), 180, EnvFrom::Environment);
    let failure = SystemProbe::new().check(&instance(), &check, Some(&big)).await.unwrap_err();
    assert!(failure.attempts == 1 && failure.last.contains("`envfrom: stdin`"), "{failure}");
    // Without variables it is something else that is too long.
    let command = ["true".to_owned(), "x".repeat(1_000_000)];
    let failure = run_program(&command, &[], LONG).await.unwrap_err();
    assert_eq!(failure, "true cannot be started: its arguments are longer than the system passes on");
}

#[tokio::test]
async fn dropping_a_check_ends_everything_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let script = stayers(&file);
    let checking = tokio::spawn(async move { check(&script, 1).await });
    let pids = until("three processes", || pids(&file, 3)).await;
    assert!(pids.iter().all(|&pid| runs(pid)));
    checking.abort();
    assert!(checking.await.unwrap_err().is_cancelled());
    all_gone(&pids).await;
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let command = shell(&stayers(&file));
    let seen = std::cell::OnceCell::new();
    let program = Program { command: &command, env: None, env_from: &EnvFrom::Environment, limit: LONG };
    // The limit, as it would come: once the processes are there.
    let limited = async |running: &mut (dyn Future<Output = Result<(), Fault>> + Unpin)| {
        tokio::select! {
            result = &mut *running => panic!("ended by itself: {result:?}"),
            pids = until("three processes", || pids(&file, 3)) => seen.set(pids).unwrap(),
        }
        tokio::time::pause();
        running.await
    };
    let ended = limited(&mut Box::pin(run(program, &[]))).await;
    tokio::time::resume();
    assert_eq!(ended, Err(Fault::Lasting("it did not end within 60 s".into())));
    all_gone(seen.get().unwrap()).await;
}

#[tokio::test]
async fn a_failed_try_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let script = format!("sleep 1000 & echo $! > {}; echo said; exit 1", file.display());
    let begin = Instant::now();
    assert_eq!(check(&script, 1).await.unwrap_err().last, "exit code 1: said");
    assert!(begin.elapsed() < LONG, "waited for what is in the background");
    all_gone(&pids(&file, 1).unwrap()).await;
}

/// What is in the background after a success goes on: it has to do something when the check is over.
#[tokio::test]
async fn a_good_try_may_leave_something_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let script = format!(
        "(until [ -e {go} ]; do sleep 0.01; done; : > {done}) >&- 2>&- & echo $! > {pids}; exit 0",
        go = file("go").display(),
        done = file("done").display(),
        pids = file("pids").display(),
    );
    assert_eq!(check(&script, 1).await, Ok(()));
    std::fs::write(file("go"), "").unwrap();
    until("what was left behind is done", || file("done").exists().then_some(())).await;
    all_gone(&pids(&file("pids"), 1).unwrap()).await;
}
