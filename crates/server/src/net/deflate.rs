//! Compression of a whole connection (RFC 4978): raw deflate in both directions, with no more inflated at once than
//! one read would have brought, so that the session's limits hold for what was inflated.
//!
//! Most connections wait. What it takes to deflate is some 300 KiB, so it is lent for as long as an answer takes: each
//! answer ends on a whole byte, and nothing in the next one refers back to it. What it takes to inflate stays, for the
//! client may refer back to the last 32 KiB that it has said.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, DecompressError, FlushCompress, FlushDecompress, Status};
use parking_lot::Mutex;

/// The most that is inflated at once, in bytes.
const ROOM: usize = 16 << 10;
/// How hard to try: beyond this mail hardly gets smaller, and takes twice as long.
const LEVEL: u32 = 3;
/// How many deflaters are kept for the next answer, whoever's that is.
const SPARE: usize = 8;
/// The last block of a stream, with nothing in it.
const END: [u8; 2] = [0x03, 0x00];

/// Deflaters that nobody needs at the moment.
static LENT_BACK: Mutex<Vec<Compress>> = Mutex::new(Vec::new());

/// The compression of one connection.
pub(super) struct Deflate {
    inflater: Decompress,
    /// Only while there is something to say.
    deflater: Option<Compress>,
    /// Compressed bytes that have come in.
    wire: BytesMut,
    /// The inflater had no room for all that it had.
    more: bool,
    /// The peer has ended its stream.
    ended: bool,
}

impl Deflate {
    pub(super) fn new() -> Self {
        Self {
            inflater: Decompress::new(false),
            deflater: None,
            wire: BytesMut::new(),
            more: false,
            ended: false,
        }
    }

    /// Bytes for the peer, which can inflate all of them without waiting for more.
    pub(super) fn pack(&mut self, pieces: &[Bytes]) -> io::Result<Vec<u8>> {
        let deflater = self.deflater.get_or_insert_with(borrow);
        let size: usize = pieces.iter().map(Bytes::len).sum();
        let mut packed = Vec::with_capacity(size / 2 + 64);
        for piece in pieces {
            let mut rest = &piece[..];
            while !rest.is_empty() {
                let before = deflater.total_in();
                deflater.compress_vec(rest, &mut packed, FlushCompress::None).map_err(io::Error::other)?;
                rest = rest.get(count(deflater.total_in() - before)..).unwrap_or_default();
                make_room(&mut packed);
            }
        }
        loop {
            deflater.compress_vec(&[], &mut packed, FlushCompress::Sync).map_err(io::Error::other)?;
            // Room that was left over means that nothing is held back.
            if packed.len() < packed.capacity() {
                return Ok(packed);
            }
            make_room(&mut packed);
        }
    }

    /// Nothing is to be said for a while.
    pub(super) fn rest(&mut self) {
        if let Some(deflater) = self.deflater.take() {
            lend_back(deflater);
        }
        if self.wire.is_empty() {
            self.wire = BytesMut::new();
        }
    }

    /// What ends the stream after all that was packed.
    pub(super) const fn end(&self) -> &'static [u8] {
        &END
    }

    /// Takes what has come from the peer.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.wire.extend_from_slice(bytes);
    }

    /// Whether nothing more can come.
    pub(super) const fn ended(&self) -> bool {
        self.ended
    }

    /// Inflates some of what has come and appends it to `input`; zero if more has to come first.
    pub(super) fn unpack(&mut self, input: &mut BytesMut) -> Result<usize, DecompressError> {
        if self.ended || (self.wire.is_empty() && !self.more) {
            return Ok(0);
        }
        let mut room = [0; ROOM];
        let (taken, given) = (self.inflater.total_in(), self.inflater.total_out());
        let status = self.inflater.decompress(&self.wire, &mut room, FlushDecompress::None)?;
        self.wire.advance(count(self.inflater.total_in() - taken).min(self.wire.len()));
        let given = count(self.inflater.total_out() - given);
        input.extend_from_slice(room.get(..given).unwrap_or_default());
        self.more = given == ROOM;
        self.ended = status == Status::StreamEnd;
        Ok(given)
    }
}

fn borrow() -> Compress {
    let spare = LENT_BACK.lock().pop();
    spare.unwrap_or_else(|| Compress::new(Compression::new(LEVEL), false))
}

fn lend_back(mut deflater: Compress) {
    // Whatever it has seen belongs to one client.
    deflater.reset();
    let mut spare = LENT_BACK.lock();
    if spare.len() < SPARE {
        spare.push(deflater);
    }
}

fn make_room(packed: &mut Vec<u8>) {
    if packed.capacity() - packed.len() < 64 {
        packed.reserve(packed.len().max(1024));
    }
}

fn count(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carry(from: &mut Deflate, to: &mut Deflate, bytes: &[u8], step: usize) -> Vec<u8> {
        let mut input = BytesMut::new();
        let pieces: Vec<Bytes> = bytes.chunks(step * 3 + 1).map(Bytes::copy_from_slice).collect();
        for piece in from.pack(&pieces).unwrap().chunks(step) {
            to.take(piece);
            while to.unpack(&mut input).unwrap() > 0 {}
        }
        input.to_vec()
    }

    fn noise(size: u32) -> Vec<u8> {
        (0..size).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    #[test]
    fn everything_arrives_at_once() {
        let (mut one, mut two) = (Deflate::new(), Deflate::new());
        for bytes in [&b"a NOOP\r\n"[..], b"", b"x", &noise(200_000), &[0; 300_000], b"b NOOP\r\n"] {
            for step in [1_000_000, 977, 1] {
                assert_eq!(carry(&mut one, &mut two, bytes, step), bytes);
            }
        }
    }

    #[test]
    fn a_pause_changes_nothing_for_the_other_side() {
        let (mut one, mut two) = (Deflate::new(), Deflate::new());
        for size in [10, 70_000, 0, 1, 40_000] {
            assert_eq!(carry(&mut one, &mut two, &noise(size), 1000), noise(size));
            one.rest();
            assert!(one.deflater.is_none());
        }
        two.take(one.end());
        assert_eq!(two.unpack(&mut BytesMut::new()).unwrap(), 0);
        assert!(two.ended());
    }

    #[test]
    fn no_more_is_inflated_than_there_is_room_for() {
        let (mut bomber, mut server) = (Deflate::new(), Deflate::new());
        let bomb = bomber.pack(&[vec![b'x'; 10 << 20].into()]).unwrap();
        assert!(bomb.len() < 100_000);
        server.take(&bomb);
        let (mut input, mut whole) = (BytesMut::new(), 0);
        loop {
            let given = server.unpack(&mut input).unwrap();
            assert!(given <= ROOM);
            whole += given;
            input.clear();
            if given == 0 {
                break;
            }
        }
        assert_eq!(whole, 10 << 20);
    }

    #[test]
    fn what_is_not_deflated_is_an_error() {
        let mut server = Deflate::new();
        server.take(b"\xff\xffa NOOP\r\n");
        assert!(server.unpack(&mut BytesMut::new()).is_err());
    }
}
