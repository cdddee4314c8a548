//! An mbox file in each of its dialects, and the names and flags of a Maildir.

use std::io::{BufReader, Cursor};

use crate::import::flags::{Flags, Letters};
use crate::import::mbox::{Format, Mbox};
use crate::import::{date, utf7};

/// Messages longer than this are passed over.
const LIMIT: usize = 3000;

pub fn run(data: &[u8]) {
    for format in [Format::Auto, Format::Mboxo, Format::Mboxrd, Format::Mboxcl2] {
        read(data, format);
    }
    date::parse(data);
    let text = String::from_utf8_lossy(data);
    utf7::decode(&text);
    Flags::from_maildir(data, &Letters::parse(&text));
}

fn read(data: &[u8], format: Format) {
    let Ok(mut mbox) = Mbox::open(BufReader::with_capacity(16, Cursor::new(data)), format, LIMIT) else {
        return;
    };
    let (mut number, mut total) = (0, 0);
    while let Some(entry) = mbox.read().unwrap() {
        number += 1;
        total += entry.size;
        assert_eq!(entry.number, number);
        assert_eq!(entry.raw.is_none(), entry.size > LIMIT as u64);
        if let Some(raw) = entry.raw {
            assert_eq!(raw.len() as u64, entry.size);
            Flags::from_mbox(&raw);
        }
    }
    assert!(total <= data.len() as u64, "{total} bytes out of {}", data.len());
}
