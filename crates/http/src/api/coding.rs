//! Compression of what is downloaded (RFC 9110 §8.4). Only files are compressed, each of which is one message or a part of one,
//! and never the answers to requests: docs/decisions/0021-compression-over-http.md says why.

use std::io::{self, Write};

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;
use bytes::Bytes;
use flate2::write::GzEncoder;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};

/// Below this many octets nothing is gained.
pub(super) const WORTH_IT: u64 = 1 << 10;
/// Both are quick at this level, and take little memory: this is done for everybody who downloads something.
const LEVEL: i32 = 1;

/// A coding of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Coding {
    Zstd,
    Gzip,
}

impl Coding {
    /// Its name in fields.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The one that the client likes best (§12.5.3), and not less than none at all.
    pub(super) fn wanted(headers: &HeaderMap) -> Option<Self> {
        let fields: Vec<&str> =
            headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).collect();
        let weight = |names: &[&str]| {
            let elements = fields.iter().flat_map(|field| field.split(','));
            let mut found = elements.filter_map(|element| {
                let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
                names.iter().any(|n| name.trim().eq_ignore_ascii_case(n)).then(|| quality(parameters))
            });
            found.next()
        };
        let any = weight(&["*"]);
        let plain = weight(&["identity"]).or(any).unwrap_or(0);
        let zstd = weight(&["zstd"]).or(any).unwrap_or(0);
        let gzip = weight(&["gzip", "x-gzip"]).or(any).unwrap_or(0);
        let (best, coding) = if zstd >= gzip { (zstd, Self::Zstd) } else { (gzip, Self::Gzip) };
        (best > 0 && best >= plain).then_some(coding)
    }

    /// Compresses content piece by piece.
    pub(super) fn encode(
        self,
        content: BoxStream<'static, io::Result<Bytes>>,
    ) -> BoxStream<'static, io::Result<Bytes>> {
        let work = Encoder::new(self).map(|encoder| (content, Some(encoder)));
        let pieces = stream::unfold(work, |work| async move {
            match work {
                Ok((mut content, mut encoder)) => match step(&mut content, &mut encoder).await {
                    Ok(Some(piece)) => Some((Ok(piece), Ok((content, encoder)))),
                    Ok(None) => None,
                    Err(error) => Some((Err(error), Ok((content, None)))),
                },
                Err(error) => Some((Err(error), Ok((stream::empty().boxed(), None)))),
            }
        });
        pieces.boxed()
    }
}

/// The quality in the parameters of an element, in thousandths. What cannot be read is none.
fn quality(parameters: &str) -> u16 {
    let Some(value) = parameters.trim().strip_prefix(['q', 'Q']) else { return 1_000 };
    let value = value.trim_start().strip_prefix('=').unwrap_or_default().trim();
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let thousandths = format!("{fraction:0<3}");
    match (whole, thousandths.parse::<u16>()) {
        ("1", Ok(0)) => 1_000,
        ("0", Ok(thousandths)) if thousandths < 1_000 => thousandths,
        _ => 0,
    }
}

/// The next piece that is not empty; nothing when all is said.
async fn step(
    content: &mut BoxStream<'static, io::Result<Bytes>>,
    encoder: &mut Option<Encoder>,
) -> io::Result<Option<Bytes>> {
    loop {
        let Some(working) = encoder.as_mut() else { return Ok(None) };
        let piece = match content.next().await {
            Some(piece) => working.push(&piece?)?,
            None => match encoder.take() {
                Some(working) => working.finish()?,
                None => return Ok(None),
            },
        };
        if !piece.is_empty() {
            return Ok(Some(piece.into()));
        }
    }
}

enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?),
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::fast())),
        })
    }

    fn push(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        Ok(match self {
            Self::Zstd(encoder) => {
                encoder.write_all(piece)?;
                std::mem::take(encoder.get_mut())
            }
            Self::Gzip(encoder) => {
                encoder.write_all(piece)?;
                std::mem::take(encoder.get_mut())
            }
        })
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use futures::TryStreamExt;

    use super::*;

    #[test]
    fn what_the_client_likes_best() {
        for (field, wanted) in [
            ("", None),
            ("identity", None),
            ("gzip", Some(Coding::Gzip)),
            ("x-GZIP;q=0.5", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip;q=1.0, zstd; q=0.9", Some(Coding::Gzip)),
            ("br, *;q=0.1", Some(Coding::Zstd)),
            ("*;q=0.1, zstd;q=0", Some(Coding::Gzip)),
            ("gzip;q=0", None),
            ("gzip;q=0.2, identity", None),
            ("gzip;q=2", None),
            ("gzip;q=", None),
            ("*;q=0", None),
        ] {
            let headers = [(ACCEPT_ENCODING, field.parse().unwrap())].into_iter().collect();
            assert_eq!(Coding::wanted(&headers), wanted, "{field}");
        }
    }

    #[tokio::test]
    async fn what_is_compressed_comes_out_again() {
        let pieces: Vec<Bytes> = (0..20_u8).map(|n| vec![n; 10_000 + usize::from(n)].into()).collect();
        let plain = pieces.concat();
        for coding in [Coding::Zstd, Coding::Gzip] {
            for pieces in [pieces.clone(), Vec::new()] {
                let wanted = pieces.concat();
                let content = stream::iter(pieces.into_iter().map(Ok)).boxed();
                let coded: Vec<Bytes> = coding.encode(content).try_collect().await.unwrap();
                let (coded, mut decoded) = (coded.concat(), Vec::new());
                assert!(coded.len() < plain.len() / 50, "{} octets", coded.len());
                match coding {
                    Coding::Zstd => decoded = zstd::stream::decode_all(&coded[..]).unwrap(),
                    Coding::Gzip => {
                        flate2::read::GzDecoder::new(&coded[..]).read_to_end(&mut decoded).unwrap();
                    }
                }
                assert_eq!(decoded, wanted);
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_ends_it() {
        let content = stream::iter([Ok(Bytes::from_static(b"x")), Err(io::Error::other("gone"))]).boxed();
        let coded: Vec<_> = Coding::Gzip.encode(content).collect().await;
        assert!(coded.last().unwrap().is_err() && coded.iter().filter(|piece| piece.is_err()).count() == 1);
    }
}
