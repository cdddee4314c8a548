//! Bytes of a labelled, mislabelled or unlabelled charset as text. Never fails: what cannot be read becomes
//! U+FFFD.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{EUC_JP, EUC_KR, Encoding, GBK, ISO_2022_JP, SHIFT_JIS, UTF_8, UTF_16LE, WINDOWS_1252};
use memchr::memmem;

/// The most bytes that a guess looks at. The detector runs some twenty decoders at once, 200 ns for each byte.
const SAMPLE: usize = 1024;
/// The longest label that can be known.
const MAX_LABEL: usize = 64;
const ISO_2022_KR_DESIGNATOR: &[u8] = b"\x1b$)C";

/// Decodes `bytes` as `label` says. An absent or unknown label, `us-ascii` with 8-bit bytes, and a label
/// under which the bytes are broken while they are good UTF-8, are all resolved by looking at the bytes.
pub fn decode<'b>(bytes: &'b [u8], label: Option<&str>) -> Cow<'b, str> {
    let Some(charset) = label.and_then(charset) else {
        return decode_unlabelled(bytes, None);
    };
    match charset {
        Charset::Known(encoding) if encoding == UTF_8 => match std::str::from_utf8(without_bom(bytes)) {
            Ok(text) => text.into(),
            Err(error) if error.error_len().is_none() || mostly_utf8(bytes) => {
                String::from_utf8_lossy(without_bom(bytes))
            }
            Err(_) => guess(bytes),
        },
        Charset::Known(encoding) if encoding == EUC_KR && is_iso_2022_kr(bytes) => iso_2022_kr(bytes).into(),
        Charset::Known(encoding) => known(bytes, encoding),
        Charset::Iso2022Kr => iso_2022_kr(bytes).into(),
        Charset::Hz => hz(bytes).into(),
        Charset::Other(decode) => decode(bytes).into(),
    }
}

/// Decodes bytes that came without a label: UTF-8 if they are that, else as `fallback` says, else by guess.
pub fn decode_unlabelled<'b>(bytes: &'b [u8], fallback: Option<&str>) -> Cow<'b, str> {
    let bytes = without_bom(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) if memmem::find(bytes, b"\x1b$").is_none() => text.into(),
        Ok(_) if is_iso_2022_kr(bytes) => iso_2022_kr(bytes).into(),
        Ok(_) => known(bytes, ISO_2022_JP),
        Err(_) => match fallback.and_then(charset) {
            Some(Charset::Known(encoding)) if encoding != UTF_8 && encoding != UTF_16LE => {
                known(bytes, encoding)
            }
            _ if mostly_utf8(bytes) => String::from_utf8_lossy(bytes),
            _ => guess(bytes),
        },
    }
}

/// Whether a label stands for a charset that is known here. What says nothing, such as `unknown-8bit`, does not.
pub fn is_known(label: &str) -> bool {
    let plain = || label.chars().filter(char::is_ascii_alphanumeric).flat_map(char::to_lowercase);
    let ascii = ["ascii", "usascii", "ansix341968", "iso646us"];
    charset(label).is_some() || ascii.iter().any(|name| plain().eq(name.chars()))
}

enum Charset {
    Known(&'static Encoding),
    Iso2022Kr,
    Hz,
    Other(fn(&[u8]) -> String),
}

/// What a label stands for; nothing for labels that say nothing.
fn charset(label: &str) -> Option<Charset> {
    let label = label.trim_matches(|c: char| c.is_ascii_whitespace() || "\"'<>".contains(c));
    // What nearly all mail has.
    if label.eq_ignore_ascii_case("utf-8") {
        return Some(Charset::Known(UTF_8));
    }
    if label.is_empty() || label.len() > MAX_LABEL || label.eq_ignore_ascii_case("us-ascii") {
        return None;
    }
    let label = label.to_ascii_lowercase();
    let plain: String = label.chars().filter(char::is_ascii_alphanumeric).collect();
    let known = match plain.as_str() {
        "ascii" | "usascii" | "ansix341968" | "iso646us" | "unknown8bit" | "xunknown" | "unknown" => {
            return None;
        }
        "utf8" | "utf8mb4" | "xutf8" => UTF_8,
        "utf7" | "unicode11utf7" | "xunicode20utf7" | "csutf7" => return other("utf-7"),
        "iso2022kr" | "csiso2022kr" | "xiso2022kr" => return Some(Charset::Iso2022Kr),
        "hzgb2312" | "hz" => return Some(Charset::Hz),
        "shiftjis" | "xshiftjis" | "cp932" | "windows932" | "ms932" | "mskanji" | "cp943" => SHIFT_JIS,
        "eucjp" | "xeucjp" | "eucjpms" | "eucjpwin" | "cp51932" | "ujis" => EUC_JP,
        "jis" | "cp50220" | "cp50221" | "cp50222" | "csiso2022jp" => ISO_2022_JP,
        "cp936" | "ms936" | "windows936" | "xgbk" | "euccn" => GBK,
        _ if plain.starts_with("iso2022jp") => ISO_2022_JP,
        _ if plain.contains("5601")
            || plain.ends_with("949")
            || plain.ends_with("euckr")
            || plain == "uhc" =>
        {
            EUC_KR
        }
        _ => match Encoding::for_label_no_replacement(label.as_bytes()) {
            Some(encoding) => encoding,
            None => return other(&label),
        },
    };
    Some(Charset::Known(known))
}

fn other(label: &str) -> Option<Charset> {
    mail_parser::decoders::charsets::map::charset_decoder(label.as_bytes()).map(Charset::Other)
}

fn known<'b>(bytes: &'b [u8], encoding: &'static Encoding) -> Cow<'b, str> {
    let (text, broken) = if encoding.name().starts_with("UTF-16") {
        let (text, _, broken) = encoding.decode(bytes);
        (text, broken)
    } else if encoding == ISO_2022_JP {
        return Cow::Owned(encoding.decode_without_bom_handling(&without_idle_escapes(bytes)).0.into_owned());
    } else {
        encoding.decode_without_bom_handling(bytes)
    };
    match text {
        _ if broken && let Ok(utf8) = std::str::from_utf8(bytes) => utf8.into(),
        text => text,
    }
}

/// Drops escape sequences that are followed at once by another, as joined encoded words have them: the
/// decoder takes them for an attack.
fn without_idle_escapes(bytes: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        rest = match rest {
            [0x1b, b'(' | b'$', _, 0x1b, ..] => rest.get(3..).unwrap_or_default(),
            _ => {
                kept.push(*byte);
                tail
            }
        };
    }
    kept
}

fn guess(bytes: &[u8]) -> Cow<'_, str> {
    if only_latin_signs(bytes.get(..SAMPLE).unwrap_or(bytes)) {
        return known(bytes, WINDOWS_1252);
    }
    let from = bytes.iter().position(|byte| *byte >= 0x80).unwrap_or(0);
    let sample = bytes.get(from..).unwrap_or_default();
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    match sample.get(..SAMPLE) {
        Some(beginning) => detector.feed(beginning, false),
        None => detector.feed(sample, true),
    };
    // Two or three syllables are too few to tell from Arabic or Vietnamese, so the detector gets a hint.
    let hint = looks_like_hangul(sample.get(..SAMPLE).unwrap_or(sample)).then_some(&b"kr"[..]);
    let encoding = detector.guess(hint, Utf8Detection::Deny);
    encoding.decode_without_bom_handling(bytes).0
}

/// Whether all 8-bit bytes are signs of windows-1252 in a place where that sign makes sense: `£5`, `5¢`, `20°`,
/// `X®`. The detector, which looks for letters, takes them for Polish ones.
fn only_latin_signs(bytes: &[u8]) -> bool {
    let at = |index: usize| bytes.get(index).copied().unwrap_or(b' ');
    let mut signs = bytes.iter().enumerate().filter(|(_, byte)| **byte >= 0x80);
    signs.all(|(index, sign)| {
        let (before, behind) = (at(index.wrapping_sub(1)), at(index + 1));
        match sign {
            0xa2 | 0xa3 | 0xa5 => before.is_ascii_digit() || behind.is_ascii_digit(),
            0xa9 | 0xae | 0xb0 => behind.is_ascii() && !behind.is_ascii_alphabetic(),
            _ => false,
        }
    })
}

/// Whether all 8-bit bytes come in pairs that are syllables of KS X 1001.
fn looks_like_hangul(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    loop {
        rest = match rest {
            [0xb0..=0xc8, 0xa1..=0xfe, tail @ ..] | [..0x80, tail @ ..] => tail,
            [] | [0xb0..=0xc8] => return true,
            _ => return false,
        };
    }
}

/// Whether bytes that are not UTF-8 throughout are more so than not, as when a text was cut.
fn mostly_utf8(bytes: &[u8]) -> bool {
    let sample = bytes.get(..SAMPLE).unwrap_or(bytes);
    let (mut good, mut bad) = (0, 0);
    for chunk in sample.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good > bad
}

fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn is_iso_2022_kr(bytes: &[u8]) -> bool {
    memmem::find(bytes, ISO_2022_KR_DESIGNATOR).is_some()
}

/// RFC 1557: SO and SI switch between KS X 1001 and ASCII, a line end switches back to ASCII.
fn iso_2022_kr(bytes: &[u8]) -> String {
    let mut euc = Vec::with_capacity(bytes.len());
    let mut shifted = false;
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        if let Some(after) = rest.strip_prefix(ISO_2022_KR_DESIGNATOR) {
            rest = after;
            continue;
        }
        rest = tail;
        match byte {
            0x0e => shifted = true,
            0x0f => shifted = false,
            b'\n' => {
                shifted = false;
                euc.push(b'\n');
            }
            0x21..=0x7e if shifted => euc.push(byte | 0x80),
            _ => euc.push(*byte),
        }
    }
    known(&euc, EUC_KR).into_owned()
}

/// RFC 1843: `~{` and `~}` switch between GB 2312 and ASCII.
fn hz(bytes: &[u8]) -> String {
    let mut euc = Vec::with_capacity(bytes.len());
    let mut shifted = false;
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        let (escape, after) = match rest {
            [b'~', escape @ (b'{' | b'}' | b'~' | b'\n'), after @ ..] => (*escape, after),
            _ => (0, tail),
        };
        rest = after;
        match escape {
            b'{' => shifted = true,
            b'}' => shifted = false,
            b'~' => euc.push(b'~'),
            b'\n' => {}
            _ if shifted && byte.is_ascii_graphic() => euc.push(byte | 0x80),
            _ => euc.push(*byte),
        }
    }
    known(&euc, GBK).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_korean_under_every_name() {
        // The second syllable of 똠방각하 exists in CP949 only.
        for label in
            ["euc-kr", "ks_c_5601-1987", "CP949", "ms949", "KSC5601", "x-windows-949", "uhc", "\"EUC-KR\""]
        {
            assert_eq!(decode(b"\x8c\x63\xb9\xe6\xb0\xa2\xc7\xcf", Some(label)), "똠방각하", "{label}");
        }
        for label in ["ISO-2022-KR", "csISO2022KR", "euc-kr"] {
            assert_eq!(decode(b"\x1b$)Cab\x0eGQ1[\x0fc\r\n", Some(label)), "ab한글c\r\n", "{label}");
        }
        assert_eq!(decode(b"\x1b$)C\x0eGQ1[\nok", None), "한글\nok");
        assert_eq!(decode(b"\xc7\xd1\xb1\xdb", Some("iso-2022-kr")), "한글");
    }

    #[test]
    fn reads_japanese_and_chinese() {
        assert_eq!(decode(b"\x1b$BF|K\\8l\x1b(B", Some("iso-2022-jp")), "日本語");
        assert_eq!(decode(b"\x1b$BF|K\\8l\x1b(B", None), "日本語");
        assert_eq!(decode(b"\x1b$BF|\x1b(B\x1b$BK\\\x1b(B", Some("iso-2022-jp")), "日本");
        assert_eq!(decode(b"\x93\xfa\x96\x7b\x8c\xea", Some("Shift_JIS")), "日本語");
        assert_eq!(decode(b"\xc6\xfc\xcb\xdc\xb8\xec", Some("euc-jp")), "日本語");
        assert_eq!(decode(b"~{VPND~}~~", Some("hz-gb-2312")), "中文~");
        assert_eq!(decode(b"\xd6\xd0\xce\xc4", Some("gb2312")), "中文");
    }

    #[test]
    fn the_bytes_win_over_a_label_that_cannot_be() {
        for label in [
            None,
            Some("us-ascii"),
            Some("x-unknown"),
            Some("no-such-charset"),
            Some("utf-8"),
            Some("euc-kr"),
        ] {
            assert_eq!(decode("한국어 편지".as_bytes(), label), "한국어 편지", "{label:?}");
        }
        let korean = EUC_KR.encode("안녕하세요, 회의 자료를 보내 드립니다.").0.into_owned();
        for label in [None, Some("us-ascii"), Some("utf-8")] {
            assert_eq!(decode(&korean, label), "안녕하세요, 회의 자료를 보내 드립니다.", "{label:?}");
        }
        assert_eq!(decode(b"caf\xe9 au lait, d\xe9j\xe0 vu", None), "café au lait, déjà vu");
    }

    #[test]
    fn guesses_short_texts() {
        let texts = [
            (EUC_KR, &["한글", "회의록", "안녕하세요", "주문 확인", "[공지] 점검", "Re: 견적서"][..]),
            (SHIFT_JIS, &["こんにちは", "日本語のメール"]),
            (EUC_JP, &["会議のお知らせ"]),
            (
                WINDOWS_1252,
                &["café", "Müller", "Größe", "Save £5.00 on tickets", "49¢ each", "Discover® Card"],
            ),
            (encoding_rs::WINDOWS_1250, &["Łódź i Gdańsk są piękne"]),
            (encoding_rs::KOI8_R, &["Привет, как дела"]),
        ];
        for (encoding, texts) in texts {
            for text in texts {
                assert_eq!(decode_unlabelled(&encoding.encode(text).0, None), *text);
            }
        }
    }

    #[test]
    fn cut_text_stays_text() {
        assert_eq!(decode("한국어".as_bytes().get(..8).unwrap(), Some("utf-8")), "한국\u{fffd}");
        assert_eq!(decode("한국어".as_bytes().get(..8).unwrap(), None), "한국\u{fffd}");
        assert_eq!(decode(b"\xff\xfea\x00b\x00", Some("utf-16")), "ab");
        assert_eq!(decode(b"+1VzMhA-", Some("utf-7")).chars().count(), 2);
        assert_eq!(decode(b"", Some("utf-8")), "");
    }
}
