//! A message on its way in: what of it was seen, and whether it can still be accepted.
//!
//! A message that cannot be accepted is read to its end all the same, since that is where its one reply belongs.
//! Its octets are dropped from the moment that this is known, and the driver is told to drop what it has.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use compose::{Fault, HeaderReader, Split, Submitted};

use crate::address::Mailbox;
use crate::body::{HeaderFault, HeaderLimits, HeaderScan, LineEnds};
use crate::config::{Limits, Protocol};
use crate::core::Core;
use crate::decision;
use crate::envelope::{BodyType, Envelope};
use crate::phase::{Chunk, Phase, Rest};
use crate::reply::Reply;
use crate::verdict::DeliveryVerdict;

#[derive(Debug)]
pub(crate) struct Message {
    envelope: Arc<Envelope>,
    /// Octets of the message so far.
    size: u64,
    /// Octets of it that were dropped.
    dropped: u64,
    header: HeaderScan,
    line_ends: LineEnds,
    refusal: Option<(Weight, Reply)>,
    /// Whether the driver has begun it and was not told to abandon it.
    with_driver: bool,
    /// Reads the header of a submitted message, which is kept until it was judged.
    submitted: Option<Box<HeaderReader>>,
    /// A header that is to be judged now.
    judged: Option<Box<Judged>>,
}

/// A submitted message's header that the driver is to judge, and what of the body came with it.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) header: Arc<Submitted>,
    pub(crate) body: Bytes,
}

/// How much a reason to refuse weighs. A message may have several, and which of them is seen first depends on how the
/// network cut it; so the heaviest is told, not the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Weight {
    Header,
    Size,
    LineEnds,
    /// The driver has said so.
    Told,
}

/// The largest header that is kept in memory, in octets. [`Limits::header`] is what refuses larger ones first.
const HEADER: usize = 16 << 20;

impl Message {
    pub(crate) fn new(envelope: Envelope, protocol: Protocol) -> Self {
        // An upstream server that hands over by LMTP may have written Delivered-To for the very delivery that
        // this is, so there it proves no loop; and it has accepted the message as it is.
        let header = HeaderScan::new(protocol != Protocol::Lmtp);
        Self {
            envelope: Arc::new(envelope),
            size: 0,
            dropped: 0,
            header,
            line_ends: LineEnds::default(),
            refusal: None,
            with_driver: false,
            submitted: (protocol == Protocol::Submission).then(|| Box::new(HeaderReader::new(HEADER))),
            judged: None,
        }
    }

    pub(crate) fn envelope(&self) -> &Arc<Envelope> {
        &self.envelope
    }

    /// Octets that came so far, kept or dropped.
    pub(crate) fn received(&self) -> u64 {
        self.size + self.dropped
    }

    /// Whether the driver holds a part of this message.
    pub(crate) fn is_with_driver(&self) -> bool {
        self.with_driver
    }

    /// The driver has agreed to take it.
    pub(crate) fn begun(&mut self) {
        self.with_driver = true;
    }

    /// The driver cannot take the message.
    pub(crate) fn refuse(&mut self, reply: Reply, core: &mut Core) {
        self.fail(Weight::Told, reply, core);
    }

    /// A submitted message's header was judged, and cannot be sent.
    pub(crate) fn refuse_header(&mut self, reply: Reply, core: &mut Core) {
        self.fail(Weight::Header, reply, core);
    }

    /// The message cannot be accepted any more.
    fn fail(&mut self, weight: Weight, reply: Reply, core: &mut Core) {
        core.abandoned |= std::mem::take(&mut self.with_driver);
        if self.refusal.as_ref().is_none_or(|(known, _)| *known < weight) {
            self.refusal = Some((weight, reply));
        }
    }

    /// Whether it will not be accepted.
    pub(crate) fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// Refuses a message that would grow over the limit with `more` octets (RFC 1870 §6.3).
    pub(crate) fn check_size(&mut self, more: u64, core: &mut Core) {
        let limit = core.config.limits.message;
        if self.received().saturating_add(more) > limit {
            self.fail(Weight::Size, too_large(limit), core);
        }
    }

    /// Octets of a body that came by DATA; `saw_bare` if it held a bare CR or LF. Returns what the driver gets.
    pub(crate) fn take_lines(&mut self, body: BytesMut, saw_bare: bool, core: &mut Core) -> Option<Bytes> {
        if saw_bare {
            self.fail(Weight::LineEnds, bare(), core);
        }
        self.take(body, core)
    }

    /// Octets of a body that came by BDAT.
    pub(crate) fn take_octets(&mut self, body: BytesMut, core: &mut Core) -> Option<Bytes> {
        if self.envelope.origin.body != BodyType::BinaryMime {
            self.line_ends.scan(&body);
            if self.line_ends.saw_bare() {
                self.fail(Weight::LineEnds, bare(), core);
            }
        }
        self.take(body, core)
    }

    /// Why it is refused, if so much of it was dropped since that its end is not worth waiting for.
    pub(crate) fn endless(&self, limits: &Limits) -> Option<&Reply> {
        self.refusal.as_ref().filter(|_| self.dropped > limits.drain).map(|(_, reply)| reply)
    }

    /// A chunk has come; the last one ends the message.
    pub(crate) fn end_of_chunk(mut self, chunk: Chunk, core: &mut Core) -> Phase {
        if chunk.last {
            if self.envelope.origin.body != BodyType::BinaryMime && self.line_ends.ended_bare() {
                self.fail(Weight::LineEnds, bare(), core);
            }
            return self.end(core);
        }
        match self.refusal.take() {
            Some((_, refusal)) => self.refused(&refusal, 1, core),
            None => {
                let reply = Reply::new(250, (0, 0), format!("{} octets received", chunk.size));
                core.done(&reply, Rest::Chunks(self))
            }
        }
    }

    /// The header that the driver is to judge before anything else happens.
    pub(crate) fn take_judged(&mut self) -> Option<Judged> {
        self.judged.take().filter(|_| self.refusal.is_none()).map(|judged| *judged)
    }

    /// All of the message has come: its driver is asked what became of it, unless it is refused already.
    pub(crate) fn end(mut self, core: &mut Core) -> Phase {
        if let Some(reader) = self.submitted.take()
            && self.refusal.is_none()
        {
            self.header_read(reader.finish(), core);
        }
        match self.refusal.take() {
            None => Phase::Verdict(self),
            Some((_, refusal)) => {
                let copies = self.replies_due(core);
                self.refused(&refusal, copies, core)
            }
        }
    }

    /// The driver said what became of it.
    pub(crate) fn judged(mut self, verdicts: Vec<DeliveryVerdict>, core: &mut Core) -> Phase {
        // Whatever the verdict, the driver is done with it.
        self.with_driver = false;
        let replies = decision::replies(core.config.protocol, self.envelope.recipients.len(), verdicts);
        if replies.iter().any(|reply| !reply.is_refusal()) {
            core.conduct.message_accepted();
        } else if replies.iter().any(Reply::is_permanent) {
            core.conduct.error();
        }
        replies.iter().for_each(|reply| core.reply(reply));
        Phase::Command(core.reset(Some(self)))
    }

    /// The end of a message that nobody gets.
    fn refused(self, refusal: &Reply, copies: usize, core: &mut Core) -> Phase {
        if refusal.is_permanent() {
            core.conduct.error();
        }
        for _ in 0..copies {
            core.reply(refusal);
        }
        Phase::Command(core.reset(Some(self)))
    }

    /// Replies that the client counts on after the last octet: LMTP wants one per recipient (RFC 2033 §4.2).
    fn replies_due(&self, core: &Core) -> usize {
        match core.config.protocol {
            Protocol::Smtp | Protocol::Submission => 1,
            Protocol::Lmtp => self.envelope.recipients.len(),
        }
    }

    fn take(&mut self, body: BytesMut, core: &mut Core) -> Option<Bytes> {
        self.check_size(body.len() as u64, core);
        if self.refusal.is_none()
            && let Err(fault) = self.scan_header(&body, &core.config.limits)
        {
            self.fail(Weight::Header, fault_reply(fault), core);
        }
        if self.refusal.is_some() {
            self.dropped += body.len() as u64;
            return None;
        }
        self.size += body.len() as u64;
        if let Some(mut reader) = self.submitted.take() {
            match reader.push(&body) {
                Ok(None) => self.submitted = Some(reader),
                Ok(Some(split)) => self.header_read(Ok(split), core),
                Err(fault) => self.header_read(Err(fault), core),
            }
            return None;
        }
        (!body.is_empty()).then(|| body.freeze())
    }

    /// A submitted message's header is complete, or is none.
    fn header_read(&mut self, read: Result<Split, Fault>, core: &mut Core) {
        match read {
            Ok(Split { header, body }) => {
                let (envelope, header) = (self.envelope.clone(), Arc::new(header));
                self.judged = Some(Box::new(Judged { envelope, header, body: body.into() }));
            }
            Err(fault) => {
                let text = format!("The message is not well-formed: {fault}");
                self.refuse_header(Reply::new(550, (6, 0), text), core);
            }
        }
    }

    fn scan_header(&mut self, body: &[u8], limits: &Limits) -> Result<(), HeaderFault> {
        let bounds = HeaderLimits { size: limits.header, received: limits.received };
        let recipients = &self.envelope.recipients;
        let same =
            |mailbox: &Mailbox, address: &[u8]| mailbox.to_string().as_bytes().eq_ignore_ascii_case(address);
        self.header.scan(body, bounds, |address| {
            recipients.iter().filter_map(|one| one.path.mailbox()).any(|mailbox| same(mailbox, address))
        })
    }
}

fn bare() -> Reply {
    Reply::new(550, (5, 2), "The message has a bare CR or LF; end every line with CRLF and send it again")
}

/// The refusal of a message over `limit` octets (RFC 1870 §6).
pub(crate) fn too_large(limit: u64) -> Reply {
    Reply::new(552, (3, 4), format!("The message is larger than the {limit} octets allowed here; send less"))
}

fn fault_reply(fault: HeaderFault) -> Reply {
    match fault {
        HeaderFault::TooLarge => {
            Reply::new(552, (3, 4), "The message's header is too large; send a shorter one")
        }
        HeaderFault::TooManyHops => {
            Reply::new(554, (4, 6), "The message has passed too many servers; check for a forwarding loop")
        }
        HeaderFault::TwoAuthors => {
            Reply::new(550, (7, 1), "The message has two From fields; send it with one")
        }
        HeaderFault::DeliveredBefore => Reply::new(
            554,
            (4, 6),
            "The message was delivered to this recipient before; check for a forwarding loop",
        ),
    }
}
