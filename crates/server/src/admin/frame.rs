//! The wire form of requests and answers.

use std::io;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::problem::Problem;

/// The version of the protocol. It changes when an old client would misunderstand a new server.
pub(super) const VERSION: u32 = 1;
/// The longest line, in bytes.
const LINE: u64 = 16 << 20;
/// The most bytes that may come along with a request.
pub(super) const PAYLOAD: usize = 128 << 20;

/// A request's line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) version: u32,
    pub(super) operation: String,
    #[serde(default)]
    pub(super) arguments: serde_json::Value,
    #[serde(default)]
    pub(super) payload: usize,
}

/// An answer's line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Done(serde_json::Value),
    Failed(Problem),
}

/// Why nothing could be read.
#[derive(Debug, Error)]
pub(super) enum FrameError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("a line of over {} MiB", LINE >> 20)]
    Line,
    #[error("{0} bytes along with a request are more than {PAYLOAD}")]
    Payload(usize),
    #[error("not in the form of this protocol: {0}")]
    Json(#[from] serde_json::Error),
}

/// Writes one line and what comes along with it.
pub(super) async fn write<T: Serialize>(
    to: &mut (impl AsyncWrite + Unpin),
    line: &T,
    payload: &[u8],
) -> Result<(), FrameError> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    to.write_all(&bytes).await?;
    to.write_all(payload).await?;
    Ok(to.flush().await?)
}

/// Reads one line; `None` at the end.
pub(super) async fn read<T: for<'de> Deserialize<'de>>(
    from: &mut (impl AsyncBufRead + Unpin),
) -> Result<Option<T>, FrameError> {
    let mut line = Vec::new();
    let read = (&mut *from).take(LINE).read_until(b'\n', &mut line).await?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
        Some(_) if read as u64 >= LINE => Err(FrameError::Line),
        Some(_) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
    }
}

/// Reads what comes along with a request.
pub(super) async fn read_payload(
    from: &mut (impl AsyncBufRead + Unpin),
    size: usize,
) -> Result<Bytes, FrameError> {
    if size > PAYLOAD {
        return Err(FrameError::Payload(size));
    }
    let mut payload = vec![0; size];
    from.read_exact(&mut payload).await?;
    Ok(payload.into())
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    #[tokio::test]
    async fn requests_and_payloads_follow_each_other() {
        let mut wire = Vec::new();
        let request = |operation: &str, payload| Request {
            version: VERSION,
            operation: operation.into(),
            arguments: serde_json::json!({"text": "line\nbreak"}),
            payload,
        };
        write(&mut wire, &request("one", 5), b"a\nb\0c").await.unwrap();
        write(&mut wire, &request("two", 0), b"").await.unwrap();
        let mut reader = BufReader::new(&wire[..]);
        let one: Request = read(&mut reader).await.unwrap().unwrap();
        assert_eq!((one.operation.as_str(), one.arguments["text"].as_str()), ("one", Some("line\nbreak")));
        assert_eq!(read_payload(&mut reader, one.payload).await.unwrap(), &b"a\nb\0c"[..]);
        assert_eq!(read::<Request>(&mut reader).await.unwrap().unwrap().operation, "two");
        assert!(read::<Request>(&mut reader).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn rubbish_is_an_error() {
        for rubbish in [&b"{}\n"[..], b"GET / HTTP/1.1\r\n\r\n", b"\n", b"{\"version\":1"] {
            assert!(read::<Request>(&mut BufReader::new(rubbish)).await.is_err(), "{rubbish:?}");
        }
        let mut nothing = BufReader::new(&b""[..]);
        assert!(matches!(read_payload(&mut nothing, usize::MAX).await, Err(FrameError::Payload(_))));
    }
}
