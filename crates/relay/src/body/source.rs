//! Where a message is read from.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};

/// A message in pieces, of any size; an error says why it cannot be read.
pub type Pieces = BoxStream<'static, Result<Bytes, String>>;

/// A message that can be read as often as it takes: once to see what is in it, and once for every peer that it is sent to.
#[async_trait]
pub trait MessageSource: Send + Sync {
    /// Begins to read, from the first octet on.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    async fn open(&self) -> Result<Pieces, String>;
}

#[async_trait]
impl MessageSource for Bytes {
    async fn open(&self) -> Result<Pieces, String> {
        Ok(stream::iter([Ok(self.clone())]).boxed())
    }
}

#[async_trait]
impl<T: MessageSource + ?Sized> MessageSource for Arc<T> {
    async fn open(&self) -> Result<Pieces, String> {
        (**self).open().await
    }
}
