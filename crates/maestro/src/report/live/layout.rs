//! Where everything of the live table goes, for a terminal of any size.

use super::look::Look;
use crate::report::paint::Tone;
use crate::report::problems::took_text;
use crate::report::rows::{Pull, Row, RowState, Rows, Trouble};
use crate::report::text::{clean, crop, fit, right, width};
use maestro_core::plan::Unit;
use maestro_core::status::span;
use std::time::Duration;

/// Widths of the columns. They are maestro-ng's columns in its order, as wide as their contents need; one that is 0 is
/// left out where the terminal is narrow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    look: Look,
    /// Cells of a line; one less than the terminal has, so that no terminal breaks it.
    line: usize,
    instance: usize,
    service: usize,
    ship: usize,
    container: usize,
}

/// What the STATUS column should have, and what it must have.
const GOOD_STATUS: usize = 34;
const LEAST_STATUS: usize = 16;

/// A line, built piece by piece and never wider than it may be.
struct Line {
    text: String,
    left: usize,
    look: Look,
}

impl Line {
    fn new(layout: &Layout) -> Self {
        Self { text: String::new(), left: layout.line, look: layout.look }
    }

    fn push(&mut self, tone: Tone, text: &str) {
        let text = crop(text, self.left, self.look.ellipsis());
        self.left -= width(&text);
        self.look.paint.push(&mut self.text, tone, &text);
    }

    /// A column and the blank behind it; nothing if it has no cells.
    fn column(&mut self, tone: Tone, text: &str, cells: usize) {
        if cells > 0 {
            let text = crop(text, cells, self.look.ellipsis());
            self.push(tone, &fit(&text, cells));
            self.push(Tone::Plain, " ");
        }
    }

    /// Something that has its own colours and is so many cells wide; nothing if there is no room.
    fn push_painted(&mut self, painted: &str, cells: usize) {
        if cells <= self.left {
            self.text.push_str(painted);
            self.left -= cells;
        }
    }

    fn finish(self) -> String {
        self.text.trim_end().to_owned()
    }
}

impl Layout {
    pub(super) fn of(rows: &Rows, columns: usize, look: Look) -> Self {
        let widest = |title: &str, most: usize, text: &dyn Fn(&Row) -> usize| {
            rows.rows().iter().map(text).max().unwrap_or(0).max(title.len()).min(most)
        };
        // Where a new container has another tag: `tag:` and seven digits.
        let made =
            rows.plan().items.iter().map(|item| width(item.image.tag()) + 8).max().unwrap_or(0).min(25);
        let mut layout = Self {
            look,
            line: columns.saturating_sub(1).max(1),
            instance: widest("INSTANCE", 40, &|row| width(row.instance.as_str())),
            service: widest("SERVICE", 20, &|row| width(row.service.as_str())),
            ship: widest("SHIP", 40, &|row| width(row.ship.as_str())),
            container: widest("CONTAINER", 25, &|row| width(&row.container())).max(made),
        };
        layout.shrink();
        layout
    }

    /// Makes room for the status: first names are cut, then whole columns go.
    fn shrink(&mut self) {
        let cut = |cells: &mut usize, least: usize, missing: usize| {
            *cells = (*cells).min((*cells).saturating_sub(missing).max(least.min(*cells)));
        };
        for (which, least) in [(2, 8), (1, 8), (0, 16), (3, 14)] {
            let missing = GOOD_STATUS.saturating_sub(self.status());
            let column = match which {
                0 => &mut self.instance,
                1 => &mut self.service,
                2 => &mut self.ship,
                _ => &mut self.container,
            };
            cut(column, least, missing);
        }
        for which in [1, 2, 3] {
            if self.status() < GOOD_STATUS - 8 {
                match which {
                    1 => self.service = 0,
                    2 => self.ship = 0,
                    _ => self.container = 0,
                }
            }
        }
        let missing = LEAST_STATUS.saturating_sub(self.status());
        cut(&mut self.instance, 8, missing);
    }

    /// Cells that are left for the status.
    fn status(&self) -> usize {
        let columns = [self.instance, self.service, self.ship, self.container];
        let used: usize = columns.iter().map(|cells| if *cells > 0 { cells + 1 } else { 0 }).sum();
        self.line.saturating_sub(used + 5)
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
        let mut lines = vec![self.header()];
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
        std::iter::once(self.header()).chain(rows.rows().iter().map(|row| self.row(row, at))).collect()
    }

    fn header(&self) -> String {
        let mut line = Line::new(self);
        line.push(Tone::Dim, "  #  ");
        line.column(Tone::Dim, "INSTANCE", self.instance);
        line.column(Tone::Dim, "SERVICE", self.service);
        line.column(Tone::Dim, "SHIP", self.ship);
        line.column(Tone::Dim, "CONTAINER", self.container);
        line.push(Tone::Dim, "STATUS");
        line.finish()
    }

    fn row(&self, row: &Row, at: Duration) -> String {
        let mut line = Line::new(self);
        let quiet = row.state == RowState::Waiting;
        line.push(Tone::Dim, &format!("{:>3}. ", row.number));
        line.column(
            if quiet { Tone::Plain } else { Tone::Strong },
            &clean(row.instance.as_str()),
            self.instance,
        );
        line.column(Tone::Plain, &clean(row.service.as_str()), self.service);
        line.column(Tone::Plain, &clean(row.ship.as_str()), self.ship);
        let cell = match &row.cell {
            Some(cell) if row.state.is_final() => cell.text.clone(),
            Some(_) | None => row.container(),
        };
        line.column(if quiet { Tone::Dim } else { Tone::Plain }, &clean(&cell), self.container);
        let (tone, sign) = self.look.sign(row, at);
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
                    // The sign says that it failed.
                    [ref what @ .., "failed!"] if !what.is_empty() => what.join(" "),
                    _ => texts.join(" "),
                },
            );
            if let Some((began, ended)) = row.began.zip(row.ended) {
                line.push(Tone::Dim, &format!("  {}", took_text(ended.saturating_sub(began))));
            }
            let why = match &row.trouble {
                // A tolerated failure brings its reason with it.
                Some(Trouble::Step(_)) if row.state == RowState::Tolerated => None,
                Some(Trouble::Step(failure)) => Some(failure.to_string()),
                Some(Trouble::Ship(error)) => Some(error.kind.to_string()),
                Some(Trouble::Foreign(whose)) => Some(whose.clone()),
                None => None,
            };
            if let Some(why) = why {
                line.push(Tone::Plain, "  ");
                // The status says so already.
                line.push(Tone::Dim, &clean(why.strip_prefix("host down: ").unwrap_or(&why)));
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
        if let Some(detail) = &row.detail {
            line.push(Tone::Dim, &format!(" ({detail})"));
        }
        if let Some(began) = row.began {
            line.push(Tone::Dim, &format!("  {}", span(at.saturating_sub(began).as_secs())));
        }
    }

    /// A bar for each image that is being pulled, once per ship; at most so many lines.
    fn pulls(&self, rows: &Rows, at: Duration, most: usize) -> Vec<String> {
        let pulls: Vec<_> = rows.pulls().collect();
        let label = |unit: &Unit| match unit {
            Unit::Image { ship, image } => {
                (clean(image.short()).into_owned(), clean(ship.as_str()).into_owned())
            }
            Unit::Instance { .. } | Unit::Login { .. } | Unit::Milestone(_) => {
                (unit.to_string(), String::new())
            }
        };
        let shown = if pulls.len() > most { most.saturating_sub(1) } else { pulls.len() };
        let labels: Vec<_> = pulls.iter().take(shown).map(|(unit, _)| label(unit)).collect();
        let widest = |text: &dyn Fn(&(String, String)) -> usize, part: usize| {
            labels.iter().map(text).max().unwrap_or(0).min(self.line / part)
        };
        let (image, ship) = (widest(&|l| width(&l.0), 3), widest(&|l| width(&l.1), 5));
        let mut lines: Vec<String> = labels
            .iter()
            .zip(&pulls)
            .map(|((image_name, ship_name), (_, pull))| {
                let mut line = Line::new(self);
                line.push(Tone::Dim, if self.look.unicode { "   ↓ " } else { "   v " });
                line.column(Tone::Plain, image_name, image);
                line.column(Tone::Plain, ship_name, ship);
                self.push_pull(&mut line, pull, at);
                line.finish()
            })
            .collect();
        if pulls.len() > shown {
            let mut line = Line::new(self);
            line.push(
                Tone::Dim,
                &format!("     {} {} more pulls", self.look.ellipsis(), pulls.len() - shown),
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
        line.push_painted(&self.look.bar(f64::from(progress.percent) / 100.0, cells, Tone::Calm), cells);
        line.push(Tone::Dim, &facts);
    }

    /// The line at the bottom: how much of it is done.
    fn progress(&self, rows: &Rows, at: Duration) -> String {
        let mut line = Line::new(self);
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
            line.push_painted(&self.look.bar(part, cells, tone), cells);
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
        let mut line = Line::new(self);
        line.push(
            Tone::Dim,
            &format!(
                "     {} {} more: {}",
                self.look.ellipsis(),
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
