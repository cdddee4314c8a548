//! A message on its way to the client, for RETR and TOP: no more of it is in memory than a few chunks.

use bytes::Bytes;
use mail::{Member, Source, SourceStream};
use memchr::memmem;
use types::{Keyword, MailboxId, Uid};

use crate::config::{Config, InternationalMail};
use crate::error::Error;
use crate::maildrop::Entry;
use crate::output::Output;
use crate::user::User;
use crate::wire::{Extent, Wire};

/// The longest header that is looked at for UTF-8, in octets.
const HEADER: u64 = 256 << 10;

/// A message that is being sent.
pub(crate) struct Sending {
    stream: SourceStream,
    next: Option<Bytes>,
    wire: Wire,
    /// To be marked as seen when it was sent.
    marks: Option<Uid>,
}

impl Sending {
    /// Opens a message. Its first chunk is read before anything is promised to the client.
    pub(crate) async fn open(
        entry: Entry,
        extent: Extent,
        utf8: bool,
        user: &User,
        config: &Config,
    ) -> Result<Self, Error> {
        let (account, mail) = (user.account, &user.mail);
        // The row is read anew: what another session has expunged could still be read without it.
        let found = mail.source_in(account, MailboxId::INBOX, entry.uid, entry.email).await?;
        let Some((Member { keywords, .. }, sealed)) = found else { return Err(Error::Gone(entry.number)) };
        let source = sealed.open()?;
        if config.international == InternationalMail::Refused && !utf8 && is_international(&source).await? {
            return Err(Error::International(entry.number));
        }
        let mut stream = source.stream(0..source.size());
        let next = stream.next().await?;
        let marks = config.marks_seen && extent == Extent::Whole && !keywords.contains(Keyword::SEEN);
        Ok(Self { stream, next, wire: Wire::new(extent), marks: marks.then_some(entry.uid) })
    }

    /// Writes the next chunk; true at the end. What was begun must come whole: if it cannot be read to its end, all
    /// that is left is to close the connection.
    pub(crate) async fn step(&mut self, user: &mut User, out: &mut Output) -> Result<bool, mail::Error> {
        if let Some(chunk) = self.next.take()
            && self.wire.push(&chunk, out)
        {
            self.next = self.stream.next().await?;
            if self.next.is_some() {
                return Ok(false);
            }
        }
        self.wire.finish(out);
        if let Some(uid) = self.marks.take() {
            user.saw(uid).await;
        }
        Ok(true)
    }
}

/// Whether there is UTF-8 in the header (RFC 6532). Other octets beyond ASCII make a message old and wrong, but not
/// international.
async fn is_international(source: &Source) -> Result<bool, Error> {
    let start = source.read(0..HEADER).await?;
    let end = memmem::find(&start, b"\r\n\r\n").unwrap_or(start.len());
    let header = start.get(..end).unwrap_or_default();
    Ok(!header.is_ascii() && std::str::from_utf8(header).is_ok())
}
