//! Line ends: files on Unix end lines with LF, mail on the wire with CRLF.

/// The message with CRLF at the end of every line. A lone CR stays what it is.
pub(super) fn to_crlf(raw: Vec<u8>) -> Vec<u8> {
    let bare = memchr::memchr_iter(b'\n', &raw).filter(|at| !behind_cr(&raw, *at)).count();
    if bare == 0 {
        return raw;
    }
    let mut wire = Vec::with_capacity(raw.len() + bare);
    let mut taken = 0;
    for at in memchr::memchr_iter(b'\n', &raw) {
        if !behind_cr(&raw, at) {
            wire.extend_from_slice(raw.get(taken..at).unwrap_or_default());
            wire.push(b'\r');
            taken = at;
        }
    }
    wire.extend_from_slice(raw.get(taken..).unwrap_or_default());
    wire
}

fn behind_cr(raw: &[u8], at: usize) -> bool {
    at.checked_sub(1).and_then(|before| raw.get(before)) == Some(&b'\r')
}

#[cfg(test)]
mod tests {
    use super::to_crlf;

    #[test]
    fn every_line_end_becomes_crlf() {
        let table: [(&[u8], &[u8]); 7] = [
            (b"", b""),
            (b"\n", b"\r\n"),
            (b"a\nb\n", b"a\r\nb\r\n"),
            (b"a\r\nb\r\n", b"a\r\nb\r\n"),
            (b"a\r\nb\nc", b"a\r\nb\r\nc"),
            (b"a\rb\n\n\r\r\n", b"a\rb\r\n\r\n\r\r\n"),
            (b"\n\r", b"\r\n\r"),
        ];
        for (raw, wire) in table {
            assert_eq!(to_crlf(raw.to_vec()), wire, "{raw:?}");
        }
    }
}
