//! Modified UTF-7 (RFC 3501 §5.1.3): how Maildir++ and many mbox folders write names beyond ASCII.

/// The name that `encoded` stands for, or `None` if it is not in this encoding.
pub(crate) fn decode(encoded: &str) -> Option<String> {
    let mut name = String::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((plain, shifted)) = rest.split_once('&') {
        name.push_str(plain);
        let (shifted, after) = shifted.split_once('-')?;
        match shifted {
            "" => name.push('&'),
            _ => name.push_str(&utf16(shifted)?),
        }
        rest = after;
    }
    name.push_str(rest);
    name.bytes().all(|b| b != 0).then_some(name)
}

/// The text behind base64 digits of big-endian UTF-16, with `,` in place of `/` and no padding.
fn utf16(digits: &str) -> Option<String> {
    let mut units = Vec::with_capacity(digits.len() * 6 / 16);
    let (mut bits, mut count) = (0u32, 0);
    for digit in digits.bytes() {
        bits = bits << 6 | u32::from(value(digit)?);
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push(u16::try_from(bits >> count & 0xffff).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    // What is left over is padding: less than a digit, and zero.
    if count >= 6 || bits != 0 {
        return None;
    }
    String::from_utf16(&units).ok()
}

fn value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b',' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn decodes_the_examples_of_the_standard() {
        assert_eq!(decode("~peter/mail/&U,BTFw-/&ZeVnLIqe-").unwrap(), "~peter/mail/台北/日本語");
        assert_eq!(decode("&vPSwuNO4ycDVaA-").unwrap(), "보낸편지함");
        assert_eq!(decode("Entw&APw-rfe").unwrap(), "Entwürfe");
        assert_eq!(decode("R&-D").unwrap(), "R&D");
        assert_eq!(decode("plain").unwrap(), "plain");
        assert_eq!(decode("&2D3eAA-").unwrap(), "😀");
    }

    #[test]
    fn refuses_what_is_something_else() {
        for other in ["R&D", "&", "&A-", "&AB-", "&APw", "&2D0-", "&!!-", "a & b"] {
            assert_eq!(decode(other), None, "{other:?}");
        }
    }
}
