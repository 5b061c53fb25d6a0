//! Runs on a terminal: what is on its screen.

use crate::report::testing::*;
use crate::report::{Capabilities, Captured, Clock, Printer, live::Live};
use maestro_core::event::{Event, Failure, Reporter};
use maestro_core::plan::{Intent, Plan};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

/// A terminal with the live table on it.
struct Terminal {
    reporter: Live,
    printer: Printer,
    captured: Captured,
    screen: vt100::Parser,
    read: usize,
    columns: u16,
    rows: u16,
    /// The most rows of the screen that a frame has taken.
    tallest: u16,
}

impl Terminal {
    fn new(columns: u16, rows: u16, clock: Clock, change: impl FnOnce(&mut Capabilities)) -> Self {
        let mut capabilities = Capabilities::plain(columns.into());
        (capabilities.out_is_tty, capabilities.out_color, capabilities.animate) = (true, true, true);
        change(&mut capabilities);
        let (printer, captured) = Printer::captured_on(capabilities, (columns.into(), rows.into()));
        Self {
            reporter: Live::new(printer.clone(), clock),
            printer,
            captured,
            screen: vt100::Parser::new(
                NonZeroU16::new(rows).unwrap(),
                NonZeroU16::new(columns).unwrap(),
                10_000,
            ),
            read: 0,
            columns,
            rows,
            tallest: 0,
        }
    }

    /// Takes an event; after it the terminal is in order.
    fn event(&mut self, event: &Event) {
        self.reporter.event(event);
        let new = self.captured.stdout_from(self.read);
        // The line discipline of a terminal begins a new line at its beginning.
        self.screen.process(new.replace('\n', "\r\n").as_bytes());
        self.read += new.len();
        let screen = self.screen.screen();
        assert!(!screen.hide_cursor(), "the cursor is back after every frame");
        assert_eq!(screen.cursor_position().1, 0, "the cursor stands at the beginning of a line");
        if !matches!(event, Event::RunFinished { .. }) {
            self.tallest = self.tallest.max(screen.cursor_position().0);
        }
    }

    fn shown(&self) -> String {
        let text = self.screen.screen().contents();
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// All that was ever on the screen, scrolled lines too.
    fn history(&mut self) -> String {
        let mut lines: Vec<String> = Vec::new();
        let screen = self.screen.screen_mut();
        screen.set_scrollback(usize::MAX);
        for offset in (1..=screen.scrollback()).rev() {
            screen.set_scrollback(offset);
            lines.extend(screen.rows(0, self.columns).next());
        }
        screen.set_scrollback(0);
        lines.extend(screen.rows(0, self.columns));
        lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }
}

/// Plays a run; returns the screen after the first event for which `stop` holds, and the terminal at the end.
fn run(
    mut terminal: Terminal,
    hands: &Hands,
    plan: &Arc<Plan>,
    script: impl FnMut(&str) -> Play,
    stop: impl Fn(&Event, Duration) -> bool,
) -> (String, Terminal) {
    let mut halfway = String::new();
    play(plan, hands, script, |event| {
        terminal.event(event);
        if halfway.is_empty() && stop(event, hands.elapsed()) {
            terminal.event(&Event::Tick);
            halfway = terminal.shown();
        }
    });
    (halfway, terminal)
}

fn fail_web_2(step: &str) -> Play {
    if step.contains("web-2 on pacific: running check") { Play::Fail(check_failed()) } else { Play::Ok }
}

const BARE: &str = "atlantic:\npacific: web-3 running reg:5000/shop/web:2.0 |\n東京: down";

#[test]
fn a_run_is_a_table_that_remains() {
    let hands = Hands::default();
    let terminal = Terminal::new(100, 24, hands.clock(), |_| {});
    let plan = plan(&environment(SHOP), BARE, &START);
    let second_pull =
        |event: &Event, at: Duration| matches!(event, Event::StepProgress { .. }) && at.as_secs() > 6;
    let (halfway, mut terminal) = run(terminal, &hands, &plan, fail_web_2, second_pull);
    insta::assert_snapshot!(framed(&halfway), @r"
    |  #  INSTANCE SERVICE SHIP     CONTAINER   STATUS|
    |  1. db-1     db      atlantic 1.4:-       · waiting|
    |  2. web-1    web     atlantic 2.1:-       ⠹ pulling image shop/web:2.1... 75.0%|
    |  3. web-2    web     pacific  2.1:-       ⠹ pulling image shop/web:2.1|
    |  4. web-3    web     pacific  2.0:0dd0000 ✓ up for 1h0m|
    |  5. web-4    web     東京     -           ✗ host down  tcp://192.0.2.2:2375: connection refused|
    ||
    |start shop  ━━━━━━━━━━━━━━━━━━━━━  2/5  7s  2 active  1 waiting  1 blocked|
    |   ↓ shop/web:2.1 atlantic ━━━━━━━━━━━━━━━━━━━━━╸━━━━━━━  75%    15.0/20.0 MB    3/4 layers      5s|
    |   ↓ shop/web:2.1 pacific  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━   0%      5s|
    ");
    insta::assert_snapshot!(framed(&terminal.history()), @r"
    |  #  INSTANCE SERVICE SHIP     CONTAINER   STATUS|
    |  1. db-1     db      atlantic 1.4:xxxxxx1 ✓ started  3.0s|
    |  2. web-1    web     atlantic 2.1:xxxxxx2 ✓ started  7.0s|
    |  3. web-2    web     pacific  2.1:xxxxxx3 ✗ container did not start!  8.0s  http 192.0.2.2:80/hea…|
    |  4. web-3    web     pacific  2.0:0dd0000 ✓ up for 1h0m|
    |  5. web-4    web     東京     -           ✗ host down  tcp://192.0.2.2:2375: connection refused|
    |2 started, 1 unchanged, 1 failed, 1 blocked in 22s; slowest ship: pacific (19s)|
    ");
    insta::assert_snapshot!(terminal.captured.stderr(), @r"
    ERROR: web-2: ship pacific: http 192.0.2.2:80/healthz check failed after 5 attempts: HTTP 503
    ERROR: web-4: ship 東京: listing containers: host down: tcp://192.0.2.2:2375: connection refused
      hint: is the host up, is the engine running, and does it listen on that address?
    ");
}

#[test]
fn sixty_columns_are_enough() {
    let hands = Hands::default();
    let terminal = Terminal::new(60, 20, hands.clock(), |_| {});
    let plan = plan(&environment(SHOP), BARE, &START);
    let pull = |event: &Event, at: Duration| matches!(event, Event::StepProgress { .. }) && at.as_secs() > 6;
    let (halfway, terminal) = run(terminal, &hands, &plan, fail_web_2, pull);
    insta::assert_snapshot!(framed(&halfway), @r"
    |  #  INSTANCE CONTAINER   STATUS|
    |  1. db-1     1.4:-       · waiting|
    |  2. web-1    2.1:-       ⠹ pulling 75%|
    |  3. web-2    2.1:-       ⠹ pulling image shop/web:2.1|
    |  4. web-3    2.0:0dd0000 ✓ up for 1h0m|
    |  5. web-4    -           ✗ host down  tcp://192.0.2.2:237…|
    ||
    |start shop  ━━━━━━━━━━━  2/5  7s  2 active  1 waiting  1 b…|
    |   ↓ shop/web:2.1 atlantic ━━━━━━━━━━━━━━━━━━━  75%      5s|
    |   ↓ shop/web:2.1 pacific  ━━━━━━━━━━━━━━━━━━━   0%      5s|
    ");
    insta::assert_snapshot!(framed(&terminal.shown()), @"
    |  #  INSTANCE CONTAINER   STATUS|
    |  1. db-1     1.4:xxxxxx1 ✓ started  3.0s|
    |  2. web-1    2.1:xxxxxx2 ✓ started  7.0s|
    |  3. web-2    2.1:xxxxxx3 ✗ container did not start!  8.0s…|
    |  4. web-3    2.0:0dd0000 ✓ up for 1h0m|
    |  5. web-4    -           ✗ host down  tcp://192.0.2.2:237…|
    |2 started, 1 unchanged, 1 failed, 1 blocked in 22s; slowest|
    |  ship: pacific (19s)|
    ");
}

#[test]
fn how_long_a_check_takes_is_not_cut_off() {
    let hands = Hands::default();
    let mut terminal = Terminal::new(66, 20, hands.clock(), |_| {});
    let plan = plan(&environment(SHOP), EMPTY, &START);
    let check = plan.ids().find(|id| plan.step_text(*id).is_some_and(|text| text.contains("running check")));
    let mut halfway = String::new();
    play(
        &plan,
        &hands,
        |_| Play::Ok,
        |event| {
            terminal.event(event);
            if matches!(event, Event::StepStarted { step } if Some(*step) == check) {
                hands.advance(Duration::from_secs(61));
                terminal.event(&Event::Tick);
                halfway = terminal.shown();
            }
        },
    );
    insta::assert_snapshot!(framed(halfway.lines().nth(2).unwrap()), @"|  2. web-1    atlantic 2.1:xxxxxx2 ⠋ waiting for service…  1m13s|");
}

#[test]
fn no_size_breaks_it() {
    let plan = plan(&environment(SHOP), BARE, &START);
    for columns in [1, 2, 10, 30, 50, 200] {
        for rows in [1, 2, 3, 6, 50] {
            let hands = Hands::default();
            let terminal = Terminal::new(columns, rows, hands.clock(), |_| {});
            let (_, terminal) = run(terminal, &hands, &plan, fail_web_2, |_, _| false);
            assert!(terminal.tallest < rows.max(3), "{columns}x{rows}: {}", terminal.tallest);
        }
    }
}

#[test]
fn where_there_is_no_room_the_table_shows_what_matters() {
    let mut text =
        String::from("{name: x, ships: {a: {ip: 192.0.2.1}}, services: {web: {image: x, instances: {");
    for n in 0..200 {
        text.push_str("w-");
        text.push_str(&n.to_string());
        text.push_str(": {ship: a}, ");
    }
    let plan = plan(&environment(&(text + "}}}}")), "a: | x:latest", &START);
    let hands = Hands::default();
    let terminal = Terminal::new(80, 16, hands.clock(), |_| {});
    let script = |step: &str| {
        if step.contains("create w-1") {
            Play::Fail(Failure::Engine(refused("a", "creating")))
        } else {
            Play::Ok
        }
    };
    let late = |_: &Event, at: Duration| at.as_secs() > 40;
    let (halfway, mut terminal) = run(terminal, &hands, &plan, script, late);
    insta::assert_snapshot!(framed(&halfway), @"
    |  #  INSTANCE SERVICE SHIP CONTAINER      STATUS|
    | 36. w-13     web     a    latest:-       ✗ failed!  6.0s  host down: tcp://19…|
    | 37. w-130    web     a    latest:-       ✗ failed!  7.0s  host down: tcp://19…|
    | 38. w-131    web     a    latest:-       ✗ failed!  8.0s  host down: tcp://19…|
    | 39. w-132    web     a    latest:-       ✗ failed!  9.0s  host down: tcp://19…|
    | 40. w-133    web     a    latest:-       ⠋ creating container from x  9s|
    | 41. w-134    web     a    latest:-       ⠋ creating container from x  9s|
    | 42. w-135    web     a    latest:-       ⠋ creating container from x  9s|
    | 43. w-136    web     a    latest:-       ⠋ creating container from x  9s|
    | 44. w-137    web     a    latest:-       ⠋ creating container from x  9s|
    | 45. w-138    web     a    latest:-       ⠋ creating container from x  9s|
    | 46. w-139    web     a    latest:-       ⠋ creating container from x  9s|
    | 47. w-14     web     a    latest:-       ⠋ creating container from x  9s|
    |     … 188 more: 1 done, 153 waiting, 34 failed|
    |start x  ━━━━━━━━━━━━━━━━━  39/200  41s  8 active  153 waiting  38 failed|
    ");
    // In the end all of it is there.
    let history = terminal.history();
    let table = history.rsplit_once("  #  INSTANCE").unwrap().1;
    assert_eq!(table.lines().count(), 202, "{history}");
    assert!(table.contains("\n200. w-99"), "{table}");
    assert!(table.contains("\n89 started, 111 failed in "), "{table}");
}

#[test]
fn an_interrupt_is_answered() {
    let hands = Hands::default();
    let terminal = Terminal::new(100, 24, hands.clock(), |_| {});
    let plan = plan(&environment(SHOP), EMPTY, &START);
    let script = |step: &str| if step.contains("create db-1") { Play::Interrupt } else { Play::Ok };
    let (halfway, terminal) =
        run(terminal, &hands, &plan, script, |event, _| matches!(event, Event::Interrupted));
    assert!(halfway.ends_with("  finishing what is under way; Ctrl-C again stops at once"), "{halfway}");
    insta::assert_snapshot!(framed(&terminal.shown()), @r"
    |  #  INSTANCE SERVICE SHIP     CONTAINER   STATUS|
    |  1. db-1     db      atlantic 1.4:xxxxxx1 ✓ started  3.0s|
    |  2. web-1    web     atlantic 2.1:-       – aborted!|
    |  3. web-2    web     pacific  2.1:-       – aborted!|
    |  4. web-3    web     pacific  2.1:-       – aborted!|
    |  5. web-4    web     東京     2.1:-       – aborted!|
    |1 started, 4 left by the interrupt in 3.0s; the same command goes on from here|
    ");
}

#[test]
fn words_in_between_go_above_the_table() {
    let hands = Hands::default();
    let mut terminal = Terminal::new(80, 24, hands.clock(), |_| {});
    let plan = plan(&environment(SHOP), RUNNING, &Intent::Stop);
    let mut said = false;
    play(
        &plan,
        &hands,
        |_| Play::Ok,
        |event| {
            if !said && hands.elapsed().as_secs() == 2 {
                said = true;
                terminal.printer.data("somebody speaks\n");
            }
            terminal.event(event);
        },
    );
    let shown = terminal.shown();
    assert!(shown.starts_with("somebody speaks\n  #  INSTANCE"), "{shown}");
    assert_eq!(shown.matches("INSTANCE").count(), 1, "{shown}");
}

#[test]
fn plain_terminals_get_plain_signs() {
    let hands = Hands::default();
    let ascii = |c: &mut Capabilities| (c.unicode, c.out_color) = (false, false);
    let terminal = Terminal::new(80, 24, hands.clock(), ascii);
    let plan = plan(&environment(PAIR), "a:\nb:", &START);
    let pull = |event: &Event, at: Duration| matches!(event, Event::StepProgress { .. }) && at.as_secs() > 0;
    let (halfway, terminal) = run(terminal, &hands, &plan, |_| Play::Ok, pull);
    insta::assert_snapshot!(framed(&halfway), @r"
    |  #  INSTANCE SERVICE SHIP CONTAINER STATUS|
    |  1. x-1      s       a    1:-       \ pulling image x:1... 50.0%|
    |  2. x-2      s       b    1:-       \ pulling image x:1|
    ||
    |start pair  ................  0/2  1s  2 active|
    |   v x:1 a #############............  50%    10.0/20.0 MB    2/4 layers      1s|
    |   v x:1 b ........................................   0%      1s|
    ");
    assert!(terminal.captured.stdout().is_ascii());
    assert!(!terminal.captured.stdout().contains("\x1b[3"), "no colours");
}

#[test]
fn frames_are_few_and_small() {
    let hands = Hands::default();
    let mut terminal = Terminal::new(100, 24, hands.clock(), |_| {});
    let plan = plan(&environment(SHOP), EMPTY, &START);
    terminal.event(&Event::RunStarted { plan });
    let first = terminal.read;
    for _ in 0..100 {
        hands.advance(Duration::from_millis(1));
        terminal.event(&Event::Tick);
    }
    let frames = terminal.captured.stdout().matches("\x1b[?2026h").count();
    assert_eq!(frames, 2, "one at the beginning, one in the next tenth of a second");
    assert!(terminal.read - first < 100, "lines that did not change are not written");
}

#[test]
fn a_panic_leaves_the_last_frame() {
    let hands = Hands::default();
    let mut terminal = Terminal::new(100, 24, hands.clock(), |_| {});
    let plan = plan(&environment(SHOP), EMPTY, &START);
    terminal.event(&Event::RunStarted { plan });
    let before = terminal.shown();
    let (printer, captured) = (terminal.printer.clone(), terminal.captured.clone());
    drop(terminal.reporter);
    printer.talk("thread panicked");
    assert_eq!(captured.stderr(), "thread panicked\n");
    assert_eq!(captured.stdout().len(), terminal.read, "nothing is erased any more");
    assert!(before.contains("start shop"));
    assert!(terminal.rows > 0);
}
