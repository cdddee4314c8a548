//! The PROXY protocol, versions 1 and 2, as HAProxy's `proxy-protocol.txt` has it: a load balancer that is trusted says
//! at the beginning of a connection whom it speaks for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;

/// What a header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What one of version 1 begins with.
const WORD: &[u8; 6] = b"PROXY ";
/// The longest header of version 1, in octets.
const LONGEST_LINE: usize = 107;
/// The longest body of a version 2 header that is read, in octets: addresses, and what a proxy adds about TLS.
const LONGEST_BODY: usize = 4 << 10;

/// Why a header is none.
#[derive(Debug, Error)]
pub(crate) enum ProxyError {
    #[error("the connection broke before its PROXY header was whole: {0}")]
    Broken(#[from] io::Error),
    #[error("the proxy began without a PROXY header")]
    Missing,
    #[error("the proxy's PROXY header cannot be read: {0}")]
    Malformed(&'static str),
}

/// Reads the header off a connection, and nothing behind it. Returns the client that it names; none where the proxy
/// speaks for itself, as it does to see whether this server is alive.
pub(crate) async fn receive(stream: &mut TcpStream) -> Result<Option<IpAddr>, ProxyError> {
    // The shortest header of either version is longer.
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    if start == *SIGNATURE {
        return receive_binary(stream).await;
    }
    if !start.starts_with(WORD) {
        return Err(ProxyError::Missing);
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\n") {
        let mut ahead = [0; LONGEST_LINE];
        let room = LONGEST_LINE.saturating_sub(line.len());
        let ahead = ahead.get_mut(..room).filter(|ahead| !ahead.is_empty());
        let Some(ahead) = ahead else { return Err(ProxyError::Malformed("the line is too long")) };
        // What comes behind the line belongs to the client's session, and stays where it is.
        let seen = stream.peek(ahead).await?;
        let wanted = ahead.iter().take(seen).position(|byte| *byte == b'\n').map_or(seen, |end| end + 1);
        let taken = stream.read(ahead.get_mut(..wanted).unwrap_or_default()).await?;
        if taken == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        line.extend_from_slice(ahead.get(..taken).unwrap_or_default());
    }
    parse_line(&line)
}

async fn receive_binary(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, ProxyError> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [command, family, high, low] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_BODY {
        return Err(ProxyError::Malformed("it is too long"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    parse_binary(command, family, &body)
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 25` and a line end.
fn parse_line(line: &[u8]) -> Result<Option<IpAddr>, ProxyError> {
    let line = line.strip_suffix(b"\r\n").ok_or(ProxyError::Malformed("its line does not end in CRLF"))?;
    let text = std::str::from_utf8(line).map_err(|_| ProxyError::Malformed("it is no text"))?;
    let mut words = text.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        return Ok(None);
    }
    let (source, _destination) = (words.next().unwrap_or_default(), words.next());
    let ports = [words.next(), words.next()];
    if ports.iter().any(|port| port.and_then(|port| port.parse::<u16>().ok()).is_none())
        || words.next().is_some()
    {
        return Err(ProxyError::Malformed("it needs two addresses and two ports"));
    }
    let address = match family {
        "TCP4" => source.parse::<Ipv4Addr>().map(IpAddr::V4).ok(),
        "TCP6" => source.parse::<Ipv6Addr>().map(IpAddr::V6).ok(),
        _ => None,
    };
    address.map(Some).ok_or(ProxyError::Malformed("its address does not fit its family"))
}

/// Everything of version 2 behind the signature. What comes behind the addresses is for others.
fn parse_binary(command: u8, family: u8, body: &[u8]) -> Result<Option<IpAddr>, ProxyError> {
    match command {
        0x20 => return Ok(None),
        0x21 => {}
        _ => return Err(ProxyError::Malformed("it has an unknown version or command")),
    }
    let short = ProxyError::Malformed("it is shorter than its addresses");
    match family >> 4 {
        1 if body.len() >= 12 => {
            let source: Option<[u8; 4]> = body.first_chunk().copied();
            source.map(|source| Some(IpAddr::from(source))).ok_or(short)
        }
        2 if body.len() >= 36 => {
            let source: Option<[u8; 16]> = body.first_chunk().copied();
            source.map(|source| Some(IpAddr::from(source))).ok_or(short)
        }
        1 | 2 => Err(short),
        // Unspecified, or a Unix socket: the proxy's own address is all that is known.
        0 | 3 => Ok(None),
        _ => Err(ProxyError::Malformed("it has an unknown family")),
    }
}

/// Looks out for a PROXY header where none is taken: a client that is no trusted proxy must not say who it is.
#[derive(Default)]
pub(crate) struct Lookout {
    start: [u8; SIGNATURE.len()],
    seen: usize,
}

impl Lookout {
    /// Whether the connection, of which these are the next octets, begins with a header.
    pub(crate) fn sees(&mut self, octets: &[u8]) -> bool {
        for (place, octet) in self.start.iter_mut().skip(self.seen).zip(octets) {
            *place = *octet;
            self.seen += 1;
        }
        let start = self.start.get(..self.seen).unwrap_or_default();
        start.starts_with(WORD) || start == SIGNATURE
    }

    /// Whether enough was seen to know.
    pub(crate) const fn is_over(&self) -> bool {
        self.seen >= SIGNATURE.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &length, body].concat()
    }

    /// What is made of a connection that begins with this, and what is left for the session.
    async fn received(said: &[u8], pieces: usize) -> (Result<Option<IpAddr>, ProxyError>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        client.set_nodelay(true).unwrap();
        let said = said.to_vec();
        let sending = tokio::spawn(async move {
            for piece in said.chunks(said.len().div_ceil(pieces).max(1)) {
                let _closed_early = client.write_all(piece).await;
                tokio::task::yield_now().await;
            }
        });
        let client = receive(&mut server).await;
        let mut rest = Vec::new();
        if client.is_ok() {
            server.read_to_end(&mut rest).await.unwrap();
        }
        sending.await.unwrap();
        (client, rest)
    }

    #[tokio::test]
    async fn both_versions_name_the_client_and_leave_the_rest() {
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        let mut four = vec![192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 4, 0, 25];
        let mut six = [[0; 16], [0; 16]].concat();
        six[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        six[15] = 1;
        six.extend([0xdc, 4, 0, 25]);
        four.extend(b"\x04\x00\x03abc");
        for (header, client) in [
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\n".to_vec(), Some(v4)),
            (b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 25\r\n".to_vec(), Some(v6)),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (binary(0x21, 0x11, &four), Some(v4)),
            (binary(0x21, 0x21, &six), Some(v6)),
            (binary(0x20, 0x00, b""), None),
            (binary(0x21, 0x00, b""), None),
            (binary(0x21, 0x31, &[0; 216]), None),
        ] {
            for pieces in [1, 3, 1000] {
                let said = [header.as_slice(), b"EHLO client\r\nQUIT\r\n"].concat();
                let (received, rest) = received(&said, pieces).await;
                assert_eq!(received.unwrap(), client, "{:?}", header.escape_ascii().to_string());
                assert_eq!(rest, b"EHLO client\r\nQUIT\r\n");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        for bad in [
            b"EHLO client.example.com\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 25 \r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 70000 25\r\n".to_vec(),
            b"PROXY UDP4 192.0.2.1 198.51.100.1 1 25\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\n".to_vec(),
            [b"PROXY TCP4 ".as_slice(), &[b'1'; 200], b"\r\n"].concat(),
            b"PROXY TCP4 192.0.2.1".to_vec(),
            binary(0x21, 0x11, &[0; 11]),
            binary(0x21, 0x21, &[0; 35]),
            binary(0x11, 0x11, &[0; 12]),
            binary(0x2f, 0x11, &[0; 12]),
            binary(0x21, 0x71, &[0; 12]),
            binary(0x21, 0x11, &[0; 5000]),
        ] {
            assert!(received(&bad, 1).await.0.is_err(), "{:?}", bad.escape_ascii().to_string());
        }
    }

    #[test]
    fn a_header_is_seen_where_none_is_taken() {
        let sees = |pieces: &[&[u8]]| {
            let mut lookout = Lookout::default();
            pieces.iter().any(|piece| lookout.sees(piece))
        };
        assert!(sees(&[b"PROXY TCP4 192.0.2.1"]));
        assert!(sees(&[b"PR", b"O", b"XY UNKNOWN\r\n"]));
        assert!(sees(&[SIGNATURE]));
        assert!(sees(&[&SIGNATURE[..5], &SIGNATURE[5..], b"rest"]));
        assert!(!sees(&[b"EHLO PROXY \r\n"]));
        assert!(!sees(&[b"\r\n\r\n", b"EHLO x\r\n"]));
        assert!(!sees(&[b"PROXIMA\r\n"]));
    }

    proptest! {
        #[test]
        fn any_octets_are_no_panic(line: Vec<u8>, command: u8, family: u8, body: Vec<u8>) {
            let _parsed = parse_line(&line);
            let _parsed = parse_binary(command, family, &body);
            let mut lookout = Lookout::default();
            let _seen = lookout.sees(&line) || lookout.sees(&body);
        }
    }
}
