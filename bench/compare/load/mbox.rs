//! A mailbox to be imported: small messages, a second apart, of which three in four stand in threads of three.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::post::{Kind, Post};

/// When the first message came: Friday, 1 September 2023.
const BEGIN: u64 = 1_693_526_400;

/// Writes so many messages, each with the line before it that mbox files have.
pub(crate) fn write(path: &Path, count: u64, size: usize) -> io::Result<()> {
    let mut post = Post::new(Kind::Text(size), 4711, 0, 1, None);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let stock = post.stock();
    for number in 0..count {
        // The letter that was sent a round of the stock ago has the same subject: this one may answer it. Rounds are
        // counted from the end, so that the newest messages stand in the same threads however many there are.
        let answers = matches!((count - 1 - number) / stock % 4, 1 | 2) && number >= stock;
        let answered = answers.then(|| post.earlier(stock));
        writeln!(file, "From sender@example.net {}", date(BEGIN + number))?;
        if let Some(message_id) = answered {
            write!(file, "References: <{message_id}@example.net>\r\n")?;
        }
        file.write_all(post.next())?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

/// As `asctime` writes it, in UTC.
fn date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut day) = (1970, days);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 0;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let week_day = DAYS.get((days % 7) as usize).copied().unwrap_or_default();
    let month = MONTHS.get(month).copied().unwrap_or_default();
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{week_day} {month} {:2} {hour:02}:{minute:02}:{:02} {year}", day + 1, second % 60)
}
