//! Watches a message's header pass by: how large it is, how many `Received:` it has, whether one of its
//! `Delivered-To:` names a recipient of this very envelope, and how many `From:` it has. The second and third mean that
//! the message has been here before (RFC 5321 §6.3); two authors' fields mean that what one reader checks is not what
//! another shows (RFC 5322 §3.6).

use memchr::memchr;

/// What is looked for.
const RECEIVED: &[u8] = b"received";
const DELIVERED_TO: &[u8] = b"delivered-to";
const FROM: &[u8] = b"from";
/// The longest name looked for; a longer one is none of them.
const NAME: usize = 12;
/// From here on, what looks like a name is a line of a body that forgot its header (RFC 5322 §2.1.1).
const LINE: usize = 998;
/// The longest value of `Delivered-To:` that is compared, in octets.
const VALUE: usize = 600;

/// Why a message cannot be taken, as its header shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HeaderFault {
    /// The header is larger than the limit.
    TooLarge,
    /// Too many `Received:` fields.
    TooManyHops,
    /// It was delivered to one of its recipients already.
    DeliveredBefore,
    /// It has a second `From:`.
    TwoAuthors,
}

/// What the next octet belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    LineStart,
    /// A field's name; the count of octets read of it.
    Name(usize),
    /// White space between a name and its colon, which old software left.
    NameEnd(usize),
    /// A value that nobody wants.
    Value,
    /// A value of `Delivered-To:`.
    Wanted,
    /// Past the header.
    Body,
}

/// The state of one message's watch. Any cut of the input gives the same result.
#[derive(Debug)]
pub(crate) struct HeaderScan {
    at: At,
    size: u64,
    received: u32,
    delivered: u32,
    authors: u32,
    name: [u8; NAME],
    value: Option<Vec<u8>>,
    from_outside: bool,
}

/// The bounds that a header is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderLimits {
    pub(crate) size: u64,
    pub(crate) received: u32,
}

impl HeaderScan {
    /// Of a message from outside, a `Delivered-To:` that names a recipient and a second `From:` are faults.
    pub(crate) fn new(from_outside: bool) -> Self {
        Self {
            at: At::LineStart,
            size: 0,
            received: 0,
            delivered: 0,
            authors: 0,
            name: [0; NAME],
            value: None,
            from_outside,
        }
    }

    /// Looks at the next octets of the message. `is_recipient` tells whether an address (octets, no brackets)
    /// is one of the envelope's.
    pub(crate) fn scan(
        &mut self,
        mut bytes: &[u8],
        limits: HeaderLimits,
        is_recipient: impl Fn(&[u8]) -> bool,
    ) -> Result<(), HeaderFault> {
        while self.at != At::Body && !bytes.is_empty() {
            let used = self.step(bytes, &is_recipient)?;
            self.size += used as u64;
            if self.at != At::Body && self.size > limits.size {
                return Err(HeaderFault::TooLarge);
            }
            if self.received > limits.received || self.delivered > limits.received {
                return Err(HeaderFault::TooManyHops);
            }
            if self.authors > 1 && self.from_outside {
                return Err(HeaderFault::TwoAuthors);
            }
            bytes = bytes.get(used..).unwrap_or_default();
        }
        Ok(())
    }

    /// Takes at least one octet and says how many.
    fn step(&mut self, bytes: &[u8], is_recipient: &impl Fn(&[u8]) -> bool) -> Result<usize, HeaderFault> {
        let Some(&byte) = bytes.first() else { return Ok(0) };
        match (self.at, byte) {
            (At::LineStart, b' ' | b'\t') => {
                self.at = if self.value.is_some() { At::Wanted } else { At::Value };
            }
            (At::LineStart, _) => {
                self.end_value(is_recipient)?;
                self.at = At::Name(0);
                self.name(byte, 0);
            }
            (At::Name(count), _) => self.name(byte, count),
            (At::NameEnd(count), b':') => self.field(count),
            (At::NameEnd(_), b' ' | b'\t') => {}
            (At::NameEnd(_), _) => self.at = At::Body,
            (At::Value, _) => {
                let line = memchr(b'\n', bytes);
                if line.is_some() {
                    self.at = At::LineStart;
                }
                return Ok(line.map_or(bytes.len(), |lf| lf + 1));
            }
            (At::Wanted, b'\n') => self.at = At::LineStart,
            (At::Wanted, _) => {
                if let Some(value) = &mut self.value
                    && value.len() < VALUE
                {
                    value.push(byte);
                }
            }
            (At::Body, _) => return Ok(bytes.len()),
        }
        Ok(1)
    }

    /// One octet where a name is expected. A line that does not begin with a field's name ends the header, be it
    /// the empty line or the start of a body that forgot it.
    fn name(&mut self, byte: u8, count: usize) {
        match byte {
            b':' if count > 0 => self.field(count),
            b' ' | b'\t' if count > 0 => self.at = At::NameEnd(count),
            b'!'..=b'9' | b';'..=b'~' if count < LINE => {
                if let Some(place) = self.name.get_mut(count) {
                    *place = byte.to_ascii_lowercase();
                }
                self.at = At::Name(count + 1);
            }
            _ => self.at = At::Body,
        }
    }

    /// A name is complete.
    fn field(&mut self, count: usize) {
        let name = self.name.get(..count).unwrap_or_default();
        self.at = At::Value;
        if name == RECEIVED {
            self.received += 1;
        } else if name == FROM {
            self.authors += 1;
        } else if name == DELIVERED_TO && self.from_outside {
            self.delivered += 1;
            self.value = Some(Vec::new());
            self.at = At::Wanted;
        }
    }

    fn end_value(&mut self, is_recipient: &impl Fn(&[u8]) -> bool) -> Result<(), HeaderFault> {
        let Some(value) = self.value.take() else { return Ok(()) };
        let address = value.trim_ascii();
        let address = address.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">")).unwrap_or(address);
        if is_recipient(address) { Err(HeaderFault::DeliveredBefore) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeaderLimits = HeaderLimits { size: 200, received: 2 };

    /// The result, checked to be the same however the text is cut.
    fn scan(text: &str) -> Result<(), HeaderFault> {
        let run = |step: usize| {
            let mut scan = HeaderScan::new(true);
            let is_recipient = |address: &[u8]| address.eq_ignore_ascii_case(b"alice@example.test");
            text.as_bytes().chunks(step).try_for_each(|piece| scan.scan(piece, LIMITS, is_recipient))
        };
        let whole = run(text.len().max(1));
        for step in 1..text.len() {
            assert_eq!(run(step), whole, "{text:?} in steps of {step}");
        }
        whole
    }

    #[test]
    fn counts_hops_in_the_header_only() {
        let two = "Received: a\r\nRECEIVED : b\r\n";
        assert_eq!(
            scan(&format!("{two}Received-SPF: x\r\nX: y\r\n Received: z\r\n\r\nReceived: c\r\n")),
            Ok(())
        );
        assert_eq!(scan(&format!("{two}received:\r\n\r\n")), Err(HeaderFault::TooManyHops));
        assert_eq!(scan(&format!("{two}no header\r\nReceived: c\r\n")), Ok(()));
        assert_eq!(scan(&format!("{two}: x\r\nReceived: c\r\n")), Ok(()));
    }

    #[test]
    fn knows_a_message_that_was_here() {
        for form in ["alice@example.test", "<Alice@Example.test>", "\r\n\talice@example.test \t"] {
            let text = format!("Delivered-To: {form}\r\nSubject: x\r\n\r\n");
            assert_eq!(scan(&text), Err(HeaderFault::DeliveredBefore), "{form:?}");
        }
        assert_eq!(
            scan("Delivered-To: bob@example.test\r\n\r\nDelivered-To: alice@example.test\r\n\r\n"),
            Ok(())
        );
        let many = "Delivered-To: bob@example.test\r\n".repeat(3);
        assert_eq!(scan(&many), Err(HeaderFault::TooManyHops));
    }

    #[test]
    fn one_author_field_is_enough() {
        assert_eq!(scan("From: a\r\nFrom : b\r\n\r\n"), Err(HeaderFault::TwoAuthors));
        assert_eq!(scan("From: a\r\nX-From: b\r\nFrom-X: c\r\n\r\nFrom: d\r\n"), Ok(()));
        let mut trusted = HeaderScan::new(false);
        assert_eq!(trusted.scan(b"From: a\r\nfrom: b\r\n\r\n", LIMITS, |_| false), Ok(()));
    }

    #[test]
    fn bounds_the_header_not_the_body() {
        let long = format!("Subject: {}\r\n", "x".repeat(250));
        assert_eq!(scan(&long), Err(HeaderFault::TooLarge));
        assert_eq!(scan(&format!("Subject: x\r\n\r\n{long}")), Ok(()));
        assert_eq!(scan(&"x".repeat(250)), Err(HeaderFault::TooLarge));
    }
}
