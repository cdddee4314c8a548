//! Showing how far long work has come: a bar on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::text::number;

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The progress of one piece of work, on standard error.
pub(crate) struct Progress {
    shown: Shown,
    total: u64,
    began: Instant,
}

enum Shown {
    Bar(ProgressBar),
    Lines { next: Instant },
    Nothing,
}

impl Progress {
    /// Progress towards `total` steps of any kind. Nothing is shown if `quiet`.
    pub(crate) fn new(total: u64, quiet: bool) -> Self {
        let began = Instant::now();
        let shown = if quiet {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            Shown::Bar(bar(total))
        } else {
            Shown::Lines { next: began + LINE_EVERY }
        };
        Self { shown, total, began }
    }

    /// `position` steps are done; `items` things are ready, whose name in the plural is `noun`.
    pub(crate) fn at(&mut self, position: u64, items: u64, noun: &str) {
        let elapsed = self.began.elapsed().as_secs_f64();
        let rate = if elapsed > 0.0 { items as f64 / elapsed } else { 0.0 };
        let state = format!("{} {noun}, {} per second", number(items), number(rate as u64));
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                bar.set_position(position.min(self.total));
                bar.set_message(state);
            }
            Shown::Lines { next } => {
                let now = Instant::now();
                if now < *next {
                    return;
                }
                *next = now + LINE_EVERY;
                let percent = (position.min(self.total) * 100).checked_div(self.total).unwrap_or(100);
                let left = left(self.total, position, elapsed);
                let _nobody_reads = writeln!(std::io::stderr(), "{percent} %: {state}{left}");
            }
        }
    }

    /// The work is over, done or not.
    pub(crate) fn finish(self) {
        if let Shown::Bar(bar) = self.shown {
            bar.finish_and_clear();
        }
    }
}

fn left(total: u64, position: u64, elapsed: f64) -> String {
    if position == 0 || position >= total {
        return String::new();
    }
    let seconds = elapsed * (total - position) as f64 / position as f64;
    format!(", about {} s left", number(seconds.ceil() as u64))
}

fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:32} {percent:>3} %  {msg}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─");
    let bar = ProgressBar::new(total).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
