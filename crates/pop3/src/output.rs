//! The bytes on their way out: replies are collected, long stretches of messages go by reference.

use std::fmt::{self, Write as _};

use bytes::{BufMut, Bytes, BytesMut};

/// A stretch shorter than this is copied: a chunk of its own costs more.
const BY_REFERENCE: usize = 4 << 10;

/// Chunks of bytes, in order.
#[derive(Default)]
pub(crate) struct Output {
    chunks: Vec<Bytes>,
    open: BytesMut,
    len: usize,
}

impl Output {
    /// Octets waiting to be taken.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Everything written since the last call.
    pub(crate) fn take(&mut self) -> Vec<Bytes> {
        self.seal();
        self.len = 0;
        std::mem::take(&mut self.chunks)
    }

    /// Octets, as they are.
    pub(crate) fn put(&mut self, octets: &[u8]) {
        self.open.put_slice(octets);
        self.len += octets.len();
    }

    /// Text with values in it.
    pub(crate) fn print(&mut self, text: fmt::Arguments<'_>) {
        // Writing into memory does not fail.
        let _ = self.write_fmt(text);
    }

    /// A stretch of a message.
    pub(crate) fn stretch(&mut self, octets: Bytes) {
        if octets.len() < BY_REFERENCE {
            return self.put(&octets);
        }
        self.seal();
        self.len += octets.len();
        self.chunks.push(octets);
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            self.chunks.push(self.open.split().freeze());
        }
    }
}

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}
