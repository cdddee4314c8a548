//! A client, and the driver that serves it.

use bytes::BytesMut;
use conversation::{Conversation, Step};
use directory::sasl::ChannelBindings;

/// What the driver knows of a TLS channel.
const CHANNEL: ChannelBindings = ChannelBindings::NONE.with_exporter([7; 32]);

/// A client of one session. What it sends is served at once, and what it hears is kept until somebody asks.
pub struct Client<C> {
    pub session: C,
    pub input: BytesMut,
    pub output: Vec<u8>,
    /// The largest single step of output.
    pub largest: usize,
    pub closed: bool,
    /// The session has asked for TLS, and was told that it is there.
    pub wants_tls: bool,
    /// The session has asked to compress.
    pub compressed: bool,
}

impl<C: Conversation> Client<C> {
    /// The client of a new session; its greeting is still to come.
    pub fn new(session: C) -> Self {
        Self {
            session,
            input: BytesMut::new(),
            output: Vec::new(),
            largest: 0,
            closed: false,
            wants_tls: false,
            compressed: false,
        }
    }

    /// Serves the client until it has to say more.
    pub async fn serve(&mut self) {
        while !self.closed {
            match self.session.advance(&mut self.input).await {
                Step::Send(chunks) => {
                    let size = chunks.iter().map(|chunk| chunk.len()).sum();
                    assert!(size > 0, "nothing to send");
                    self.largest = self.largest.max(size);
                    chunks.iter().for_each(|chunk| self.output.extend_from_slice(chunk));
                }
                Step::NeedInput => return,
                Step::Compress => self.compressed = true,
                Step::StartTls => {
                    assert!(self.input.is_empty(), "plaintext is left for the session after the handshake");
                    self.wants_tls = true;
                    self.session.secured(CHANNEL);
                    return;
                }
                Step::Close => self.closed = true,
            }
        }
    }

    /// Sends bytes in one packet, unless the server has closed the connection.
    pub async fn send(&mut self, bytes: &[u8]) {
        if !self.closed {
            self.input.extend_from_slice(bytes);
            self.serve().await;
        }
    }

    /// Sends every byte in a packet of its own.
    pub async fn send_byte_by_byte(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send(&[*byte]).await;
        }
    }

    /// What the server has said since the last time.
    pub fn heard(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.output)).into_owned()
    }

    /// Waits for news while idling.
    pub async fn news(&mut self) -> String {
        self.session.changed().await;
        self.serve().await;
        self.heard()
    }

    /// Sends a line and returns all that comes back.
    pub async fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.heard()
    }
}
