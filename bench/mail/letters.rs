//! Messages that behave like mail: headers of a few hops, text that compresses about as text does, attachments
//! that do not compress at all.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// Makes messages, each unlike any other.
pub(crate) struct Letters {
    rng: StdRng,
    words: Vec<String>,
    number: u64,
}

impl Letters {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let words =
            (0..6000).map(|_| (0..rng.random_range(2..11)).map(|_| letter(&mut rng)).collect()).collect();
        Self { rng, words, number: seed << 32 }
    }

    /// A plain text message of about `size` octets.
    pub(crate) fn text(&mut self, size: usize) -> Bytes {
        let mut mail = self.header("text/plain; charset=utf-8");
        self.prose(&mut mail, size);
        mail.into()
    }

    /// A message of about `size` octets, most of them an attachment.
    pub(crate) fn with_attachment(&mut self, size: usize) -> Bytes {
        let boundary = format!("=_{:016x}", self.rng.next_u64());
        let mut mail = self.header(&format!("multipart/mixed; boundary=\"{boundary}\""));
        mail += &format!("--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
        let text = mail.len() + 2000;
        self.prose(&mut mail, text);
        mail += &format!(
            "\r\n--{boundary}\r\nContent-Type: application/pdf; name=\"minutes.pdf\"\r\n\
             Content-Disposition: attachment; filename=\"minutes.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        );
        while mail.len() < size {
            let line: String = (0..76).map(|_| base64_character(&mut self.rng)).collect();
            mail += &line;
            mail += "\r\n";
        }
        mail += &format!("--{boundary}--\r\n");
        mail.into()
    }

    fn header(&mut self, content_type: &str) -> String {
        self.number += 1;
        let (number, subject) = (self.number, self.sentence(6));
        format!(
            "Return-Path: <sender{number}@example.net>\r\n\
             Received: from mail.example.net (mail.example.net [192.0.2.7])\r\n\tby mx.example.test with ESMTPS \
             (TLS1.3 TLS_AES_256_GCM_SHA384)\r\n\tid {number:016x}; Sun, 1 Nov 2026 10:11:12 +0000\r\n\
             Date: Sun, 1 Nov 2026 10:11:11 +0000\r\nFrom: =?utf-8?Q?J=C3=BCrgen?= Sender <sender{number}@example.net>\r\n\
             To: Alice <alice@example.test>, Bob <bob@example.test>\r\nSubject: {subject}\r\n\
             Message-ID: <{number:016x}@example.net>\r\nMIME-Version: 1.0\r\nContent-Type: {content_type}\r\n\r\n"
        )
    }

    fn prose(&mut self, mail: &mut String, until: usize) {
        while mail.len() < until {
            let words = self.rng.random_range(7..14);
            let line = self.sentence(words);
            mail.push_str(&line);
            mail.push_str("\r\n");
        }
    }

    fn sentence(&mut self, words: usize) -> String {
        // Squared, so that few words are frequent and most are rare.
        let pick = |rng: &mut StdRng| {
            let x: f64 = rng.random();
            (x * x * 5999.0) as usize
        };
        let chosen: Vec<&str> =
            (0..words).filter_map(|_| self.words.get(pick(&mut self.rng)).map(String::as_str)).collect();
        chosen.join(" ")
    }
}

fn letter(rng: &mut StdRng) -> char {
    const FREQUENT: &[u8] = b"eeeeetttaaaooiiinnnsshhrrddlluucmfwygpbvk";
    char::from(FREQUENT.get(rng.random_range(0..FREQUENT.len())).copied().unwrap_or(b'e'))
}

fn base64_character(rng: &mut StdRng) -> char {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char::from(ALPHABET.get((rng.next_u32() % 64) as usize).copied().unwrap_or(b'A'))
}
