//! Messages without end: a stock of letters, each sent many times and never the same twice. Making 10 KB of prose
//! costs more than some servers take to store it; changing a few octets of it costs nothing.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::letters::Letters;

/// What the messages are like.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Text of about so many octets.
    Text(usize),
    /// About so many octets, most of them an attachment.
    Attachment(usize),
    /// 1.5 to 30 KB, 9.5 on average; one in eight has an attachment.
    Mixed,
}

/// How many letters a stock has.
const STOCK: usize = 48;
/// In one of how many messages the rare word is.
const RARE: u64 = 3000;

/// Makes one connection's messages.
pub(crate) struct Post {
    letters: Vec<Letter>,
    made: u64,
    place: u64,
    places: u64,
    /// Makes the messages of two runs differ.
    run: u64,
    rare: Option<String>,
    message: Vec<u8>,
}

struct Letter {
    text: Vec<u8>,
    /// Where numbers of 16 octets stand: in the Message-ID, and at the beginning of the attachment.
    numbers: Vec<usize>,
}

impl Post {
    /// The messages of connection `place` among `places`.
    pub(crate) fn new(kind: Kind, seed: u64, place: usize, places: usize, rare: Option<String>) -> Self {
        let (mut letters, mut rng) = (Letters::new(seed), StdRng::seed_from_u64(seed));
        let stock = if matches!(kind, Kind::Mixed) { 10 * STOCK } else { STOCK };
        let letters = (0..stock).map(|_| Letter::new(kind.letter(&mut letters, &mut rng))).collect();
        let run = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_micros() as u64);
        Self { letters, made: 0, place: place as u64, places: places as u64, run, rare, message: Vec::new() }
    }

    /// The same messages from somebody: without the trace of a way that they have not gone yet.
    pub(crate) fn from(mut self, sender: &str) -> Self {
        for letter in &mut self.letters {
            *letter = Letter::new(written_by(&letter.text, sender));
        }
        self
    }

    /// How many letters there are before the first comes again.
    pub(crate) const fn stock(&self) -> u64 {
        self.letters.len() as u64
    }

    /// The number in the Message-ID of the message that was made so many messages before the next.
    pub(crate) fn earlier(&self, messages: u64) -> String {
        self.number(self.made.wrapping_sub(messages))
    }

    fn number(&self, made: u64) -> String {
        let turn = made.wrapping_mul(self.places).wrapping_add(self.place);
        format!("{:016x}", (self.run << 24).wrapping_add(turn))
    }

    /// The next message. It ends in CRLF, and no line of it begins with a dot.
    pub(crate) fn next(&mut self) -> &[u8] {
        let turn = self.made * self.places + self.place;
        let index = self.made % self.letters.len().max(1) as u64;
        let number = self.number(self.made);
        self.made += 1;
        self.message.clear();
        let Some(letter) = self.letters.get(index as usize) else { return &self.message };
        self.message.extend_from_slice(&letter.text);
        for at in &letter.numbers {
            if let Some(place) = self.message.get_mut(*at..at + number.len()) {
                place.copy_from_slice(number.as_bytes());
            }
        }
        if let Some(word) = self.rare.as_ref().filter(|_| turn % RARE == RARE / 2) {
            self.message.extend_from_slice(format!("the {word} again\r\n").as_bytes());
        }
        &self.message
    }
}

impl Kind {
    fn letter(self, letters: &mut Letters, rng: &mut StdRng) -> Vec<u8> {
        match self {
            Self::Text(size) => letters.text(size).to_vec(),
            Self::Attachment(size) => letters.with_attachment(size).to_vec(),
            Self::Mixed => {
                // Evenly in the logarithm: many short ones, few long ones.
                let size = (1500.0 * 20_f64.powf(rng.random::<f64>())) as usize;
                if size > 6000 && rng.random_range(0..4) == 0 {
                    letters.with_attachment(size).to_vec()
                } else {
                    letters.text(size).to_vec()
                }
            }
        }
    }
}

/// A message that begins with its date, and is from somebody else.
fn written_by(text: &[u8], sender: &str) -> Vec<u8> {
    let find = |mark: &[u8]| text.windows(mark.len()).position(|w| w == mark);
    let (Some(date), Some(from), Some(to)) = (find(b"Date: "), find(b"From: "), find(b"To: ")) else {
        return text.to_vec();
    };
    let (date, rest) = (text.get(date..from), text.get(to..));
    [date.unwrap_or_default(), format!("From: {sender}\r\n").as_bytes(), rest.unwrap_or_default()].concat()
}

impl Letter {
    fn new(text: Vec<u8>) -> Self {
        let marks: [&[u8]; 2] = [b"Message-ID: <", b"base64\r\n\r\n"];
        let after = |mark: &[u8]| text.windows(mark.len()).position(|w| w == mark).map(|at| at + mark.len());
        let numbers = marks.iter().filter_map(|mark| after(mark)).collect();
        Self { text, numbers }
    }
}
