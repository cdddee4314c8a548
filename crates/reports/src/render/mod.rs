//! Reports as messages.

mod dmarc;
mod message;
mod tls;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use types::Timestamp;

use crate::dispatch::{Claim, Content};
use crate::table::Kind;

/// In whose name reports are sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sender {
    /// The address that they come from. Its domain is the one that reports, and should sign.
    pub address: String,
    /// The name of whoever runs this service.
    pub organization: String,
    /// Whom to ask about them: an address.
    pub contact: String,
}

impl Sender {
    /// The domain that reports.
    pub fn domain(&self) -> &str {
        self.address.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// A report as a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rendered {
    /// The whole message, without a signature.
    pub message: Vec<u8>,
    /// What the report is called: the same whenever it is rendered.
    pub id: String,
}

/// Renders a report for these readers. Whoever renders the same report again gets the same one, but for its `Date:`.
pub fn render(
    claim: &Claim,
    content: &Content,
    sender: &Sender,
    readers: &[&str],
    at: Timestamp,
) -> Rendered {
    let id = report_id(claim, sender);
    let report = Named { claim, sender, id: &id };
    let data = match content {
        Content::Tls(day) => tls::json(&report, day),
        Content::Dmarc { policy, rows } => dmarc::xml(&report, policy, rows).into_bytes(),
    };
    let message = message::write(&report, &packed(&data), readers, at);
    Rendered { message, id }
}

/// A report and what it is called.
pub(crate) struct Named<'a> {
    pub(crate) claim: &'a Claim,
    pub(crate) sender: &'a Sender,
    pub(crate) id: &'a str,
}

impl Named<'_> {
    /// What is told apart by it: kind, day, and both domains.
    pub(crate) fn file_name(&self) -> String {
        let begin = self.claim.day.begin().secs();
        let end = self.claim.day.end().secs() - 1;
        let (from, of) = (self.sender.domain(), &self.claim.domain);
        match self.claim.kind {
            Kind::Tls => format!("{from}!{of}!{begin}!{end}!{}.json.gz", self.id),
            Kind::Dmarc => format!("{from}!{of}!{begin}!{end}!{}.xml.gz", self.id),
        }
    }
}

/// A name for the report that no other has: letters and digits.
fn report_id(claim: &Claim, sender: &Sender) -> String {
    let what = format!("{} {} {} {}", claim.kind.as_str(), claim.day, claim.domain, sender.domain());
    blake3::hash(what.as_bytes()).to_hex().as_str().chars().take(24).collect()
}

fn packed(data: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::with_capacity(data.len() / 4), Compression::default());
    // Writing to memory cannot fail.
    let _written = packer.write_all(data);
    packer.finish().unwrap_or_default()
}
