//! Where everything of the live table goes, for a terminal of any size.

use crate::report::grid::{Grid, Line, Widest};
use crate::report::paint::Tone;
use crate::report::problems::took_text;
use crate::report::rows::{Pull, Row, RowState, Rows, Trouble};
use crate::report::signs::Signs;
use crate::report::text::{clean, crop, right, width};
use maestro_core::event::Failure;
use maestro_core::plan::Unit;
use maestro_core::status::span;
use std::time::Duration;

/// The table of a run, and what goes on below it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    grid: Grid,
}

impl Layout {
    pub(super) fn of(rows: &Rows, columns: usize, signs: Signs) -> Self {
        let mut widest = Widest::default();
        for row in rows.rows() {
            widest.add(row.instance.as_str(), row.service.as_str(), row.ship.as_str(), &row.container());
        }
        // Where a new container has another tag: `tag:` and seven digits.
        let made =
            rows.plan().items.iter().map(|item| width(item.image.shown_version()) + 8).max().unwrap_or(0);
        widest.container = widest.container.max(made);
        Self { grid: Grid::new(widest, columns, signs) }
    }

    /// Everything, while the run goes on.
    pub(super) fn frame(&self, rows: &Rows, recent: &[usize], at: Duration, height: usize) -> Vec<String> {
        // The cursor stands below.
        let most = height.saturating_sub(1).max(2);
        // Pulls come and go, so they are last, and nothing above them moves.
        let mut foot = vec![self.progress(rows, at)];
        foot.extend(self.pulls(rows, at, (most / 4).max(1)));
        let room = most.saturating_sub(foot.len() + 1);
        if rows.rows().len() + 1 < room {
            foot.insert(0, String::new());
        }
        let mut lines = vec![self.grid.header("STATUS")];
        if rows.rows().len() <= room {
            lines.extend(rows.rows().iter().map(|row| self.row(row, at)));
        } else {
            let visible = visible(rows, recent, room.saturating_sub(1));
            let all = rows.rows();
            lines.extend(visible.iter().filter_map(|i| all.get(*i)).map(|row| self.row(row, at)));
            lines.push(self.hidden(rows, &visible));
        }
        lines.extend(foot);
        lines.truncate(most);
        lines
    }

    /// The table in its last form.
    pub(super) fn table(&self, rows: &Rows) -> Vec<String> {
        let at = rows.ended().unwrap_or_default();
        std::iter::once(self.grid.header("STATUS"))
            .chain(rows.rows().iter().map(|row| self.row(row, at)))
            .collect()
    }

    fn row(&self, row: &Row, at: Duration) -> String {
        let container = match &row.cell {
            Some(cell) if row.state.is_final() && !cell.text.is_empty() => cell.text.clone(),
            Some(_) | None => row.container(),
        };
        let texts = [row.instance.as_str(), row.service.as_str(), row.ship.as_str(), &container];
        let mut line = self.grid.row(row.number, texts, row.state == RowState::Waiting);
        let (tone, sign) = self.grid.signs.sign(row, at);
        line.push(tone, sign);
        line.push(Tone::Plain, " ");
        Self::push_status(&mut line, row, tone, at);
        line.finish()
    }

    fn push_status(line: &mut Line, row: &Row, tone: Tone, at: Duration) {
        if row.state.is_final() {
            let texts: Vec<&str> = row.results.iter().map(|piece| piece.text.as_str()).collect();
            line.push(
                tone,
                &match texts[..] {
                    // maestro-ng's words for any failure of a start; what failed comes behind.
                    ["error starting container!", failed] => failed.to_owned(),
                    // The sign says that it failed.
                    [ref what @ .., "failed!"] if !what.is_empty() => what.join(" "),
                    _ => texts.join(" "),
                },
            );
            if let Some((began, ended)) = row.began.zip(row.ended) {
                line.push_whole(Tone::Dim, &format!("  {}", took_text(ended.saturating_sub(began))));
            }
            let why = match &row.trouble {
                // Most tolerated failures bring their reason with them.
                Some(Trouble::Step(failure))
                    if row.state == RowState::Tolerated
                        && !matches!(failure, Failure::Check(_) | Failure::NotKept { .. }) =>
                {
                    None
                }
                // Ship and step are told already.
                Some(Trouble::Step(Failure::Engine(error))) => Some(error.kind.to_string()),
                Some(Trouble::Step(failure)) => Some(failure.to_string()),
                Some(Trouble::Ship(error)) => {
                    let why = error.kind.to_string();
                    // The status says so already.
                    Some(why.strip_prefix("host down: ").map(str::to_owned).unwrap_or(why))
                }
                Some(Trouble::Foreign(whose)) => Some(whose.clone()),
                Some(Trouble::Variables(excess)) => Some(excess.to_string()),
                Some(
                    Trouble::Unavailable(why)
                    | Trouble::HalfDone(why)
                    | Trouble::Ports(why)
                    | Trouble::Alone(why),
                ) => Some(why.clone()),
                None => row.because_of.as_ref().map(|what| format!("because of {what}")),
            };
            if let Some(why) = why {
                line.push(Tone::Plain, "  ");
                line.push(Tone::Dim, &clean(&why));
            }
            return;
        }
        if let Some(pending) = &row.pending {
            let tone = if row.state == RowState::Waiting { Tone::Dim } else { pending.tone };
            let text = pending.text.trim_end_matches("...");
            match row.percent {
                // The bar below names the image.
                Some(percent) if width(text) > line.left => {
                    line.push(tone, &format!("pulling {:.0}%", percent.floor()));
                }
                _ => line.push(tone, text),
            }
        }
        let took = row.began.map(|began| format!("  {}", span(at.saturating_sub(began).as_secs())));
        let took = took.unwrap_or_default();
        if let Some(detail) = &row.detail {
            // How long it takes says more than the end of what it is.
            let room = line.left.saturating_sub(width(&took));
            line.push(Tone::Dim, &crop(&format!(" ({detail})"), room, line.ellipsis()));
        }
        line.push_whole(Tone::Dim, &took);
    }

    /// A bar for each image that is being pulled, once per ship; at most so many lines.
    fn pulls(&self, rows: &Rows, at: Duration, most: usize) -> Vec<String> {
        let pulls: Vec<_> = rows.pulls().collect();
        let label = |unit: &Unit| match unit {
            Unit::Image { ship, image } => {
                (clean(image.short()).into_owned(), clean(ship.as_str()).into_owned())
            }
            Unit::Instance { .. } | Unit::Login { .. } | Unit::Hook { .. } | Unit::Milestone(_) => {
                (unit.to_string(), String::new())
            }
        };
        let shown = if pulls.len() > most { most.saturating_sub(1) } else { pulls.len() };
        let labels: Vec<_> = pulls.iter().take(shown).map(|(unit, _)| label(unit)).collect();
        let widest = |text: &dyn Fn(&(String, String)) -> usize, part: usize| {
            labels.iter().map(text).max().unwrap_or(0).min(self.grid.line / part)
        };
        let (image, ship) = (widest(&|l| width(&l.0), 3), widest(&|l| width(&l.1), 5));
        let mut lines: Vec<String> = labels
            .iter()
            .zip(&pulls)
            .map(|((image_name, ship_name), (_, pull))| {
                let mut line = Line::new(&self.grid);
                line.push(Tone::Dim, if self.grid.signs.unicode { "   ↓ " } else { "   v " });
                line.column(Tone::Plain, image_name, image);
                line.column(Tone::Plain, ship_name, ship);
                self.push_pull(&mut line, pull, at);
                line.finish()
            })
            .collect();
        if pulls.len() > shown {
            let mut line = Line::new(&self.grid);
            line.push(
                Tone::Dim,
                &format!("     {} {} more pulls", self.grid.signs.ellipsis(), pulls.len() - shown),
            );
            lines.push(line.finish());
        }
        lines
    }

    fn push_pull(&self, line: &mut Line, pull: &Pull, at: Duration) {
        let took = span(at.saturating_sub(pull.began).as_secs());
        if let Some(trouble) = &pull.trouble {
            line.push(Tone::Warn, trouble.trim_start_matches("... "));
            line.push(Tone::Dim, &format!("  {took}"));
            return;
        }
        let progress = &pull.progress;
        let mut facts = format!(" {:>3.0}%", progress.percent.floor());
        if progress.total > 0 && line.left > 50 {
            facts.push_str(&right(&bytes(progress.current, progress.total), 16));
        }
        if progress.layers > 0 && line.left > 66 {
            facts.push_str(&right(&format!("{}/{} layers", progress.layers_done, progress.layers), 14));
        }
        facts.push_str(&right(&took, 8));
        let cells = line.left.saturating_sub(width(&facts)).min(40);
        line.push_painted(
            &self.grid.signs.bar(f64::from(progress.percent) / 100.0, cells, Tone::Calm),
            cells,
        );
        line.push(Tone::Dim, &facts);
    }

    /// The line at the bottom: how much of it is done.
    fn progress(&self, rows: &Rows, at: Duration) -> String {
        let mut line = Line::new(&self.grid);
        let plan = rows.plan();
        let (done, all) = (rows.settled(), rows.rows().len());
        line.push(Tone::Strong, &format!("{} {}", plan.intent.name(), clean(&plan.environment)));
        line.push(Tone::Plain, "  ");
        let bad = rows.count(RowState::Failed) + rows.count(RowState::Blocked);
        let cells = (line.left / 4).min(30);
        if cells >= 8 && !rows.is_interrupted() {
            #[expect(clippy::cast_precision_loss, reason = "a part of a bar")]
            let part = if all == 0 { 1.0 } else { done as f64 / all as f64 };
            let tone = if bad > 0 { Tone::Bad } else { Tone::Good };
            line.push_painted(&self.grid.signs.bar(part, cells, tone), cells);
            line.push(Tone::Plain, "  ");
        }
        line.push(Tone::Plain, &format!("{done}/{all}"));
        line.push(Tone::Dim, &format!("  {}", span(at.as_secs())));
        if rows.is_interrupted() {
            line.push(Tone::Warn, "  finishing what is under way; Ctrl-C again stops at once");
        } else {
            for (state, tone, what) in [
                (RowState::Working, Tone::Calm, "active"),
                (RowState::Waiting, Tone::Dim, "waiting"),
                (RowState::Failed, Tone::Bad, "failed"),
                (RowState::Blocked, Tone::Bad, "blocked"),
                (RowState::Aborted, Tone::Warn, "aborted"),
            ] {
                if rows.count(state) > 0 {
                    line.push(tone, &format!("  {} {what}", rows.count(state)));
                }
            }
        }
        line.finish()
    }

    /// What there is no room for.
    fn hidden(&self, rows: &Rows, visible: &[usize]) -> String {
        let shown = |state| {
            visible.iter().filter(|i| rows.rows().get(**i).is_some_and(|row| row.state == state)).count()
        };
        let parts: Vec<String> = [
            (RowState::Done, "done"),
            (RowState::Unchanged, "unchanged"),
            (RowState::Held, "held"),
            (RowState::Working, "active"),
            (RowState::Waiting, "waiting"),
            (RowState::Tolerated, "tolerated"),
            (RowState::Failed, "failed"),
            (RowState::Blocked, "blocked"),
            (RowState::Aborted, "aborted"),
            (RowState::Interrupted, "interrupted"),
        ]
        .into_iter()
        .map(|(state, what)| (rows.count(state) - shown(state), what))
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        let mut line = Line::new(&self.grid);
        line.push(
            Tone::Dim,
            &format!(
                "     {} {} more: {}",
                self.grid.signs.ellipsis(),
                rows.rows().len() - visible.len(),
                parts.join(", ")
            ),
        );
        line.finish()
    }
}

/// The rows that are shown where there is no room for all: what is being done, what went wrong, what has just ended, what
/// comes next; in the order of the table.
fn visible(rows: &Rows, recent: &[usize], room: usize) -> Vec<usize> {
    let all = rows.rows();
    let is = |at: usize, test: &dyn Fn(&Row) -> bool| all.get(at).is_some_and(test);
    let working = |row: &Row| row.state == RowState::Working;
    let waiting = |row: &Row| row.state == RowState::Waiting;
    let done = |row: &Row| row.state == RowState::Done;
    let trouble = |row: &Row| row.trouble.is_some();
    let newest = || recent.iter().rev().copied();
    let mut chosen: Vec<usize> = Vec::with_capacity(room);
    let mut choose = |candidates: &mut dyn Iterator<Item = usize>, most: usize| {
        let mut left = most.min(room.saturating_sub(chosen.len()));
        while left > 0
            && let Some(at) = candidates.next()
        {
            if !chosen.contains(&at) {
                chosen.push(at);
                left -= 1;
            }
        }
    };
    choose(&mut newest().filter(|at| is(*at, &trouble)), room / 3);
    choose(&mut (0..all.len()).filter(|at| is(*at, &working)), room - room / 6);
    choose(&mut newest().filter(|at| is(*at, &done)), room / 4);
    choose(&mut (0..all.len()).filter(|at| is(*at, &waiting)), room);
    choose(&mut newest(), room);
    choose(&mut (0..all.len()), room);
    chosen.sort_unstable();
    chosen
}

/// Two sizes in the unit of the second.
fn bytes(current: u64, total: u64) -> String {
    let (unit, name) = match total {
        0..1_000_000 => (1e3, "kB"),
        1_000_000..1_000_000_000 => (1e6, "MB"),
        _ => (1e9, "GB"),
    };
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let (current, total) = (current as f64 / unit, total as f64 / unit);
    format!("{current:.1}/{total:.1} {name}")
}
