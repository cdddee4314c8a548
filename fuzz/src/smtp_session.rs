//! An SMTP or LMTP session. Its driver asserts the order of effects; here, that no cut of the input changes anything.

use smtp::{Config, Protocol};

use crate::smtp_driver::Driver;

pub fn run(data: &[u8]) {
    let (&choice, said) = data.split_first().unwrap_or((&0, b""));
    let whole = talk(choice, said, usize::MAX);
    let cut = talk(choice, said, 1 + usize::from(choice >> 5));
    // What follows STARTTLS in one packet is refused, in another it belongs to the handshake.
    let starttls = said.windows(8).any(|word| word.eq_ignore_ascii_case(b"STARTTLS"));
    if !starttls {
        assert_eq!(String::from_utf8_lossy(&whole.replies), String::from_utf8_lossy(&cut.replies));
        assert_eq!(whole.effects, cut.effects);
    }
    for driver in [whole, cut] {
        promises(&driver);
    }
}

fn talk(choice: u8, said: &[u8], piece: usize) -> Driver {
    let protocol = if choice & 1 == 0 { Protocol::Smtp } else { Protocol::Lmtp };
    let mut config = Config::new("mx.example.test", protocol);
    config.dsn = choice & 2 == 0;
    config.binarymime = choice & 4 == 0;
    config.smtputf8 = choice & 8 == 0;
    config.starttls = choice & 16 == 0;
    config.limits.line = 600;
    config.limits.recipients = 20;
    let mut driver = Driver::new(config, false);
    driver.run();
    driver.give(said, piece);
    driver
}

/// Replies are whole lines of print, and no control character gets into an envelope.
fn promises(driver: &Driver) {
    let replies = driver.replies.as_slice();
    assert!(replies.is_empty() || replies.ends_with(b"\r\n"), "half a reply");
    for line in replies.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        assert!(line.len() > 4 && line[..3].iter().all(u8::is_ascii_digit), "{}", line.escape_ascii());
        assert!(matches!(line[3], b' ' | b'-') && line.ends_with(b"\r"), "{}", line.escape_ascii());
        assert!(
            line[..line.len() - 1].iter().all(|byte| *byte >= b' ' && *byte != 0x7f),
            "{}",
            line.escape_ascii()
        );
    }
    for effect in driver.effects.iter().filter(|effect| effect.starts_with("end ")) {
        let (envelope, _) = effect.split_once('"').unwrap();
        assert!(!envelope.chars().any(char::is_control), "{envelope:?}");
    }
}
