//! Messages of few words, and what is known of each without asking the stores.

use std::fmt::Write;

use rand::RngExt;
use rand::rngs::StdRng;

pub const WORDS: [&str; 8] = ["harbour", "plans", "dinner", "invoice", "blue", "red", "ann", "zoe"];
const PEOPLE: [&str; 4] = ["Ann", "Bob", "Carol", "Zoe"];

/// A message as it was written.
#[derive(Clone, Debug, Default)]
pub struct Letter {
    pub id: u64,
    /// Fields in the order of the header, names as they are written.
    pub fields: Vec<(&'static str, String)>,
    /// The name of who wrote it, and of its first recipient.
    pub from: String,
    pub to: String,
    /// The subject without `Re:`.
    pub subject: String,
    /// When it was sent: seconds since 1970 in UTC, and minutes that its zone is ahead.
    pub sent: Option<(i64, i64)>,
    pub body: String,
    pub html: bool,
    pub attachment: bool,
}

impl Letter {
    /// A message, often an answer to one of those before.
    pub fn random(id: u64, before: &[Self], rng: &mut StdRng) -> Self {
        let mut letter = Self { id, ..Self::default() };
        let parent =
            (!before.is_empty() && rng.random_bool(0.4)).then(|| &before[rng.random_range(0..before.len())]);
        letter.from = pick(&PEOPLE, rng).to_owned();
        let address = letter.from.to_lowercase();
        letter.fields.push(("From", format!("{} <{address}@example.test>", letter.from)));
        if rng.random_bool(0.7) {
            letter.to = pick(&PEOPLE, rng).to_owned();
            letter.fields.push(("To", format!("{} <reader@example.test>", letter.to)));
        }
        if rng.random_bool(0.3) {
            letter.fields.push(("Cc", format!("{}@example.test", pick(&WORDS, rng))));
        }
        if rng.random_bool(0.3) {
            letter.fields.push(("X-Label", pick(&WORDS, rng).to_owned()));
        }
        let shown = match parent {
            Some(parent) => {
                letter.subject = parent.subject.clone();
                letter.fields.push(("In-Reply-To", format!("<{}@example.test>", parent.id)));
                format!("Re: {}", parent.subject)
            }
            None => {
                letter.subject = format!("{} {}", pick(&WORDS, rng), pick(&WORDS, rng));
                letter.subject.clone()
            }
        };
        letter.fields.push(("Subject", shown));
        if rng.random_bool(0.8) {
            let (day, hour, zone) =
                (rng.random_range(1..5), rng.random_range(0..24), rng.random_range(-9..10));
            letter.fields.push(("Date", format!("{day} Jan 2026 {hour:02}:00:00 {zone:+03}00")));
            // 1 January 2026
            let local = 1_767_225_600 + (day - 1) * 86_400 + hour * 3_600;
            letter.sent = Some((local - zone * 3_600, zone * 60));
        }
        letter.fields.push(("Message-ID", format!("<{id}@example.test>")));
        letter.html = rng.random_bool(0.3);
        letter.attachment = rng.random_bool(0.3);
        for _ in 0..rng.random_range(0..4) {
            letter.body.push_str(pick(&WORDS, rng));
            letter.body.push(' ');
        }
        letter
    }

    /// Its octets.
    pub fn write(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.fields {
            write!(out, "{name}: {value}\r\n").unwrap();
        }
        let (kind, body) = match self.html {
            true => ("text/html", format!("<p class=hidden>{}</p>\r\n", self.body)),
            false => ("text/plain", format!("{}\r\n", self.body)),
        };
        match self.attachment {
            true => write!(
                out,
                "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: {kind}\r\n\r\n{body}--x\r\n\
                 Content-Type: application/pdf\r\nContent-Disposition: attachment\r\n\r\n%PDF\r\n--x--\r\n"
            )
            .unwrap(),
            false => write!(out, "Content-Type: {kind}\r\n\r\n{body}").unwrap(),
        }
        out
    }
}

pub fn pick<'w>(words: &[&'w str], rng: &mut StdRng) -> &'w str {
    words[rng.random_range(0..words.len())]
}
