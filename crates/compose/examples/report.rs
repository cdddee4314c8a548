//! Writes a report on a message, so that software of others can read what we write.
//!
//! `report full|headers RECIPIENT < message`

use std::io::{Read, Write};

use compose::{Action, Original, Outcome, Reply, Report, Return, Status};
use types::Timestamp;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let wanted = match arguments.next().as_deref() {
        Some("full") => Return::Full,
        Some("headers") => Return::Headers,
        _ => return Err("usage: report full|headers RECIPIENT < message".into()),
    };
    let address = arguments.next().ok_or("usage: report full|headers RECIPIENT < message")?;
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;
    let at = Timestamp::from_secs(1_795_359_480);
    let outcome = Outcome {
        address,
        original: None,
        action: Action::Failed,
        status: Status::permanent(1, 1),
        reply: Some(Reply { server: "mx.y.test".to_owned(), text: "550 5.1.1 No such user".to_owned() }),
        cause: None,
        tried: Some(at),
        until: None,
    };
    let report = Report {
        host: "mail.x.test".to_owned(),
        to: "alice@x.test".to_owned(),
        envelope_id: None,
        arrived: at,
        at,
        id: "1.abc".to_owned(),
        outcomes: vec![outcome],
        international: true,
    };
    let rendered = report.render(&Original { octets: message.into(), whole: true, wanted }, 10 << 20);
    let mut out = std::io::stdout().lock();
    rendered.pieces.iter().try_for_each(|piece| out.write_all(piece))?;
    Ok(())
}
