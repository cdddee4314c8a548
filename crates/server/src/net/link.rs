//! One connection's byte stream, plain or encrypted, with a bound on how long the peer may leave our bytes unread.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use directory::sasl::ChannelBindings;
use flate2::DecompressError;
use futures::future::poll_immediate;
use rustls::ProtocolVersion;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::deflate::Deflate;
use super::proxy::Lookout;
use crate::meters::PortMeters;

/// The most that one read takes from a connection, in bytes.
const ROOM: usize = 16 << 10;
/// How long a closed connection may take to acknowledge our last bytes.
const FAREWELL: Duration = Duration::from_secs(2);
/// What a peer may still send after we have closed before we stop listening to it, in bytes.
const FAREWELL_BYTES: usize = 256 << 10;

/// Why a connection is over.
#[derive(Debug, Error)]
pub(crate) enum LinkError {
    /// The network, or the peer, broke it.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// The peer does not read what it asked for.
    #[error("the client did not read for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The TLS handshake took too long.
    #[error("the TLS handshake was not done within {} s", .0.as_secs())]
    Handshake(Duration),
    /// What the peer sends cannot be inflated.
    #[error("what the client sends is not deflated: {0}")]
    Garbled(#[from] DecompressError),
    /// Somebody who is no trusted proxy says whom it speaks for.
    #[error("the client speaks the PROXY protocol, but its address is not among this listener's proxies")]
    Proxy,
}

/// How long a peer may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LinkTimes {
    /// To read some of what it is sent.
    pub(crate) stall: Duration,
    /// For its side of a TLS handshake.
    pub(crate) handshake: Duration,
}

impl Default for LinkTimes {
    fn default() -> Self {
        Self { stall: Duration::from_secs(60), handshake: Duration::from_secs(60) }
    }
}

/// How a connection is encrypted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Encryption {
    /// The protocol's version, as in `TLSv1.3`.
    pub(crate) version: String,
    /// The cipher suite, as in `TLS_AES_256_GCM_SHA384`.
    pub(crate) cipher: String,
}

/// One connection.
pub(crate) struct Link {
    stream: Stream,
    deflate: Option<Box<Deflate>>,
    stall: Duration,
    lookout: Lookout,
    meters: Arc<PortMeters>,
}

/// The byte stream of a connection.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Between the two, while a handshake is under way or after it failed.
    Gone,
}

impl Link {
    /// A connection as it was accepted. A peer that takes none of our bytes for `stall` is disconnected.
    pub(crate) fn new(socket: TcpStream, stall: Duration, meters: Arc<PortMeters>) -> Self {
        // Replies are written whole: waiting for more to send would only delay them.
        let _best_effort = socket.set_nodelay(true);
        Self { stream: Stream::Plain(socket), deflate: None, stall, lookout: Lookout::default(), meters }
    }

    /// Encrypts the connection.
    pub(crate) async fn start_tls(
        &mut self,
        acceptor: &TlsAcceptor,
        patience: Duration,
    ) -> Result<Encryption, LinkError> {
        let Stream::Plain(socket) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(gone().into());
        };
        let accepted = timeout(patience, acceptor.accept(socket)).await;
        let accepted = accepted.map_err(|_late| LinkError::Handshake(patience));
        let stream = match accepted.and_then(|accepted| Ok(accepted?)) {
            Ok(stream) => stream,
            Err(why) => {
                self.meters.failed_handshakes.increment(1);
                return Err(why);
            }
        };
        self.meters.handshakes.increment(1);
        let (_, tls) = stream.get_ref();
        let version = tls.protocol_version().and_then(|v| v.as_str()).unwrap_or_default();
        let cipher = tls.negotiated_cipher_suite().and_then(|s| s.suite().as_str()).unwrap_or_default();
        let encryption =
            Encryption { version: version.replace('_', "."), cipher: cipher.replacen("TLS13_", "TLS_", 1) };
        self.stream = Stream::Tls(Box::new(stream));
        Ok(encryption)
    }

    /// Which protocol was agreed upon with TLS (RFC 7301), if one was.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        match &self.stream {
            Stream::Tls(stream) => stream.get_ref().1.alpn_protocol(),
            Stream::Plain(_) | Stream::Gone => None,
        }
    }

    /// The byte stream, for those who keep the time themselves.
    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }

    /// What names the TLS channel, for logins that bind themselves to it.
    pub(crate) fn channel_bindings(&self) -> ChannelBindings {
        let Stream::Tls(stream) = &self.stream else { return ChannelBindings::NONE };
        let (_, tls) = stream.get_ref();
        if tls.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return ChannelBindings::NONE;
        }
        let material = tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""));
        material.map_or(ChannelBindings::NONE, |material| ChannelBindings::NONE.with_exporter(material))
    }

    /// Deflates both directions from now on (RFC 4978).
    pub(crate) fn compress(&mut self) {
        self.deflate = Some(Box::new(Deflate::new()));
    }

    /// Sends all of `bytes`. Waits as long as the peer takes some of them now and then.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        if self.deflate.is_some() {
            return self.send_all(&[Bytes::copy_from_slice(bytes)]).await;
        }
        self.send_slices(&mut [IoSlice::new(bytes)]).await
    }

    /// The same for bytes in several pieces, with as few calls of the system as that takes.
    pub(crate) async fn send_all(&mut self, pieces: &[Bytes]) -> Result<(), LinkError> {
        if let Some(deflate) = self.deflate.as_mut() {
            let packed = deflate.pack(pieces)?;
            return self.send_slices(&mut [IoSlice::new(&packed)]).await;
        }
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        self.send_slices(&mut slices).await
    }

    async fn send_slices(&mut self, mut slices: &mut [IoSlice<'_>]) -> Result<(), LinkError> {
        // Empty slices in front would be written as nothing, which would look like the end.
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            let written = patiently(self.stall, self.stream.write_vectored(slices)).await?;
            if written == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            self.meters.sent.increment(written as u64);
            IoSlice::advance_slices(&mut slices, written);
        }
        patiently(self.stall, self.stream.flush()).await
    }

    /// Appends what the peer sends to `input`; zero when it sends no more. Cancel-safe. Takes no memory while it
    /// waits: most of the connections of a mail server do nothing else.
    pub(crate) async fn receive(&mut self, input: &mut BytesMut) -> Result<usize, LinkError> {
        if self.deflate.is_some() {
            // What inflates to much has come in one read: others must have their turn all the same.
            consume_budget().await;
            return poll_fn(|cx| self.poll_deflated(cx, input)).await;
        }
        let received = poll_fn(|cx| {
            let mut room = [MaybeUninit::uninit(); ROOM];
            let mut room = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
            if !self.lookout.is_over() && self.lookout.sees(room.filled()) {
                return Poll::Ready(Err(LinkError::Proxy));
            }
            input.extend_from_slice(room.filled());
            self.meters.received.increment(room.filled().len() as u64);
            Poll::Ready(Ok(room.filled().len()))
        });
        received.await
    }

    fn poll_deflated(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut BytesMut,
    ) -> Poll<Result<usize, LinkError>> {
        let Some(deflate) = self.deflate.as_mut() else { return Poll::Ready(Err(gone().into())) };
        loop {
            let inflated = deflate.unpack(input)?;
            if inflated > 0 || deflate.ended() {
                return Poll::Ready(Ok(inflated));
            }
            let mut room = [MaybeUninit::uninit(); ROOM];
            let mut room = ReadBuf::uninit(&mut room);
            match Pin::new(&mut self.stream).poll_read(cx, &mut room) {
                Poll::Ready(read) => read?,
                Poll::Pending => {
                    deflate.rest();
                    return Poll::Pending;
                }
            }
            if room.filled().is_empty() {
                return Poll::Ready(Ok(0));
            }
            self.meters.received.increment(room.filled().len() as u64);
            deflate.take(room.filled());
        }
    }

    /// Ends the connection so that the peer gets our last bytes: closing a socket with unread input would reset
    /// the connection, and the peer's system would throw away what it has not read yet.
    pub(crate) async fn close(mut self) {
        let farewell = async {
            if let Some(deflate) = &self.deflate {
                self.stream.write_all(deflate.end()).await?;
            }
            self.stream.shutdown().await?;
            let mut rest = [0; 4096];
            let mut dropped = 0;
            while dropped < FAREWELL_BYTES {
                match self.stream.read(&mut rest).await? {
                    0 => break,
                    n => dropped += n,
                }
            }
            io::Result::Ok(())
        };
        let _whatever_happened_it_is_over = timeout(FAREWELL, farewell).await;
    }
}

/// Does something that the peer may hold up, but not for longer than `stall`.
async fn patiently<T>(stall: Duration, work: impl Future<Output = io::Result<T>>) -> Result<T, LinkError> {
    let mut work = pin!(work);
    // Hardly anything has to wait, and a timer costs more than most writes.
    if let Some(done) = poll_immediate(work.as_mut()).await {
        return Ok(done?);
    }
    Ok(timeout(stall, work).await.map_err(|_late| LinkError::Stalled(stall))??)
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the connection is not there any more")
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Gone => false,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    const STALL: Duration = Duration::from_secs(60);

    async fn pair() -> (Link, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (Link::new(server, STALL, Arc::new(PortMeters::noop())), client)
    }

    #[tokio::test(start_paused = true)]
    async fn fault_47_a_reader_that_takes_nothing_is_disconnected_after_a_minute() {
        let (mut link, client) = pair().await;
        let began = Instant::now();
        let all = vec![0; 64 << 20];
        let sent = link.send(&all).await;
        assert!(matches!(sent, Err(LinkError::Stalled(STALL))), "{sent:?}");
        assert!(began.elapsed() >= STALL && began.elapsed() < STALL * 2, "{:?}", began.elapsed());
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn fault_47_a_reader_that_takes_a_little_now_and_then_is_served() {
        let (mut link, mut client) = pair().await;
        let size = 64 << 20;
        let reading = tokio::spawn(async move {
            // A socket counts as ready for more when a third of its buffer is free, which on loopback is megabytes.
            let (mut buffer, mut read) = (vec![0; 4 << 20], 0);
            while read < size {
                tokio::time::sleep(STALL / 6).await;
                match client.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(some) => read += some,
                }
            }
            read
        });
        link.send(&vec![0; size]).await.unwrap();
        drop(link);
        assert_eq!(reading.await.unwrap(), size);
    }
}
