//! A stored message as the relay reads it: piece by piece, as often as it takes, and never whole in memory.

use async_trait::async_trait;
use futures::{StreamExt, stream};
use mail::Source;
use relay::{MessageSource, Pieces};

/// A message of the queue.
pub(super) struct Stored(pub(super) Source);

#[async_trait]
impl MessageSource for Stored {
    async fn open(&self) -> Result<Pieces, String> {
        let chunks = self.0.stream(0..self.0.size());
        let pieces = stream::unfold(Some(chunks), |chunks| async move {
            let mut chunks = chunks?;
            match chunks.next().await {
                Ok(Some(piece)) => Some((Ok(piece), Some(chunks))),
                Ok(None) => None,
                Err(error) => Some((Err(error.to_string()), None)),
            }
        });
        Ok(pieces.boxed())
    }
}
